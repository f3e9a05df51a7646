"""Capturing what a run writes: print, stderr, logging and warnings become log records, in order."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO, cast

__all__ = ["LineWriter", "LogHandler", "install", "stamp"]

Emit = Callable[[str, str, str, "dict[str, Any] | None"], None]
"""Takes level, source, message and attributes of a record."""

_LONGEST_LINE = 64 * 1024
_LEVELS = {"stdout": "INFO", "stderr": "ERROR"}


def stamp() -> str:
    """Return the present moment as records carry it."""
    now = datetime.now(UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


class LineWriter(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``: every finished line is a record.

    Bytes written to ``buffer`` or to the file descriptor take the pipe that the worker reads.
    """

    def __init__(self, source: str, descriptor: int, emit: Emit) -> None:
        super().__init__()
        self._source = source
        self._descriptor = descriptor
        self._emit = emit
        self._rest = ""
        self.buffer = io.FileIO(descriptor, "w", closefd=False)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8, as everywhere."""
        return "utf-8"

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def fileno(self) -> int:
        """The real descriptor, for libraries that write to it."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Take text; emit the lines it finishes."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > _LONGEST_LINE:
            self.end()
        return len(text)

    def end(self) -> None:
        """Emit a line that was begun and not finished."""
        if self._rest:
            rest, self._rest = self._rest, ""
            self._line(rest)

    def _line(self, line: str) -> None:
        self._emit(_LEVELS[self._source], self._source, line[:_LONGEST_LINE], None)


class LogHandler(logging.Handler):
    """Turns records of the standard library's logging into the run's records."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit_record = emit

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, with the name of its logger."""
        level = record.levelname if record.levelname in logging.getLevelNamesMapping() else "INFO"
        known = level if level in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} else "INFO"
        self._emit_record(known, "logging", self.format(record), {"logger": record.name})


def install(emit: Emit, log_level: str) -> tuple[LineWriter, LineWriter]:
    """Capture from now on; return the writers, so that unfinished lines can be ended."""
    out, err = LineWriter("stdout", 1, emit), LineWriter("stderr", 2, emit)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    root = logging.getLogger()
    root.handlers = [LogHandler(emit)]
    root.setLevel(log_level)
    logging.captureWarnings(capture=True)
    return out, err
