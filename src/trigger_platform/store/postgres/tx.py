"""Named statements on a connection to PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

from psycopg import ClientCursor, Cursor
from pydantic_core import PydanticSerializationError, to_json

from trigger_platform.store import statements
from trigger_platform.store.notice import Notice
from trigger_platform.store.positional import PARAMETER
from trigger_platform.store.postgres.connection import Connection
from trigger_platform.store.rows import as_params
from trigger_platform.store.rows import columns as columns_of
from trigger_platform.store.statements import Dialect

__all__ = ["DIALECT", "PostgresTx", "Statement", "load"]

R = TypeVar("R")

DIALECT = Dialect(
    name="postgres",
    # A text with NUL in it equals none that is stored, and must not fail the statement either.
    each=r"json_array_elements_text(replace({}, '\u0000', '\ufffd')::json) as each (value)",
    lock=" for no key update",
    take=" for no key update skip locked",
    rows="json_to_recordset(:rows::json) as each ({})",
    serial="bigint generated always as identity primary key",
    clustered="",
    text='text collate "C"',
)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_WORD = re.compile(r"\w+")
_NUL = "\0"
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the driver wants it.

    Attributes:
        text: with ``%(name)s`` for ``:name``.
        is_set: whether it takes any number of rows at once, as one JSON array.
        writes: whether it may change something.
        words: the words in it, tables among them.
    """

    text: str
    is_set: bool
    writes: bool
    words: frozenset[str]

    @property
    def target(self) -> str:
        """The table that an insert goes to."""
        return self.text.split(maxsplit=3)[2]


@cache
def load() -> Mapping[str, Statement]:
    """Return every statement by name."""
    return {name: _statement(text) for name, text in statements.load(DIALECT).items()}


class PostgresTx:
    """Named statements on one connection; a transaction is open while an engine function has it."""

    def __init__(self, connection: Connection, *, prepares: bool) -> None:
        self.connection = connection
        self.wrote = False
        self.notices: list[Notice] = []
        self._cursor: Cursor[tuple[Any, ...]] = connection.cursor()
        self._plain = ClientCursor(connection)
        self._prepares = prepares
        self._named = load()
        self._checked: set[tuple[str, type]] = set()
        self._later: dict[str, list[Mapping[str, Any]]] = {}
        self._later_tables: set[str] = set()

    def one(self, name: str, row: type[R], /, **params: Any) -> R:
        """Return the only row; raise ``LookupError`` when there is none."""
        found = self.maybe(name, row, **params)
        if found is None:
            raise LookupError(f"statement {name!r} found no row")
        return found

    def maybe(self, name: str, row: type[R], /, **params: Any) -> R | None:
        """Return the first row, or ``None``."""
        cursor = self._execute(name, params)
        self._check(name, row, cursor)
        values = cursor.fetchone()
        return None if values is None else row(*values)

    def all(self, name: str, row: type[R], /, **params: Any) -> list[R]:
        """Return every row."""
        cursor = self._execute(name, params)
        self._check(name, row, cursor)
        return [row(*values) for values in cursor.fetchall()]

    def scalar(self, name: str, /, **params: Any) -> Any:
        """Return the first column of the first row, or ``None``."""
        values = self._execute(name, params).fetchone()
        return None if values is None else values[0]

    def run(self, name: str, /, **params: Any) -> int:
        """Execute a statement; return how many rows it touched."""
        if self._named[name].is_set:
            return self.many(name, [params])
        return self._execute(name, params).rowcount

    def many(self, name: str, rows: Sequence[Any], /) -> int:
        """Write rows, in one statement if there is such a text; return how many rows were touched in all."""
        if not rows:
            return 0
        rows = _named(rows)
        statement = self._named[name]
        self.wrote = True
        if statement.is_set:
            return self._execute(name, {"rows": _as_json(rows)}).rowcount
        self._cursor.executemany(statement.text, [_storable(row) for row in rows])
        return self._cursor.rowcount

    def later(self, name: str, rows: Sequence[Any], /) -> None:
        """Write rows before this commits, with those of the other writes of the group."""
        self._later.setdefault(name, []).extend(_named(rows))
        self._later_tables.add(self._named[name].target)

    def mark(self) -> dict[str, int]:
        """Return how much is to be written later."""
        return {name: len(rows) for name, rows in self._later.items()}

    def forget(self, mark: Mapping[str, int]) -> None:
        """Drop what was to be written later since a mark."""
        for name, rows in self._later.items():
            del rows[mark.get(name, 0) :]

    def flush(self) -> None:
        """Write what was to be written later."""
        pending, self._later = self._later, {}
        self._later_tables.clear()
        for name, rows in pending.items():
            self.many(name, rows)

    def tell(self, notice: Notice) -> None:
        """Let the other processes hear of something, once this is committed."""
        self.notices.append(notice)

    def plain(self, text: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Execute other statements than the named ones, in one round trip; return the last one's rows."""
        cursor = self._plain.execute(text, params)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []

    def _execute(self, name: str, params: Mapping[str, Any]) -> Cursor[tuple[Any, ...]]:
        statement = self._named[name]
        if not self._later_tables.isdisjoint(statement.words):
            self.flush()
        self.wrote = self.wrote or statement.writes
        text = cast("Any", statement.text)
        return self._cursor.execute(text, _storable(params), prepare=self._prepares)

    def _check(self, name: str, row: type[Any], cursor: Cursor[tuple[Any, ...]]) -> None:
        """Rows are built by position: once per statement, compare the column names with the fields."""
        if (name, row) in self._checked:
            return
        columns = [column.name for column in cursor.description or ()]
        expected = list(columns_of(row))
        if columns != expected:
            raise TypeError(
                f"statement {name!r} selects {columns}, but {row.__name__} has {expected}"
            )
        self._checked.add((name, row))


def _statement(text: str) -> Statement:
    body = _COMMENT.sub("", text)
    return Statement(
        text=PARAMETER.sub(r"%(\1)s", body.replace("%", "%%")),
        is_set=":rows" in body,
        writes=not body.startswith("select"),
        words=frozenset(_WORD.findall(body)),
    )


def _named(rows: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    """Return rows as mappings: all are, or none is."""
    return rows if rows and isinstance(rows[0], Mapping) else [as_params(row) for row in rows]


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        text = to_json(rows).decode()
    except PydanticSerializationError:
        json.dumps(rows, ensure_ascii=False).encode()  # says so in the words of other statements
        raise
    if "\\u0000" not in text:
        return text
    return to_json([_storable(row) for row in rows]).decode()


def _storable(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """PostgreSQL has no NUL in texts: what user code wrote is kept with a mark in its place."""
    if not any(isinstance(value, str) and _NUL in value for value in params.values()):
        return params
    return {
        name: value.replace(_NUL, _REPLACEMENT) if isinstance(value, str) else value
        for name, value in params.items()
    }
