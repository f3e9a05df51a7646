"""SQLite behind the :class:`~trigger_platform.store.database.Database` interface.

One thread writes. Whatever arrives while a commit is in flight forms the next group; within a group each
write is a savepoint. Readers have connections of their own and see the last commit (WAL).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from trigger_core.clock import Clock, SystemClock
from trigger_core.errors import NumberOutOfRangeError, StoreError, TriggerError
from trigger_platform.store import behind, migrate, statements
from trigger_platform.store.checkpointer import Checkpointer
from trigger_platform.store.group_writer import GroupWriter, Job, Tally
from trigger_platform.store.notice import Notice
from trigger_platform.store.positional import Positional, positional
from trigger_platform.store.rows import columns
from trigger_platform.store.statements import Dialect

__all__ = ["DIALECT", "MEMORY", "SqliteDatabase", "open_database"]

R = TypeVar("R")
T = TypeVar("T")

MEMORY = ":memory:"
DIALECT = Dialect(
    name="sqlite",
    each="json_each({}) as each",
    lock="",
    take="",
    rows="",
    serial="integer primary key autoincrement",
    clustered=" without rowid",
    text="text",
)
_GROUP_LIMIT = 64
_READERS = 2
_BUSY_MS = 5_000
_LONGEST_LOG = 16_000
"""Pages in the log at which a commit moves them itself, because the checkpointer does not keep up."""


class SqliteTx:
    """Named statements on one connection."""

    def __init__(self, connection: sqlite3.Connection, named: Mapping[str, str]) -> None:
        self._connection = connection
        self._named = named
        self._checked: set[tuple[str, type]] = set()
        self._positional: dict[str, Positional] = {}

    def one(self, name: str, row: type[R], /, **params: Any) -> R:
        """Return the only row; raise ``LookupError`` when there is none."""
        found = self.maybe(name, row, **params)
        if found is None:
            raise LookupError(f"statement {name!r} found no row")
        return found

    def maybe(self, name: str, row: type[R], /, **params: Any) -> R | None:
        """Return the first row, or ``None``."""
        cursor = self._connection.execute(self._named[name], params)
        self._check(name, row, cursor)
        values = cursor.fetchone()
        cursor.close()
        return None if values is None else row(*values)

    def all(self, name: str, row: type[R], /, **params: Any) -> list[R]:
        """Return every row."""
        cursor = self._connection.execute(self._named[name], params)
        self._check(name, row, cursor)
        make = getattr(row, "_make", None)  # a named tuple takes a tuple as it is
        return [row(*values) for values in cursor] if make is None else list(map(make, cursor))

    def scalar(self, name: str, /, **params: Any) -> Any:
        """Return the first column of the first row, or ``None``."""
        values = self._connection.execute(self._named[name], params).fetchone()
        return None if values is None else values[0]

    def run(self, name: str, /, **params: Any) -> int:
        """Execute a statement; return how many rows it touched."""
        return self._connection.execute(self._named[name], params).rowcount

    def many(self, name: str, rows: Sequence[Any], /) -> int:
        """Execute a statement once per row; return how many rows were touched in all."""
        if not rows:
            return 0
        statement = self._positional.get(name)
        if statement is None:
            statement = self._positional[name] = positional(self._named[name])
        return self._connection.executemany(statement.text, statement.values(rows)).rowcount

    def later(self, name: str, rows: Sequence[Any], /) -> None:
        """Write rows now: a statement costs no round trip."""
        self.many(name, rows)

    def tell(self, notice: Notice) -> None:
        """Tell nobody: a file has one process."""

    def _check(self, name: str, row: type[Any], cursor: sqlite3.Cursor) -> None:
        """Rows are built by position: once per statement, compare the column names with the fields."""
        if (name, row) in self._checked:
            return
        found = [column[0] for column in cursor.description]
        expected = list(columns(row))
        if found != expected:
            raise TypeError(
                f"statement {name!r} selects {found}, but {row.__name__} has {expected}"
            )
        self._checked.add((name, row))


class SqliteDatabase:
    """One SQLite file, or a database in memory."""

    def __init__(self, path: str | Path, *, durable: bool, migrates: bool = True) -> None:
        """Open the file, creating it when missing, and bring its schema up to date.

        Args:
            path: the file, or ``":memory:"``.
            durable: whether an acknowledged write survives a power cut (``synchronous=FULL``) and not only
                the death of the process.
            migrates: whether a schema that is not up to date is brought up to date, and not refused.

        Raises:
            StoreTooNewError: a newer version of this software wrote the file.
            StoreDamagedError: the file is no database of ours or is damaged.
            StoreError: the file cannot be opened or created.
        """
        self._path = str(path)
        self._named = statements.load(DIALECT)
        self._connection = _open(self._path, durable=durable, migrates=migrates)
        self._tx = SqliteTx(self._connection, self._named)
        self._local = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._checkpointer = None if self._path == MEMORY else Checkpointer(self._path)
        self._writer = GroupWriter(self._commit, limit=_GROUP_LIMIT, at_once=not durable)

    @property
    def clock(self) -> Clock:
        """The clock of this machine."""
        return SystemClock()

    @property
    def look_every_s(self) -> float:
        """Nobody else writes: looking is a precaution."""
        return 5.0

    def listen(self, hear: Callable[[Notice], None]) -> None:
        """Do nothing: a file has one process."""

    @property
    def tally(self) -> Tally:
        """What was committed since it was opened."""
        return self._writer.tally

    def submit(
        self, work: Callable[[SqliteTx], T], on_commit: Callable[[T], None] | None = None
    ) -> Future[T]:
        """Queue a write; the future holds its result once it is committed."""
        return self._writer.submit(work, on_commit)

    async def write(
        self, work: Callable[[SqliteTx], T], on_commit: Callable[[T], None] | None = None
    ) -> T:
        """Run a write and wait for its commit; ``on_commit`` is called on this event loop."""
        return await self._writer.write(work, on_commit)

    async def read(self, work: Callable[[SqliteTx], T]) -> T:
        """Run reads on one consistent snapshot, beside the writer."""
        if self._path == MEMORY:
            return await self.write(work)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, work)

    def close(self) -> None:
        """Finish the writes that were accepted and close the connections."""
        if not self._writer.close():
            return
        if self._checkpointer is not None:
            self._checkpointer.close()
        self._readers.shutdown()
        for connection in self._reader_connections:
            connection.close()
        self._connection.close()

    def _read(self, work: Callable[[SqliteTx], T]) -> T:
        tx = getattr(self._local, "tx", None)
        if tx is None:
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            connection.execute("pragma query_only = 1")
            self._reader_connections.append(connection)
            tx = self._local.tx = SqliteTx(connection, self._named)
        connection = tx._connection  # noqa: SLF001 - the transaction is ours
        connection.execute("begin")
        try:
            return work(tx)
        except (sqlite3.Error, OverflowError) as error:
            raise _translate(error, self._path) from error
        finally:
            connection.execute("rollback")

    def _commit(self, group: list[Job]) -> None:
        """Run a group in one transaction. A failed commit fails every job of the group."""
        try:
            self._connection.execute("begin immediate")
            for job in group:
                self._run(job)
            self._connection.execute("commit")
        except BaseException as error:  # noqa: BLE001 - the writer must outlive every failure
            with suppress(sqlite3.Error):
                self._connection.execute("rollback")
            failure = _translate(error, self._path) if isinstance(error, sqlite3.Error) else error
            for job in group:
                job.error = job.error or failure
        if self._checkpointer is not None:
            self._checkpointer.committed(self._connection.total_changes)

    def _run(self, job: Job) -> None:
        execute = self._connection.execute
        execute("savepoint unit")
        try:
            job.result = job.work(self._tx)
        except BaseException as error:  # noqa: BLE001 - answered to the caller of this job
            known = isinstance(error, (sqlite3.Error, OverflowError))
            job.error = _translate(error, self._path) if known else error
            execute("rollback to unit")
        execute("release unit")


def open_database(
    path: str | Path, *, durable: bool = True, migrates: bool = True
) -> SqliteDatabase:
    """Open a database file, or ``":memory:"``; see :class:`SqliteDatabase` for what can go wrong."""
    return SqliteDatabase(path, durable=durable, migrates=migrates)


def _open(path: str, *, durable: bool, migrates: bool) -> sqlite3.Connection:
    if path != MEMORY:
        with suppress(OSError):  # what is wrong with the path is said below
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its log gets the same mode
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=512
        )
    except sqlite3.Error as error:
        raise _translate(error, path) from error
    try:
        connection.execute(f"pragma busy_timeout = {_BUSY_MS}")
        known = statements.migrations(DIALECT)
        migrate.check(connection, path, known)
        if not migrates:
            applied = connection.execute("pragma user_version").fetchone()[0]
            behind.refuse(path, applied, known)
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
        connection.execute("pragma temp_store = memory")
        connection.execute("pragma cache_size = -65536")
        connection.execute("pragma foreign_keys = off")
        connection.execute(
            "pragma secure_delete = fast"
        )  # what was replaced does not linger in its page
        connection.execute(f"pragma wal_autocheckpoint = {_LONGEST_LOG}")
        migrate.migrate(connection, known)
    except sqlite3.Error as error:
        connection.close()
        raise _translate(error, path) from error
    except StoreError:
        connection.close()
        raise
    return connection


def _translate(error: BaseException, path: str) -> TriggerError:
    """Say in our words what SQLite complains about."""
    text = str(error)
    if isinstance(error, OverflowError):
        return NumberOutOfRangeError("a number is too large to be kept", because=text)
    if "malformed" in text or "not a database" in text:
        return migrate.damaged(path, text)
    if isinstance(error, sqlite3.OperationalError) and "unable to open" in text:
        return StoreError(
            f"the database file {path} cannot be opened",
            because=text,
            hint="check that the folder exists and that you may write to it",
        )
    return StoreError(f"the database {path} refused a statement", because=text)
