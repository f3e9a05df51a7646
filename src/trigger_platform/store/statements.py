"""Named SQL: ``-- name: xyz`` starts a statement in ``sql/*.sql``; the lines after it say what it is for.

One text serves both databases. What they spell differently, and what a row type already says, stands in
braces:

| written | becomes |
|---|---|
| ``{RunRow}``, ``{r.RunRow}`` | the columns of a row type, perhaps of a table alias |
| ``{:RunRow}`` | the same as parameters |
| ``{=x.MoveRow}`` | assignments: each column from the same one of ``x`` |
| ``{=MoveRow}`` | assignments: each column from its parameter |
| ``{rows RunRow, id text}`` | a table ``each`` of the rows in the JSON array ``:rows`` (PostgreSQL only) |
| ``{each :ids}`` | a table ``each`` whose column ``value`` holds the texts of a JSON array |
| ``{part matches}`` | the text of a part, which is named by ``-- part: matches`` |
| ``{lock}`` | the clause that locks the rows that are read |
| ``{take}`` | the clause that locks those that nobody else has locked, and leaves the others out |
| ``{serial}``, ``{clustered}`` | a numbered primary key; a table kept in key order (migrations only) |

A list is passed as a JSON array; ``'[]'`` in a filter means any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from trigger_platform.store import rows

__all__ = ["Dialect", "load", "migrations", "newest"]

_NAME = re.compile(r"^-- (name|part): (\w+)\s*$", re.MULTILINE)
_PART = re.compile(r"{part (\w+)}")
_BRACED = re.compile(r"{(?P<text>[^{}]+)}")
_COLUMNS = re.compile(r"(?P<before>:|\w+\.)?(?P<row>\w+Row)\Z")
_ASSIGNED = re.compile(r"=(?P<source>\w+\.)?(?P<row>\w+Row)\Z")
_TYPES = {"str": "text", "int": "bigint", "float": "double precision"}
_TEXT = re.compile(r"\btext\b")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database spells what the common text leaves open."""

    name: str
    each: str
    lock: str
    take: str
    rows: str
    serial: str
    clustered: str
    text: str


@cache
def load(dialect: Dialect) -> dict[str, str]:
    """Return every statement by name; files under ``sql/<dialect>/`` replace common ones of the same name.

    Raises:
        ValueError: two files of one folder give the same name, or braces hold something unknown.
    """
    folder = resources.files("trigger_platform.store") / "sql"
    found = _read(folder)
    overlay = folder / dialect.name
    if overlay.is_dir():
        found |= _read(overlay)
    return {name: _spell(text, dialect) for name, text in found.items()}


@cache
def migrations(dialect: Dialect) -> tuple[tuple[int, str], ...]:
    """Return the numbered migrations in order: number and SQL text."""
    folder = resources.files("trigger_platform.store") / "migrations"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    numbered = (
        (int(file.name[:4]), _spell(_typed(file.read_text(encoding="utf-8"), dialect), dialect))
        for file in files
    )
    return tuple(sorted(numbered))


def newest() -> int:
    """Return the number of the newest migration."""
    folder = resources.files("trigger_platform.store") / "migrations"
    return max(int(file.name[:4]) for file in folder.iterdir() if file.name.endswith(".sql"))


def _read(folder: Traversable) -> dict[str, str]:
    found: dict[str, str] = {}
    shared: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        pieces = _NAME.split(file.read_text(encoding="utf-8"))
        for kind, name, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            if name in found or name in shared:
                raise ValueError(f"two SQL statements are named {name!r}")
            (shared if kind == "part" else found)[name] = text.strip().rstrip(";")
    return {
        name: _PART.sub(lambda match: _uncommented(shared[match[1]]), text)
        for name, text in found.items()
    }


def _uncommented(part: str) -> str:
    return "\n".join(line for line in part.splitlines() if not line.startswith("--")).strip()


def _typed(text: str, dialect: Dialect) -> str:
    """Give texts the type that compares them byte by byte."""
    return _TEXT.sub(dialect.text, text)


def _spell(text: str, dialect: Dialect) -> str:
    return _BRACED.sub(lambda match: _meaning(match["text"], dialect), text)


def _meaning(braced: str, dialect: Dialect) -> str:
    columns = _COLUMNS.match(braced)
    if columns is not None:
        before = columns["before"] or ""
        return ", ".join(f"{before}{name}" for name in _names(columns["row"]))
    assigned = _ASSIGNED.match(braced)
    if assigned is not None:
        source = assigned["source"] or ":"
        return ", ".join(f"{name} = {source}{name}" for name in _names(assigned["row"]))
    word, _, rest = braced.partition(" ")
    if word == "each" and rest:
        return dialect.each.format(rest)
    if word == "rows" and rest:
        return dialect.rows.format(", ".join(_typed_columns(rest)))
    if word in {"lock", "take", "serial", "clustered"} and not rest:
        return str(getattr(dialect, word))
    raise ValueError(f"SQL has {braced!r} in braces, which means nothing")


def _names(row: str) -> tuple[str, ...]:
    return rows.columns(getattr(rows, row))


def _typed_columns(listed: str) -> Iterator[str]:
    """Yield column definitions: those of row types, and those that are written out."""
    for part in (one.strip() for one in listed.split(",")):
        if not part.endswith("Row"):
            yield part
            continue
        kind = getattr(rows, part)
        for name in rows.columns(kind):
            yield f"{name} {_TYPES[_annotation(kind, name)]}"


def _annotation(kind: type[object], name: str) -> str:
    """Return ``int`` for ``int | None``; a named tuple has its annotations wrapped."""
    annotation = kind.__annotations__[name]
    return str(getattr(annotation, "__forward_arg__", annotation)).partition(" ")[0]
