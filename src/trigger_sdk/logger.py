"""Structured lines in a run's log, and spans. Outside a run lines go to the standard library's logging."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Any

from trigger_sdk._host import current_run
from trigger_sdk._span import Span, open_span

__all__ = ["Logger", "logger"]

_fallback = logging.getLogger("trigger")


class Logger:
    """Writes lines with attributes: ``logger.info("charged", receipt=receipt)``."""

    def span(self, name: str, /, **attributes: Any) -> AbstractContextManager[Span]:
        """Show a part of the run by itself: ``with logger.span("charge", amount=9.5) as span: …``.

        Lines, further spans and runs that are triggered within it hang below it. An exception that leaves it
        marks it as failed. Outside a run it is a span of OpenTelemetry, if the program uses that.
        """
        return open_span(name, attributes)

    def debug(self, message: str, /, **attributes: Any) -> None:
        """Write a line of level DEBUG."""
        self._write("DEBUG", message, attributes)

    def info(self, message: str, /, **attributes: Any) -> None:
        """Write a line of level INFO."""
        self._write("INFO", message, attributes)

    def warning(self, message: str, /, **attributes: Any) -> None:
        """Write a line of level WARNING."""
        self._write("WARNING", message, attributes)

    def error(self, message: str, /, **attributes: Any) -> None:
        """Write a line of level ERROR."""
        self._write("ERROR", message, attributes)

    def _write(self, level: str, message: str, attributes: dict[str, Any]) -> None:
        active = current_run.get()
        if active is not None:
            active.host.log(level, message, attributes, "logger")
            return
        text = f"{message} {attributes}" if attributes else message
        _fallback.log(logging.getLevelNamesMapping()[level], text)


logger = Logger()
"""The logger; it holds no state."""
