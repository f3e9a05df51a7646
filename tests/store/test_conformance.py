"""What every database must promise, whatever it is."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from trigger_core.errors import NumberOutOfRangeError, StoreError
from trigger_platform.store.database import Database, Tx
from trigger_platform.store.rows import EventRow, PayloadRow, ProjectRow, as_params


@dataclass(frozen=True, slots=True)
class _Wrong:
    id: str
    name: str
    ref: str


class _Taken(NamedTuple):
    environment_id: str
    subject_id: str


def _insert(tx: Tx, ref: str) -> None:
    tx.run(
        "project_insert",
        id=f"id-{ref}",
        ref=ref,
        name=ref,
        organization_id=None,
        slug=ref,
        now=1,
    )


def _exists(tx: Tx, ref: str) -> bool:
    return tx.maybe("project_by_ref", ProjectRow, ref=ref) is not None


async def test_a_write_is_visible_once_it_is_answered(db: Database) -> None:
    """To readers and to later writes."""
    await db.write(lambda tx: _insert(tx, "a"))

    assert await db.read(lambda tx: _exists(tx, "a"))
    assert await db.write(lambda tx: _exists(tx, "a"))


async def test_a_failed_write_leaves_nothing_and_does_not_disturb_its_neighbours(
    db: Database,
) -> None:
    """Though they may be committed in one group."""

    def fail(tx: Tx) -> None:
        _insert(tx, "bad")
        raise ValueError("no")

    outcomes = await asyncio.gather(
        *(db.write(lambda tx, n=n: _insert(tx, f"good-{n}")) for n in range(20)),
        db.write(fail),
        *(db.write(lambda tx, n=n: _insert(tx, f"more-{n}")) for n in range(20)),
        return_exceptions=True,
    )

    assert [type(one) for one in outcomes if one is not None] == [ValueError]
    assert not await db.read(lambda tx: _exists(tx, "bad"))
    for n in range(20):
        assert await db.read(lambda tx, n=n: _exists(tx, f"good-{n}") and _exists(tx, f"more-{n}"))


def _later(tx: Tx, run_id: str) -> None:
    tx.later("payload_insert", [{"run_id": run_id, "type": "t", "data": None}])


def _payload(tx: Tx, run_id: str) -> object:
    return tx.scalar("payload_of", run_id=run_id)


async def test_rows_written_later_are_found_by_who_reads_them(db: Database) -> None:
    """In the same write and in those of the same group."""

    def work(tx: Tx) -> object:
        _later(tx, "a")
        return _payload(tx, "a")

    found = await asyncio.gather(
        db.write(work),
        db.write(lambda tx: _payload(tx, "a")),
        db.write(lambda tx: _later(tx, "b")),
    )

    assert found[:2] == ["a", "a"]
    assert await db.read(lambda tx: _payload(tx, "b")) == "b"


@pytest.mark.parametrize("reads", [False, True])
async def test_rows_written_later_are_forgotten_with_their_write(db: Database, reads: bool) -> None:
    """And with no other."""

    def fail(tx: Tx) -> None:
        _later(tx, "bad")
        if reads:
            _payload(tx, "bad")
        raise ValueError("no")

    outcomes = await asyncio.gather(
        *(db.write(lambda tx, n=n: _later(tx, f"good-{n}")) for n in range(5)),
        db.write(fail),
        *(db.write(lambda tx, n=n: _later(tx, f"good-{n}")) for n in range(5, 10)),
        return_exceptions=True,
    )

    assert [type(one) for one in outcomes if one is not None] == [ValueError]
    assert await db.read(lambda tx: _payload(tx, "bad")) is None
    for n in range(10):
        assert await db.read(lambda tx, n=n: _payload(tx, f"good-{n}")) == f"good-{n}"


async def test_a_broken_constraint_of_rows_written_later_fails_their_write_alone(
    db: Database,
) -> None:
    """Though it shows only when the group is committed."""
    await db.write(lambda tx: _later(tx, "one"))
    outcomes = await asyncio.gather(
        db.write(lambda tx: _insert(tx, "before")),
        db.write(lambda tx: _later(tx, "one")),
        db.write(lambda tx: _later(tx, "two")),
        return_exceptions=True,
    )

    assert [isinstance(one, StoreError) for one in outcomes] == [False, True, False]
    assert await db.read(lambda tx: _exists(tx, "before") and _payload(tx, "two") == "two")


async def test_a_broken_constraint_fails_its_write_alone(db: Database) -> None:
    """As an error of ours."""
    await db.write(lambda tx: _insert(tx, "one"))
    with pytest.raises(StoreError):
        await db.write(lambda tx: _insert(tx, "one"))

    await db.write(lambda tx: _insert(tx, "two"))
    assert await db.read(lambda tx: _exists(tx, "two"))


async def test_a_number_beyond_sixty_four_bits_is_the_callers_mistake(db: Database) -> None:
    """Refused with a code, and nothing is kept of its write."""

    def write(tx: Tx) -> None:
        _insert(tx, "before")
        tx.run("environment_pause", id="nobody", paused=2**70)

    with pytest.raises(NumberOutOfRangeError):
        await db.write(write)
    assert not await db.read(lambda tx: _exists(tx, "before"))


async def test_a_list_with_nul_in_a_text_can_be_asked_for(db: Database) -> None:
    """PostgreSQL has no such text, and says so in the middle of a statement unless it is kept from it."""

    def write(tx: Tx) -> int:
        return len(tx.all("payloads_of", PayloadRow, ids=json.dumps(["a\0b"])))

    assert await db.write(write) == 0


async def test_writes_follow_each_other_in_the_order_they_were_asked_for(db: Database) -> None:
    """One at a time."""
    seen: list[int] = []
    await asyncio.gather(*(db.write(lambda _tx, n=n: seen.append(n)) for n in range(200)))

    assert seen == list(range(200))


async def test_the_committer_is_told_even_if_the_caller_has_gone(db: Database) -> None:
    """What follows from a commit must happen."""
    told = asyncio.Event()
    caller = asyncio.create_task(
        db.write(lambda tx: _insert(tx, "x"), on_commit=lambda _result: told.set())
    )
    await asyncio.sleep(0)
    caller.cancel()

    await asyncio.wait_for(told.wait(), 5)
    assert await db.read(lambda tx: _exists(tx, "x"))


def test_a_blocking_caller_is_answered_after_the_commit(db: Database) -> None:
    """From any thread."""
    db.submit(lambda tx: _insert(tx, "b")).result(timeout=5)

    assert db.submit(lambda tx: _exists(tx, "b")).result(timeout=5)


@pytest.mark.parametrize("put", ["many", "later"])
async def test_rows_are_the_same_as_mappings_with_their_fields(db: Database, put: str) -> None:
    """Whatever order a mapping has; a row type with ordered fields goes by their position."""
    events = [EventRow("env", "run.changed", f"run_{n}", n, 7) for n in range(3)]
    payloads = [PayloadRow(f"run_{n}", "application/json", None) for n in range(3)]
    reversed_ = [dict(reversed(as_params(row).items())) for row in events]

    def write(tx: Tx) -> None:
        for rows in (events, reversed_):
            getattr(tx, put)("outbox_insert", rows)
        getattr(tx, put)("payload_insert", payloads)

    def read(tx: Tx) -> list[PayloadRow]:
        return tx.all("payloads_of", PayloadRow, ids='["run_0", "run_1", "run_2"]')

    await db.write(write)
    taken = await db.write(lambda tx: tx.all("outbox_take", _Taken, limit=10))

    assert sorted(taken) == sorted(2 * [_Taken("env", f"run_{n}") for n in range(3)])
    assert sorted(await db.read(read), key=lambda row: row.run_id) == payloads


@pytest.mark.parametrize("db", ["sqlite-file", "sqlite-dev", "postgres"], indirect=True)
async def test_a_reader_cannot_write(db: Database) -> None:
    """One writer means one writer; the database in memory has no readers beside it."""
    with pytest.raises(StoreError):
        await db.read(lambda tx: _insert(tx, "r"))


async def test_a_row_type_that_does_not_fit_is_refused(db: Database) -> None:
    """Columns are matched by position: names are compared first."""
    await db.write(lambda tx: _insert(tx, "a"))
    with pytest.raises(TypeError, match="_Wrong"):
        await db.read(lambda tx: tx.maybe("project_by_ref", _Wrong, ref="a"))


async def test_one_says_when_there_is_none(db: Database) -> None:
    """And names the statement."""
    with pytest.raises(LookupError, match="project_by_ref"):
        await db.read(lambda tx: tx.one("project_by_ref", ProjectRow, ref="nobody"))


def test_closing_finishes_what_was_accepted_and_refuses_the_rest(db: Database) -> None:
    """Nothing acknowledged is lost."""
    futures = [db.submit(lambda tx, n=n: _insert(tx, f"c-{n}")) for n in range(100)]
    db.close()

    assert all(future.exception(timeout=5) is None for future in futures)
    with pytest.raises(StoreError):
        db.submit(lambda tx: _insert(tx, "late"))
