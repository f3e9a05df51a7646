"""Several processes on one PostgreSQL database, and a server that fails them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from queue import Queue

import psycopg
import pytest

from support import postgres
from support.engine import Engine, open_engine, scheduled, task
from support.postgres import Server
from trigger_core.errors import StoreError
from trigger_core.schemas.trigger import TriggerOptions, TriggerTask
from trigger_core.schemas.workers import Poll
from trigger_platform.engine import channel, due, trigger
from trigger_platform.engine.request import RequestKey
from trigger_platform.store.database import Tx
from trigger_platform.store.notice import LOOK, Notice
from trigger_platform.store.postgres.database import PostgresDatabase
from trigger_platform.store.postgres.tx import PostgresTx
from trigger_platform.store.rows import ProjectRow


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


@pytest.fixture
def pair() -> Iterator[tuple[PostgresDatabase, PostgresDatabase]]:
    """What two processes have of one database."""
    url = postgres.emptied_database()
    one, other = PostgresDatabase(url), PostgresDatabase(url)
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def engines() -> Iterator[tuple[Engine, Engine]]:
    """An engine on the databases of two processes."""
    url = postgres.emptied_database()
    one = open_engine(PostgresDatabase(url))
    one.register(task())
    other = open_engine(PostgresDatabase(url), seed=2)
    other.workers = one.workers
    yield one, other
    one.db.close()
    other.db.close()


@pytest.fixture
def failing() -> Iterator[Server]:
    """A server that may be killed: writes are safe on disk once they are acknowledged."""
    server = postgres.launch(settings={})
    yield server
    server.stop()


async def test_each_sees_what_the_other_committed(
    pair: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    """At once."""
    one, other = pair
    await one.write(lambda tx: _insert(tx, "a"))

    assert await other.write(lambda tx: _exists(tx, "a"))
    assert await other.read(lambda tx: _exists(tx, "a"))


def test_each_hears_what_the_other_tells_and_not_itself(
    pair: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    """Once it is committed, and only then."""
    one, other = pair
    heard: tuple[Queue[Notice], Queue[Notice]] = (Queue(), Queue())
    one.listen(heard[0].put)
    other.listen(heard[1].put)
    assert [inbox.get(timeout=5) for inbox in heard] == [LOOK, LOOK]

    def fail(tx: Tx) -> None:
        tx.tell(Notice(runnable=frozenset({"never"})))
        raise ValueError("no")

    assert one.submit(fail).exception(timeout=5) is not None
    told = Notice(boots=frozenset({"b"}), changed=frozenset({("e", "run_1")}))
    one.submit(lambda tx: tx.tell(told)).result(timeout=5)
    assert heard[1].get(timeout=5) == told

    other.submit(lambda tx: tx.tell(Notice(boots=frozenset({"c"})))).result(timeout=5)
    assert heard[0].get(timeout=5) == Notice(boots=frozenset({"c"}))
    assert heard[1].empty()


def test_a_notice_that_is_too_long_says_look() -> None:
    """A message of the server has an end."""
    many = Notice(changed=frozenset(("environment", f"run_{n:025d}") for n in range(500)))

    assert Notice.from_message(many.to_message("me"), "you") == LOOK


def _at_once(calls: list[Callable[[], object]]) -> list[object]:
    barrier = threading.Barrier(len(calls))

    def call(one: Callable[[], object]) -> object:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


def test_64_claimers_of_two_processes_claim_a_run_once(engines: tuple[Engine, Engine]) -> None:
    """However they meet."""
    run_id = engines[0].trigger()
    request = Poll(boot_id=engines[0].boot, workers=engines[0].workers, limit=1, wait_ms=0)

    polls = _at_once(
        [
            lambda one=engines[n % 2]: one.call(channel.poll, one.environment, request)
            for n in range(64)
        ]
    )

    assert [run.run_id for polled in polls for run in polled.runs] == [run_id]  # type: ignore[attr-defined]


def test_claimers_of_two_processes_never_exceed_a_limit(engines: tuple[Engine, Engine]) -> None:
    """Slots are counted by one at a time."""
    engines[0].register(task("narrow", limit=3), content_hash="v2")
    engines[0].trigger_many(40, "narrow")
    request = Poll(boot_id=engines[0].boot, workers=engines[0].workers, limit=2, wait_ms=0)

    polls = _at_once(
        [
            lambda one=engines[n % 2]: one.call(channel.poll, one.environment, request)
            for n in range(16)
        ]
    )

    assert sum(len(polled.runs) for polled in polls) == 3  # type: ignore[attr-defined]


def test_16_sweeps_of_two_processes_fire_a_tick_once(engines: tuple[Engine, Engine]) -> None:
    """Each of forty schedules; invariant I10."""
    engines[0].register(scheduled(), content_hash="v2")
    for number in range(40):
        engines[0].schedule(key=str(number), every="10s")
    for one in engines:
        one.clock.advance(10_001)

    _at_once([lambda one=engines[n % 2]: one.call(due.sweep) for n in range(16)])

    runs = engines[0].fired()
    assert len({(run.schedule_instance_id, run.nominal_at) for run in runs}) == len(runs)
    newest = max(run.nominal_at or 0 for run in runs)
    assert sum(run.nominal_at == newest for run in runs) == 40


@pytest.mark.parametrize("by", ["idempotency key", "request token"])
def test_64_triggers_with_one_key_make_one_run(engines: tuple[Engine, Engine], by: str) -> None:
    """The unique index decides, and the losers look again."""
    options = TriggerOptions(idempotency_key="k" if by == "idempotency key" else None)
    key = RequestKey("trigger", "t") if by == "request token" else None

    def trigger_one(one: Engine) -> str:
        request = TriggerTask(options=options)
        made = one.call(trigger.create, one.environment, "task", request, key=key)
        return str(made.id)

    ids = _at_once([lambda one=engines[n % 2]: trigger_one(one) for n in range(64)])

    assert len(set(ids)) == 1
    assert len(engines[0].claim()) == 1


def test_a_deadlock_between_two_processes_resolves(
    pair: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    """Both writes happen in the end."""
    first, second = pair
    for name in "ab":
        first.submit(lambda tx, name=name: tx.run("setting_set", name=name, value="")).result()
    barrier = threading.Barrier(2)

    def cross(tx: Tx, one: str, other: str) -> None:
        tx.run("setting_set", name=one, value=tx.scalar("setting_get", name=one) + one)
        if not barrier.broken:
            with suppress(threading.BrokenBarrierError):
                barrier.wait(2)
            barrier.abort()
        tx.run("setting_set", name=other, value=tx.scalar("setting_get", name=other) + one)

    futures = [
        first.submit(lambda tx: cross(tx, "a", "b")),
        second.submit(lambda tx: cross(tx, "b", "a")),
    ]

    assert [future.exception(timeout=20) for future in futures] == [None, None]
    kept = first.submit(lambda tx: [tx.scalar("setting_get", name=name) for name in "ab"]).result()
    assert sorted(map(sorted, kept)) == [["a", "b"], ["a", "b"]]


def test_after_a_dropped_listen_connection_everything_is_looked_at(
    pair: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    """And notices arrive again."""
    one, other = pair
    heard: Queue[Notice] = Queue()
    other.listen(heard.put)
    assert heard.get(timeout=5) == LOOK

    with psycopg.connect(postgres.shared_database(), autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where query like 'listen %' and datname = current_database()"
        )

    assert heard.get(timeout=5) == LOOK
    one.submit(lambda tx: tx.tell(Notice(boots=frozenset({"b"})))).result(timeout=5)
    assert heard.get(timeout=5) == Notice(boots=frozenset({"b"}))


def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(
    failing: Server,
) -> None:
    """In the middle of 500 writes; they wait until it is back."""
    db = PostgresDatabase(failing.database())
    db.submit(lambda tx: tx.run("setting_set", name="n", value="0")).result()
    done = threading.Semaphore(0)

    def add(tx: Tx, ref: str) -> None:
        _insert(tx, ref)
        count = int(tx.scalar("setting_get", name="n")) + 1
        tx.run("setting_set", name="n", value=str(count))

    futures = [
        db.submit(lambda tx, n=n: add(tx, f"w-{n}"), on_commit=lambda _: done.release())
        for n in range(500)
    ]
    for _ in range(100):
        done.acquire(timeout=30)
    failing.kill()
    failing.start()

    assert [future.exception(timeout=60) for future in futures] == [None] * 500
    assert all(db.submit(lambda tx: [_exists(tx, f"w-{n}") for n in range(500)]).result(timeout=10))
    assert db.submit(lambda tx: tx.scalar("setting_get", name="n")).result() == "500"
    db.close()


async def test_a_server_that_answers_nothing_for_two_seconds_costs_two_seconds(
    failing: Server,
) -> None:
    """Nothing fails."""
    db = PostgresDatabase(failing.database())
    await db.read(lambda tx: _exists(tx, "x"))
    began = time.monotonic()
    with failing.paused():
        future = db.submit(lambda tx: _insert(tx, "slow"))
        await asyncio.sleep(2)
    future.result(timeout=10)

    assert time.monotonic() - began < 5
    assert await db.read(lambda tx: _exists(tx, "slow"))
    db.close()


@pytest.mark.parametrize("arrives", [True, False], ids=["that arrived", "that did not arrive"])
def test_a_commit_whose_answer_was_lost_is_done_once(failing: Server, arrives: bool) -> None:
    """The server is asked what became of it."""
    with closing(PostgresDatabase(failing.database())) as db:
        cut = _Cut(db, arrives=arrives, then=lambda: None)
        db.submit(cut.work).result(timeout=10)

        assert cut.times == (1 if arrives else 2)
        assert db.submit(lambda tx: _exists(tx, "once")).result(timeout=5)


@pytest.mark.parametrize("arrives", [True, False], ids=["that arrived", "that did not arrive"])
def test_the_word_of_a_server_that_took_over_is_not_taken_for_a_commit(
    failing: Server, arrives: bool
) -> None:
    """It may have given the number of the transaction to another one; that there is none it can say."""
    with closing(PostgresDatabase(failing.database())) as db:
        cut = _Cut(db, arrives=arrives, then=failing.take_over_from_itself)
        error = db.submit(cut.work).exception(timeout=10)

        if arrives:
            assert isinstance(error, StoreError)
            assert (error.code, error.status, error.retryable) == (
                "STORE_OUTCOME_UNKNOWN",
                503,
                True,
            )
        assert cut.times == (1 if arrives else 2)
        assert db.submit(lambda tx: _exists(tx, "once")).result(timeout=5)


class _Cut:
    """A write whose connection breaks at its first commit; then something happens."""

    def __init__(self, db: PostgresDatabase, *, arrives: bool, then: Callable[[], None]) -> None:
        self.times = 0
        self._db = db
        self._arrives = arrives
        self._then = then

    def work(self, tx: Tx) -> None:
        """Insert a row."""
        self.times += 1
        if self.times == 1:
            self._prepare(self._db._link.tx())
        _insert(tx, "once")

    def _prepare(self, tx: PostgresTx) -> None:
        plain = tx.plain

        def break_at_commit(text: str, params: object = None) -> list[tuple[object, ...]]:
            if text != "commit":
                return plain(text, params)  # type: ignore[arg-type]
            if self._arrives:
                plain(text)
            tx.connection.close()
            self._then()
            raise psycopg.OperationalError("the connection broke")

        tx.plain = break_at_commit  # type: ignore[method-assign]


def test_a_server_that_does_not_answer_is_named(failing: Server) -> None:
    """Without the password."""
    failing.kill()
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        PostgresDatabase(failing.url.replace("postgres@", "postgres:secret@"))
    assert caught.value.code == "STORE_UNREACHABLE"
    assert "secret" not in str(caught.value)
