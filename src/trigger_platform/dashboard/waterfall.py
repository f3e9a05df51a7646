"""The trace of a run as rows: what happened, beside a bar that says when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from trigger_core.duration import describe
from trigger_platform.reads.trace_tree import LineRow, Node, Tree, walk
from trigger_platform.reads.traces import Limits

__all__ = ["LIMITS", "WIDTH", "Row", "Waterfall", "draw"]

LIMITS = Limits(runs=50, steps=2_000, spans=1_000, lines=500)
"""How much of a trace is read for a page."""

WIDTH = 1_000
"""The whole time, in the units of the bars."""

_ROWS = 300
_LINES = 20
_NS = 1_000_000
_NARROWEST = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One span or line; ``x`` and ``width`` are those of its bar, ``run_id`` is given for a child run."""

    kind: Literal["run", "attempt", "phase", "span", "line"]
    depth: int
    text: str
    x: int
    width: int
    took: str
    is_bad: bool
    is_open: bool
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The rows, and whether they are all there is."""

    rows: list[Row]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Scale:
    start_ns: int
    whole_ns: int

    def place(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Return where a bar begins and how wide it is; however a clock went wrong, within the page."""
        x = min(WIDTH - _NARROWEST, max(0, self._units(start_ns - self.start_ns)))
        return x, min(WIDTH - x, max(_NARROWEST, self._units(end_ns - start_ns)))

    def _units(self, ns: int) -> int:
        return ns * WIDTH // self.whole_ns


def draw(tree: Tree) -> Waterfall:
    """Return the rows of a trace."""
    start = tree.root.started_ns
    end = max(_end(tree, node) for _, node in walk(tree.root))
    scale = _Scale(start, max(1, end - start))
    rows = list(_rows(tree, scale))
    return Waterfall(rows[:_ROWS], tree.is_whole and len(rows) <= _ROWS)


def _rows(tree: Tree, scale: _Scale) -> Iterator[Row]:
    """Yield spans from the top down, each with what is below it in the order it began, lines among it."""
    todo: list[tuple[int, Node | LineRow]] = [(0, tree.root)]
    while todo:
        depth, one = todo.pop()
        if isinstance(one, LineRow):
            yield _line(scale, depth, one)
            continue
        yield _span(tree, scale, depth, one)
        below: list[Node | LineRow] = [*one.children, *one.lines[:_LINES]]
        todo += [(depth + 1, item) for item in sorted(below, key=_began, reverse=True)]


def _began(one: Node | LineRow) -> int:
    return one.time * _NS if isinstance(one, LineRow) else one.started_ns


def _span(tree: Tree, scale: _Scale, depth: int, node: Node) -> Row:
    end = _end(tree, node)
    x, width = scale.place(node.started_ns, end)
    return Row(
        kind=node.kind,
        depth=min(depth, 20),
        text=node.message,
        x=x,
        width=width,
        took=describe(round((end - node.started_ns) / _NS)),
        is_bad=node.is_error,
        is_open=node.ended_ns is None,
        run_id=node.run.id if node.kind == "run" and node.parent is not None else None,
    )


def _line(scale: _Scale, depth: int, line: LineRow) -> Row:
    at = line.time * _NS
    x, width = scale.place(at, at)
    text = line.message.partition("\n")[0][:200]
    is_bad = line.level in {"ERROR", "CRITICAL"}
    return Row("line", min(depth, 20), text, x, width, line.level.lower(), is_bad, is_open=False)


def _end(tree: Tree, node: Node) -> int:
    """Return where a bar ends: one that goes on reaches to now, or to the end of its run."""
    if node.ended_ns is not None:
        return max(node.started_ns, node.ended_ns)
    over = node.run.completed_at
    return max(node.started_ns, tree.now_ns if over is None else over * _NS)
