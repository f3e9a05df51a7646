"""The catalogue of behaviours: which tests prove what, as a page of the reference.

``python -m support.behaviours`` (``make docs``) writes the page.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGE", "REASONS", "Behaviour", "Proof", "behaviours", "page", "proofs"]

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "behaviours.md"

REASONS = {
    "not_applicable": "Not applicable",
    "later": "Later",
    "pending": "In work",
}
"""Why an item may have no test, and how the page says so."""

_CATALOGUE = tomllib.loads((TESTS / "behaviours.toml").read_text(encoding="utf-8"))
_HEAD = """\
# Behaviours

What the platform promises, and the tests that prove it. This page is written by `make docs` from
`tests/behaviours.toml` and the `behaviour` marks of the tests; do not edit it.
"""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One item: what we promise, how that differs from the original, why it has no test."""

    number: int
    promise: str
    differs: str | None = None
    not_applicable: str | None = None
    later: str | None = None
    pending: str | None = None

    @property
    def reason(self) -> str | None:
        """Why no test is needed, if so."""
        return self.not_applicable or self.later or self.pending

    @property
    def is_without_tests(self) -> bool:
        """Whether there is nothing that a test could prove."""
        return bool(self.not_applicable or self.later)

    @property
    def note(self) -> str:
        """What the page says beside the tests."""
        notes = [f"Differs: {self.differs}"] if self.differs else []
        notes += [f"{REASONS[key]}: {text}" for key in REASONS if (text := getattr(self, key))]
        return " ".join(notes)


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """A test that marks a behaviour; the file is relative to ``tests``."""

    number: int
    file: str
    test: str


def behaviours() -> list[Behaviour]:
    """Return the catalogue in order."""
    items = [(name, item) for name, item in _CATALOGUE.items() if name != "sections"]
    return sorted(
        (Behaviour(int(name), **item) for name, item in items), key=lambda one: one.number
    )


def proofs() -> list[Proof]:
    """Return every mark in the tests, in order; read from their text, nothing is imported."""
    return sorted({one for file in TESTS.rglob("test_*.py") for one in _proofs_in(file)})


def page() -> str:
    """Return the text of the page."""
    by_number: dict[int, list[Proof]] = {}
    for proof in proofs():
        by_number.setdefault(proof.number, []).append(proof)
    parts = [_HEAD]
    for title, (first, last) in _CATALOGUE["sections"].items():
        parts.append(f"\n## {title}\n\n| | promise | tests | note |\n|---|---|---|---|\n")
        parts += [
            _row(one, by_number.get(one.number, []))
            for one in behaviours()
            if first <= one.number <= last
        ]
    return "".join(parts)


def _proofs_in(file: Path) -> Iterator[Proof]:
    name = file.relative_to(TESTS).as_posix()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for number in _numbers(node):
                yield Proof(number, name, node.name)


def _numbers(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    """Marks stand above the test, or on one of its parameters."""
    for decorator in test.decorator_list:
        for call in ast.walk(decorator):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.behaviour":
                yield from (ast.literal_eval(number) for number in call.args)


def _row(one: Behaviour, found: list[Proof]) -> str:
    tests = "<br>".join(f"`{proof.file}::{proof.test}`" for proof in found)
    return f"| {one.number} | {one.promise} | {tests} | {one.note} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
