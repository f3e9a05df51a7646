"""Structured lines in a run's log. Outside a run they go to the standard library's logging."""

from __future__ import annotations

import logging
from typing import Any

from trigger_sdk._host import current_run

__all__ = ["Logger", "logger"]

_fallback = logging.getLogger("trigger")


class Logger:
    """Writes lines with attributes: ``logger.info("charged", receipt=receipt)``."""

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
