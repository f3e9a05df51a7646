"""Committing groups of writes: together, and apart when they disturb each other.

A group is one transaction. The first try has no savepoints: a write that fails before it wrote anything
needs none, and that is how nearly all fail. When one fails later the group is rolled back and run again with
a savepoint for each; those that met another process there are then run alone, again and again with a little
chance in the pause. That is allowed because a write is a function of what it reads.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import psycopg

from trigger_core.errors import StoreError
from trigger_platform.store import notice
from trigger_platform.store.group_writer import Job
from trigger_platform.store.postgres.clock import ServerClock
from trigger_platform.store.postgres.connection import (
    is_conflict,
    is_lost,
    outcome_unknown,
    translate,
    unreachable,
)
from trigger_platform.store.postgres.link import Link
from trigger_platform.store.postgres.tx import PostgresTx

__all__ = ["CHANNEL", "Commits"]

CHANNEL = "trigger_notice"

_TRIES = 12
_UNIQUE_TRIES = 3
_LONGEST_GROUP_S = 0.05
_TOGETHER_LOCK_MS = 300
_ALONE_LOCK_MS = 5_000
_PATIENCE_S = 30.0
_LONGEST_PAUSE_S = 0.2
_BEGIN = """begin;
select pg_current_xact_id()::text, (extract(epoch from clock_timestamp()) * 1000)::bigint,
    set_config('lock_timeout', '{lock_ms}', true),
    set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true),
    set_config('synchronous_commit', '{synchronous}', true)"""
"""Settings hold for the transaction only, so that a pooler may give each one another session. The plans must
not depend on statistics: every statement finds its rows by an index."""


_HISTORY = """select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), system_identifier
from pg_control_system()"""
"""Whose transaction numbers mean what: a server that took over gives those again that it did not hear of."""


class _DisturbedError(Exception):
    """A write failed after it had written: the group cannot go on without savepoints."""


class _LostError(Exception):
    """The connection broke, and nothing was committed."""


class Commits:
    """Runs groups of writes on the writer's connection."""

    def __init__(self, link: Link, clock: ServerClock, *, sender: str, durable: bool) -> None:
        self._link = link
        self._clock = clock
        self._sender = sender
        self._synchronous = "on" if durable else "off"
        self._told: tuple[PostgresTx, object] | None = None

    def __call__(self, group: Sequence[Job]) -> None:
        """Run writes; every one has its outcome afterwards."""
        left = list(group)
        while left:
            done = self._together(left)
            left = left[done:]

    def _together(self, jobs: list[Job]) -> int:
        """Run the first writes of a group; return how many it were."""
        if len(jobs) > 1:
            try:
                return self._persist(lambda: self._transaction(jobs, guarded=False), jobs)
            except _DisturbedError:
                return self._apart(jobs)
        self._alone(jobs[0])
        return 1

    def _apart(self, jobs: list[Job]) -> int:
        """Run a group with savepoints, and those that met others alone."""
        try:
            done = self._persist(lambda: self._transaction(jobs, guarded=True), jobs)
        except _DisturbedError:
            self._alone(jobs[0])
            return 1
        for job in jobs[:done]:
            if job.error is not None and is_conflict(job.error):
                self._alone(job)
        return done

    def _alone(self, job: Job) -> None:
        """Run one write in a transaction of its own, until it meets nobody."""
        for n in range(1, _TRIES + 1):
            try:
                self._persist(lambda: self._transaction([job], guarded=True), [job])
            except _DisturbedError as disturbed:
                job.result, job.error = None, disturbed.__cause__
            if job.error is None or not is_conflict(job.error):
                break
            if n == _UNIQUE_TRIES and isinstance(job.error, psycopg.errors.UniqueViolation):
                break
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.002 * 2**n)))  # noqa: S311
        if job.error is not None:
            job.error = translate(job.error, self._link.address)

    def _persist(self, transaction: Callable[[], int], jobs: Sequence[Job]) -> int:
        """Run a transaction again when the connection is lost; give up after a while."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return transaction()
            except _LostError as lost:
                self._link.drop()
                failure: BaseException = unreachable(self._link.address, str(lost))
            except StoreError as error:
                failure = error
            if time.monotonic() > deadline or failure.code != "STORE_UNREACHABLE":  # type: ignore[attr-defined]
                for job in jobs:
                    job.result, job.error = None, failure
                return len(jobs)

    def _transaction(self, jobs: Sequence[Job], *, guarded: bool) -> int:
        """Run writes in one transaction; return how many there was time for."""
        tx = self._link.tx(_PATIENCE_S)
        try:
            history = self._history(tx)
            xid = self._begin(tx, _ALONE_LOCK_MS if len(jobs) == 1 else _TOGETHER_LOCK_MS)
            done = self._run_all(tx, jobs, guarded=guarded)
        except _DisturbedError:
            self._roll_back(tx)
            raise
        except psycopg.Error as error:
            if is_lost(error, tx.connection, writes=True):
                raise _LostError(str(error).strip()) from error
            self._roll_back(tx)
            raise _DisturbedError from error
        if len(jobs) == 1 and jobs[0].error is not None:
            self._roll_back(tx)
        else:
            self._commit(tx, xid, history)
        return done

    def _begin(self, tx: PostgresTx, lock_ms: int) -> str:
        asked = time.monotonic()
        [row] = tx.plain(_BEGIN.format(lock_ms=lock_ms, synchronous=self._synchronous))
        self._clock.learn(row[1], asked, time.monotonic())
        tx.notices.clear()
        tx.forget({})
        return str(row[0])

    def _history(self, tx: PostgresTx) -> object:
        """Return what tells the server of a connection from one that takes over; asked for once."""
        if self._told is None or self._told[0] is not tx:
            try:
                found: object = tx.plain(_HISTORY)
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported):
                found = object()  # like no other
            self._told = (tx, found)
        return self._told[1]

    def _run_all(self, tx: PostgresTx, jobs: Sequence[Job], *, guarded: bool) -> int:
        deadline = time.monotonic() + _LONGEST_GROUP_S
        for n, job in enumerate(jobs):
            if n and time.monotonic() > deadline:
                return n
            self._run(tx, job, savepoint=guarded and len(jobs) > 1, alone=len(jobs) == 1)
        return len(jobs)

    def _run(self, tx: PostgresTx, job: Job, *, savepoint: bool, alone: bool) -> None:
        """Run one write. What it told others is forgotten when it fails."""
        job.result = job.error = None
        if savepoint:
            tx.flush()
            tx.plain("savepoint unit")
        told, mark = len(tx.notices), tx.mark()
        tx.wrote = False
        try:
            job.result = job.work(tx)
        except BaseException as error:
            if is_lost(error, tx.connection, writes=True):
                raise _LostError(str(error).strip()) from error
            refused = isinstance(error, psycopg.Error)
            if not (savepoint or alone) and (tx.wrote or refused):
                raise _DisturbedError from error
            job.error = error if is_conflict(error) else translate(error, self._link.address)
            del tx.notices[told:]
            tx.forget(mark)
            if savepoint:
                tx.plain("rollback to unit")
        if savepoint:
            tx.plain("release unit")

    def _commit(self, tx: PostgresTx, xid: str, history: object) -> None:
        """Commit; when the connection breaks meanwhile, ask afterwards what became of it."""
        try:
            tx.flush()
            if tx.notices:
                message = notice.merge(tx.notices).to_message(self._sender)
                tx.plain(f"select pg_notify('{CHANNEL}', %s); commit", [message])
            else:
                tx.plain("commit")
        except psycopg.Error as error:
            if not is_lost(error, tx.connection, writes=True):
                self._roll_back(tx)
                raise _DisturbedError from error
            self._link.drop()
            if not self._was_committed(xid, history):
                raise _LostError(str(error).strip()) from error

    def _was_committed(self, xid: str, history: object) -> bool:
        """Ask what became of a transaction.

        A server that took over gives the numbers of transactions it never heard of to others. There a number
        that was not committed is not ours either, and one that was committed may be another's.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                tx = self._link.tx(_PATIENCE_S)
                is_same = self._history(tx) == history
                [(status,)] = tx.plain("select pg_xact_status(%s::text::xid8)", [xid])
            except psycopg.errors.InvalidParameterValue:
                return False  # a server that never saw it took over
            except psycopg.Error:
                self._link.drop()
            else:
                if status == "committed" and not is_same:
                    raise outcome_unknown(self._link.address, "a standby took over meanwhile")
                if status != "in progress" or not is_same:
                    return bool(status == "committed")
            time.sleep(0.02)
        raise outcome_unknown(self._link.address, "the server does not say what became of it")

    def _roll_back(self, tx: PostgresTx) -> None:
        try:
            tx.plain("rollback")
        except psycopg.Error:
            self._link.drop()
