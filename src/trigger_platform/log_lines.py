"""Log lines as JSON, one object a line, for whatever collects them."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from typing import TextIO

from trigger_core import clock
from trigger_core.redaction import Hidden

__all__ = ["Hiding", "JsonLines", "TextLines", "configure", "hide", "request_id"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The number of the request that is being answered."""

_TEXT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_PLAIN = logging.Formatter()
_SPELLED = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class Hiding(logging.Filter):
    """Takes secrets out of records before they are written."""

    def __init__(self, hidden: Hidden) -> None:
        super().__init__()
        self._hidden = hidden

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass without secrets."""
        record.msg, record.args = self._hidden.text(record.getMessage()), None
        if record.exc_info:
            told = record.exc_text or _PLAIN.formatException(record.exc_info)
            record.exc_text = self._hidden.text(told)
        return True


class TextLines(logging.Formatter):
    """Formats a record for people; what somebody sent begins no line and moves no cursor."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line, control characters in it spelled out."""
        return super().formatMessage(record).translate(_SPELLED)


class JsonLines(logging.Formatter):
    """Formats a record as an object: ``time, level, logger, message``, perhaps ``request, error``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": clock.to_iso(round(record.created * 1000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        number = request_id.get()
        if number:
            line["request"] = number
        if record.exc_info:
            line["error"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(*, as_json: bool, stream: TextIO | None = None) -> None:
    """Write log lines to stderr from now on: as JSON, or as text for people."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def hide(hidden: Hidden) -> None:
    """Write none of these secrets from now on, whoever logs them."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(Hiding(hidden))
