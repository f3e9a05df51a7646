"""Backups: one file with everything, from and into either kind of database, while servers run."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import keys, postgres
from support.dev import run_cli, until
from support.engine import Engine, open_engine, task
from support.http import PROJECT
from support.server import KEY, Started
from trigger_core.api.calls import runs as run_calls
from trigger_core.api.calls import tasks as task_calls
from trigger_core.clock import SystemClock
from trigger_core.errors import StoreError, TriggerError
from trigger_core.schemas.trigger import TriggerTask
from trigger_platform import backup, doctor
from trigger_platform.engine import project
from trigger_platform.engine.unit import Units
from trigger_platform.store import dump, migrate, opening, statements
from trigger_platform.store.postgres import dump as postgres_dump
from trigger_platform.store.sqlite import DIALECT

KINDS = ["sqlite", "postgres"]
_ASKING = """select pid from pg_stat_activity
where application_name = 'trigger' and query like 'select count(*) from pg_stat_activity%'"""


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str, str], str]:
    """Makes the address of an empty database of a kind."""

    def address(kind: str, name: str) -> str:
        return postgres.empty_database() if kind == "postgres" else str(tmp_path / f"{name}.db")

    return address


def _fill(address: str) -> None:
    """Runs in many states, of which some wait for others; texts that are hard to write down."""
    engine: Engine = open_engine(opening.open_database(address))
    engine.register(task(), task("narrow", limit=1))
    for n in range(5):
        engine.trigger(
            payload={"n": n, "text": 'é\u2028"\\\n\u0001 \U0001f600'}, tags=[f"t{n}", "all"]
        )
    engine.trigger_many(10, "narrow")
    engine.claim()
    engine.db.close()


def _everything(address: str) -> dict[str, list[Any]]:
    """Return every row of a database."""
    with opening.source(address) as opened:
        return {
            table.name: sorted(
                (dict(zip(table.columns, row, strict=True)) for row in opened.rows(table)), key=str
            )
            for table in opened.tables()
        }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_what_is_restored_is_what_was_backed_up(
    place: Callable[[str, str], str], tmp_path: Path, kind: str, other: str
) -> None:
    """Every row, from each kind of database into each; the doctor finds it whole, and work goes on."""
    source, target = place(kind, "source"), place(other, "target")
    _fill(source)
    manifest = backup.backup(source, tmp_path / "backup.zip", None)
    backup.restore(tmp_path / "backup.zip", target, None)

    assert manifest.rows["run"] == 15
    assert _everything(target) == _everything(source)
    found = {one.area for one in doctor.examine(target).findings}
    assert (
        found & {"schema", "integrity", "invariant"} == set()
    )  # its clock stands still: leases are late
    db = opening.open_database(target)
    units = Units(db, SystemClock(), random.Random(1), keys.ring())
    local = units.write_sync(project.ensure, PROJECT)
    for _ in range(2):  # numbered keys go on behind those that are there
        units.write_sync(lambda u: u.emit(local.environment.id, "run.changed", "run_x", 1))
    db.close()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_overwritten_unless_that_is_asked_for(
    place: Callable[[str, str], str], tmp_path: Path, kind: str
) -> None:
    """Neither a database nor a file."""
    source, target = place(kind, "source"), place(kind, "target")
    _fill(source)
    _fill(target)
    before = _everything(target)
    file = tmp_path / "backup.zip"
    backup.backup(source, file, None)
    with pytest.raises(StoreError) as refused:
        backup.backup(source, file, None)
    assert refused.value.code == "BACKUP_EXISTS"
    with pytest.raises(StoreError) as refused:
        backup.restore(file, target, None)
    assert refused.value.code == "RESTORE_OVERWRITES"
    assert _everything(target) == before

    backup.restore(file, target, None, force=True)
    assert _everything(target) == _everything(source) != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_a_server_uses_is_not_replaced(
    place: Callable[[str, str], str], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by force."""
    monkeypatch.setattr(postgres_dump, "_ENDING_S", 0.2)
    target = place(kind, "target")
    _fill(target)
    backup.backup(target, tmp_path / "backup.zip", None)
    db = opening.open_database(target)
    with pytest.raises(StoreError) as refused:
        backup.restore(tmp_path / "backup.zip", target, None, force=True)
    db.close()

    assert refused.value.code == "STORE_IN_USE"
    backup.restore(tmp_path / "backup.zip", target, None, force=True)


def test_a_server_that_is_ending_is_waited_for(tmp_path: Path) -> None:
    """PostgreSQL shows a connection a little longer than its client lives."""
    target = postgres.empty_database()
    _fill(target)
    backup.backup(target, tmp_path / "backup.zip", None)
    db = opening.open_database(target)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(target, autocommit=True) as watching:
        restoring = pool.submit(backup.restore, tmp_path / "backup.zip", target, None, force=True)
        until(lambda: watching.execute(_ASKING).fetchall(), what="the question who uses it")
        db.close()

    assert restoring.result().rows["run"] == 15


@pytest.mark.parametrize("damage", ["cut", "bit", "no manifest", "no zip", "fewer rows"])
def test_a_damaged_file_restores_nothing(tmp_path: Path, damage: str) -> None:
    """It is read to its end before anything is written."""
    source, file = str(tmp_path / "source.db"), tmp_path / "backup.zip"
    _fill(source)
    backup.backup(source, file, None)
    _damage(file, damage)
    with pytest.raises(StoreError) as refused:
        backup.restore(file, str(tmp_path / "target.db"), None)

    assert refused.value.code == "BACKUP_DAMAGED"
    assert not (tmp_path / "target.db").exists()


def test_wherever_a_byte_is_damaged_that_is_noticed_or_nothing_is_lost(tmp_path: Path) -> None:
    """Some bytes, like the times of members, say nothing that is needed."""
    source, file = str(tmp_path / "source.db"), tmp_path / "backup.zip"
    _fill(source)
    backup.backup(source, file, None)
    content, noticed = file.read_bytes(), 0
    rows = _read(file)
    directory = content.rindex(b"manifest.json") - 100
    positions = {*range(0, len(content), len(content) // 150), *range(directory, len(content))}
    for position in sorted(positions):
        file.write_bytes(
            content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
        )
        found = _read(file)
        assert found in (rows, "BACKUP_DAMAGED", "BACKUP_TOO_NEW")
        noticed += found != rows

    assert noticed > len(positions) / 2


def _read(file: Path) -> dict[str, list[Any]] | str:
    """Return every row of a backup that is whole, else the code of the refusal."""
    try:
        with dump.opened(file) as opened:
            opened.verify()
            return {table.name: list(opened.rows(table)) for table in opened.tables()}
    except StoreError as error:
        return error.code


def _damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "cut":
        file.write_bytes(content[:-200])
    elif how == "bit":
        with zipfile.ZipFile(file) as archive:
            largest = max(archive.infolist(), key=lambda member: member.compress_size)
        content[largest.header_offset + largest.compress_size // 2] ^= 0xFF
        file.write_bytes(content)
    elif how == "no zip":
        file.write_text("no zip")
    else:
        _rewrite(file, drop="manifest.json" if how == "no manifest" else "", cut="tables/run.jsonl")


def _rewrite(file: Path, *, drop: str, cut: str) -> None:
    copy = file.with_suffix(".copy")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name != drop:
                lines = old.read(name).splitlines(keepends=True)
                new.writestr(name, b"".join(lines[:-1] if name == cut else lines))
    copy.replace(file)


def test_an_older_backup_is_brought_up_to_date(tmp_path: Path) -> None:
    """The rows go into the schema they had; the migrations do the rest."""
    old = tmp_path / "old.db"
    known = statements.migrations(DIALECT)
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        migrate.migrate(connection, known[:1])
        connection.execute("insert into project values ('p', 'proj_x', 'x', 1)")
    backup.backup(str(old), tmp_path / "backup.zip", None)
    target = postgres.empty_database()
    backup.restore(tmp_path / "backup.zip", target, None)

    assert backup.pending(target) == (known[-1][0], known[-1][0])
    with psycopg.connect(target) as connection_:
        assert connection_.execute("select ref from project").fetchall() == [("proj_x",)]
        assert connection_.execute("select slug from organization").fetchall() == [("local",)]


def test_files_of_large_payloads_are_in_it_and_come_back(tmp_path: Path) -> None:
    """A name in the file cannot lead out of the folder."""
    source, file = str(tmp_path / "source.db"), tmp_path / "backup.zip"
    _fill(source)
    blob = tmp_path / "blobs" / "a" / "b"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(bytes(range(256)) * 1000)
    manifest = backup.backup(source, file, tmp_path / "blobs")
    assert manifest.blobs == 1
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("blobs/../../escaped", "x")

    backup.restore(file, str(tmp_path / "target.db"), tmp_path / "deep" / "restored")
    assert (tmp_path / "deep" / "restored" / "a" / "b").read_bytes() == blob.read_bytes()
    assert not list(tmp_path.rglob("escaped"))


@pytest.fixture(params=KINDS)
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Started, str]]:
    """A server and its database."""
    address = postgres.empty_database() if request.param == "postgres" else str(tmp_path / "p.db")
    server = Started(address)
    yield server, address
    server.end()


@pytest.mark.slow
def test_a_backup_under_load_has_every_run_that_was_acknowledged_before(
    started: tuple[Started, str], tmp_path: Path
) -> None:
    """Restored elsewhere, the doctor is content, and a server with the same key serves them."""
    server, address = started
    acknowledged: list[str] = []
    ending = threading.Event()

    def trigger_on() -> None:
        with closing(server.client) as client:
            while not ending.is_set():
                acknowledged.append(client.send(task_calls.trigger("t", TriggerTask())).id)

    threads = [threading.Thread(target=trigger_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) >= 200, 60, "two hundred runs")
    before = list(acknowledged)
    shown = run_cli("server", "backup", "b.zip", "--database", address, cwd=tmp_path)
    until(lambda: len(acknowledged) >= len(before) + 20, 60, "more runs")
    ending.set()
    for thread in threads:
        thread.join()
    server.stop()
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0

    restored = run_cli("server", "restore", "b.zip", "--database", "r.db", cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    found = doctor.examine(str(tmp_path / "r.db"))
    assert [one for one in found.findings if one.area != "outbox"] == []
    assert len(before) <= found.runs["QUEUED"] < len(acknowledged)
    again = Started(tmp_path / "r.db")
    with closing(again.client) as client:
        for run_id in before:
            assert client.send(run_calls.retrieve(run_id)).status == "QUEUED"
    assert again.ready["secretKey"] == server.ready["secretKey"]
    assert again.stop()[0] == 0


@pytest.mark.slow
def test_a_restored_database_opens_with_its_key_alone(tmp_path: Path) -> None:
    """Which is not in the backup; a server without it says so and changes nothing."""
    server = Started(tmp_path / "p.db", env={"TRIGGER_ENCRYPTION_KEY": ""})
    server.stop()
    assert KEY not in (tmp_path / "secret.key").read_text()
    backup.backup(str(tmp_path / "p.db"), tmp_path / "b.zip", None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    backup.restore(tmp_path / "b.zip", str(elsewhere / "p.db"), None)
    start = ("server", "start", "--database", "p.db", "--project", PROJECT, "--port", "0")
    shown = run_cli(*start, cwd=elsewhere)
    assert shown.returncode != 0
    assert "error ENCRYPTION_KEY" in shown.stderr

    shutil.copy(tmp_path / "secret.key", elsewhere)
    again = Started(elsewhere / "p.db", env={"TRIGGER_ENCRYPTION_KEY": ""})
    assert again.ready["secretKey"] == server.ready["secretKey"]
    again.stop()
    with pytest.raises(TriggerError):
        backup.backup(str(elsewhere / "p.db"), tmp_path / "b.zip", None)
