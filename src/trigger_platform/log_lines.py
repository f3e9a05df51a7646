"""Log lines as JSON, one object a line, for whatever collects them."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from typing import TextIO

from trigger_core import clock

__all__ = ["JsonLines", "configure", "request_id"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The number of the request that is being answered."""

_TEXT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"


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
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(*, as_json: bool, stream: TextIO | None = None) -> None:
    """Write log lines to stderr from now on: as JSON, or as text for people."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
