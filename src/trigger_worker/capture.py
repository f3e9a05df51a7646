"""Capturing what a run writes: print, stderr, logging and warnings become log records, in order."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO, cast

__all__ = ["LONGEST_LINE", "Capture", "LineWriter", "LogHandler", "pieces", "stamp"]

Emit = Callable[[str, str, str, "dict[str, Any] | None"], None]
"""Takes level, source, message and attributes of a record."""

LONGEST_LINE = 64 * 1024
"""What is longer becomes several records."""

_LEVELS = {"stdout": "INFO", "stderr": "ERROR"}


def stamp() -> str:
    """Return the present moment as records carry it."""
    now = datetime.now(UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def pieces(line: str) -> Iterator[str]:
    """Cut a line that is too long for one record."""
    yield line[:LONGEST_LINE]
    for begin in range(LONGEST_LINE, len(line), LONGEST_LINE):
        yield line[begin : begin + LONGEST_LINE]


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
        self._lock = threading.RLock()
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
        """Take text, from whichever thread; emit the lines it finishes."""
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._line(line)
            if len(self._rest) > LONGEST_LINE:
                self.end()
        return len(text)

    def end(self) -> None:
        """Emit a line that was begun and not finished."""
        with self._lock:
            rest, self._rest = self._rest, ""
            if rest:
                self._line(rest)

    def _line(self, line: str) -> None:
        for piece in pieces(line):
            self._emit(_LEVELS[self._source], self._source, piece, None)


class LogHandler(logging.Handler):
    """Turns records of the standard library's logging into the run's records."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit_record = emit

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, with the name of its logger."""
        if _is_own_call(record):
            return
        level = record.levelname if record.levelname in logging.getLevelNamesMapping() else "INFO"
        known = level if level in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} else "INFO"
        self._emit_record(known, "logging", self.format(record), {"logger": record.name})


def _is_own_call(record: logging.LogRecord) -> bool:
    """Tell whether a line only says that the SDK called the platform: nobody asked for it."""
    platform = os.environ.get("TRIGGER_API_URL")
    return record.name == "httpx" and platform is not None and platform in record.getMessage()


class Capture:
    """The writers and the handler of one process."""

    def __init__(self, emit: Emit, log_level: str) -> None:
        self._out, self._err = LineWriter("stdout", 1, emit), LineWriter("stderr", 2, emit)
        self._handler = LogHandler(emit)
        self._log_level = log_level

    def install(self) -> None:
        """Capture from now on, whatever the code that ran before has put in our place."""
        sys.stdout, sys.stderr = cast("TextIO", self._out), cast("TextIO", self._err)
        root = logging.getLogger()
        root.handlers = [self._handler]
        root.setLevel(self._log_level)
        logging.disable(logging.NOTSET)
        logging.captureWarnings(capture=True)

    def end(self) -> None:
        """Emit the lines that were begun and not finished."""
        self._out.end()
        self._err.end()
