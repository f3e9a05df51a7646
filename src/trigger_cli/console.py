"""The one owner of printing: data goes to stdout, words for people to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from trigger_core.errors import TriggerError

__all__ = ["Console"]

_STYLES = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "strong": "1", "cool": "36"}
_GOOD = {"COMPLETED", "completed", "resumed"}
_BAD = {"FAILED", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT", "failed", "crashed"}
_WARN = {"CANCELED", "EXPIRED", "canceled", "retrying"}


class Console:
    """Prints; with ``json_output`` everything on stdout is one JSON value per line."""

    def __init__(self, *, json_output: bool = False, color: bool | None = None) -> None:
        self.json_output = json_output
        self._color = color

    def data(self, value: Any) -> None:
        """Print a result as JSON: indented for people, one line for programs."""
        indent = 2 if sys.stdout.isatty() and not self.json_output else None
        self._write(sys.stdout, json.dumps(value, ensure_ascii=False, indent=indent))

    def text(self, line: str = "") -> None:
        """Print a line of a result."""
        self._write(sys.stdout, line)

    def note(self, line: str) -> None:
        """Tell people something that is no result."""
        self._write(sys.stderr, line)

    def failure(self, error: TriggerError) -> None:
        """Show an error in the one shape: what, because, at, fix, docs."""
        self.report(error.report())

    def report(self, report: dict[str, Any]) -> None:
        """Show an error that another process reported, in the same shape."""
        if self.json_output:
            self._write(sys.stdout, json.dumps({"error": report}, ensure_ascii=False))
            return
        head = f"error {report['code']}: {report['what']}"
        self._write(sys.stderr, self.paint(head, "bad", sys.stderr))
        for key in ("because", "at", "fix", "docs"):
            if report.get(key):
                self._write(sys.stderr, f"  {key}: {report[key]}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows in columns as wide as they need."""
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        self.text(self.paint(_row(header, widths), "dim"))
        for row in rows:
            line = _row(row, widths)
            self.text(self.paint(line, style_of(row[0])) if row else line)

    def paint(self, text: str, style: str, stream: TextIO | None = None) -> str:
        """Colour text where there is somebody to see it."""
        wanted = self._color
        if wanted is None:
            wanted = (stream or sys.stdout).isatty()
        code = _STYLES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if wanted and code else text

    def _write(self, stream: TextIO, line: str) -> None:
        stream.write(line + "\n")
        stream.flush()


def style_of(status: str) -> str:
    """Return the style a status or an outcome is shown in."""
    if status in _GOOD:
        return "good"
    if status in _BAD:
        return "bad"
    return "warn" if status in _WARN else ""


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
