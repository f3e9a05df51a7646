"""How rows get into PostgreSQL quickest: one statement each, arrays, or JSON (ADR 8)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
from pydantic_core import to_json

from bench import keep, show
from floor import postgres
from trigger_platform.store.postgres.database import PostgresDatabase
from trigger_platform.store.rows import RunRow, columns

ROWS = 1_600
ARRAYS = {"text": "text[]", "bigint": "int8[]", "integer": "int4[]", "double precision": "float8[]"}
Write = Callable[[list[dict[str, Any]]], None]


def ways(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, Write]:
    """Return the ways to insert runs."""
    types = dict(
        connection.execute(
            "select column_name, data_type from information_schema.columns where table_name = 'run'"
        ).fetchall()
    )
    names = columns(RunRow)
    listed = ", ".join(names)
    cursor = connection.cursor()
    single = f"insert into run ({listed}) values ({', '.join(f'%({name})s' for name in names)})"
    arrays = ", ".join(f"%({name})s::{ARRAYS[types[name]]}" for name in names)
    typed = ", ".join(f"{name} {types[name]}" for name in names)

    def in_arrays(rows: list[dict[str, Any]]) -> None:
        values = {name: [row[name] for row in rows] for name in names}
        cursor.execute(f"insert into run ({listed}) select * from unnest({arrays})", values)

    def in_json(kind: str) -> Write:
        text = f"insert into run ({listed}) select {listed} from {kind}_to_recordset(%s::{kind})"
        text += f" as each ({typed})"
        return lambda rows: void(cursor.execute(text, [to_json(rows).decode()], prepare=True))

    return {
        "one statement each": lambda rows: cursor.executemany(single, rows),
        "arrays with unnest": in_arrays,
        "jsonb_to_recordset": in_json("jsonb"),
        "json_to_recordset": in_json("json"),
    }


def void(_: object) -> None:
    """Forget a result."""


def example(number: int) -> dict[str, Any]:
    """Return the values of a run."""
    row: dict[str, Any] = dict.fromkeys(columns(RunRow))
    needed = RunRow.__annotations__
    for name in row:
        kind = str(getattr(needed[name], "__forward_arg__", needed[name]))
        row[name] = {"str": "some text", "int": 1_764_000_000}.get(kind)
    return row | {"id": f"run_{number:025d}"}


def measure(write: Write, size: int, first: int) -> tuple[float, float]:
    """Return microseconds a row: elapsed, and of the client's CPU."""
    groups = [[example(first + n * size + i) for i in range(size)] for n in range(ROWS // size)]
    began, cpu = time.perf_counter(), time.process_time()
    for rows in groups:
        write(rows)
    return (
        (time.perf_counter() - began) / ROWS * 1e6,
        (time.process_time() - cpu) / ROWS * 1e6,
    )


def main() -> None:
    """Measure each way with one, 32 and 400 rows at once."""
    url = postgres.launch().database()
    PostgresDatabase(url).close()
    values: dict[str, dict[str, float]] = {}
    first = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for name, write in ways(connection).items():
            for size in (1, 32, 400):
                elapsed, cpu = measure(write, size, first)
                first += ROWS
                values[f"{name}, {size} at once"] = {"elapsed": elapsed, "cpu": cpu}
    rows = [(name, f"{one['elapsed']:.1f} ({one['cpu']:.1f})", "") for name, one in values.items()]
    show("Inserting runs into PostgreSQL, microseconds a row (the client's CPU)", rows)
    keep("set_writes", values)


if __name__ == "__main__":
    main()
