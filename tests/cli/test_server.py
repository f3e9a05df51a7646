"""``trigger server``: a platform in the foreground, and a doctor for its database."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import keys, postgres
from support.dev import run_cli, until
from support.server import Started
from trigger_core.api.calls import runs as run_calls
from trigger_core.api.calls import tasks as task_calls
from trigger_core.clock import SystemClock
from trigger_core.errors import TriggerError
from trigger_core.schemas.trigger import TriggerTask
from trigger_platform.engine import project, trigger
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.store.opening import open_database

PROJECT = "proj_abcdefghijklmnopqrst"
_KEY = "0f" * 32


@dataclass(frozen=True)
class _Published:
    environment_id: str
    subject_id: str


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with one queued run, and nobody using it."""
    file = tmp_path / "platform.db"
    _fill(file)
    return file


@pytest.fixture
def address() -> str:
    """The same on PostgreSQL."""
    url = postgres.emptied_database()
    _fill(url)
    return url


def _fill(address: str | Path) -> None:
    db = open_database(address)
    units = Units(db, SystemClock(), random.Random(1), keys.ring())
    local = units.write_sync(project.ensure, PROJECT)
    units.write_sync(trigger.create, local.environment, "task", TriggerTask())
    units.write_sync(_publish_all)
    db.close()


def _publish_all(u: Unit) -> None:
    u.tx.all("outbox_take", _Published, limit=1_000)


def _doctor(database: str | Path, *options: str) -> tuple[int, dict[str, Any]]:
    shown = run_cli(
        "server", "doctor", "--database", str(database), "--json", *options, cwd=Path.cwd()
    )
    assert shown.stderr == ""
    return shown.returncode, json.loads(shown.stdout)


def _corrupt(file: Path, sql: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(sql)
    connection.close()


def test_a_sound_database_is_found_sound(database: Path) -> None:
    """With its numbers; nothing is written."""
    before = database.read_bytes()
    code, found = _doctor(database)

    assert (code, found["ok"], found["findings"]) == (0, True, [])
    assert found["runs"] == {"QUEUED": 1}
    assert found["sizes"]["run"] > 0
    assert found["oldest_queued_ms"] >= 0
    assert database.read_bytes() == before


def test_people_can_read_what_the_doctor_says(database: Path) -> None:
    """One line a fact."""
    shown = run_cli("server", "doctor", "--database", str(database), cwd=database.parent)

    assert shown.returncode == 0
    assert "nothing found" in shown.stdout
    assert "1 QUEUED" in shown.stdout


def test_what_breaks_an_invariant_is_found_and_mended_on_request(database: Path) -> None:
    """The exit code tells what is left."""
    _corrupt(database, "update run set slot_held = 1")
    code, found = _doctor(database)
    assert code == 10
    assert found["findings"][0]["area"] == "invariant"
    assert found["findings"][0]["is_mendable"]

    code, found = _doctor(database, "--repair")
    assert (code, found["mended"], found["findings"]) == (0, 1, [])
    assert _doctor(database)[0] == 0


def test_what_nobody_can_mend_stays_found(database: Path) -> None:
    """A step of a history is gone."""
    _corrupt(database, "delete from execution_snapshot")
    code, found = _doctor(database, "--repair")

    assert (code, found["mended"]) == (10, 0)
    assert "I4" in found["findings"][0]["what"]


def test_what_is_overdue_is_found(database: Path) -> None:
    """Leases, the worker that has them, events nobody published."""
    _corrupt(
        database,
        "insert into worker_instance select id, 'dev', 'b', 1, 1 from environment",
    )
    _corrupt(
        database,
        "update run set execution_status = 'EXECUTING', status = 'EXECUTING', boot_id = 'b',"
        " lease = 1, due_at = 1, slot_held = 1",
    )
    _corrupt(database, "insert into outbox values (1, 'e', 'k', 's', 1, 1)")
    code, found = _doctor(database)

    assert code == 10
    assert {"lease", "worker", "outbox"} <= {one["area"] for one in found["findings"]}


def test_a_damaged_page_is_found(database: Path) -> None:
    """Whatever SQLite itself finds."""
    content = bytearray(database.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    database.write_bytes(content)
    shown = run_cli("server", "doctor", "--database", str(database), cwd=database.parent)

    assert shown.returncode in {1, 10}
    assert "damaged" in shown.stderr or "integrity" in shown.stdout


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Not even to be repaired."""
    shown = run_cli("server", "doctor", "--repair", "--database", "no.db", cwd=tmp_path)

    assert "error STORE_MISSING" in shown.stderr
    assert list(tmp_path.iterdir()) == []


def _corrupt_server(address: str, *sql: str) -> None:
    with psycopg.connect(address) as connection:
        for one in sql:
            connection.execute(one.encode())


def test_a_sound_database_on_postgres_is_found_sound(address: str) -> None:
    """With the same numbers, and sizes that include the indexes."""
    code, found = _doctor(address)

    assert (code, found["ok"], found["findings"]) == (0, True, [])
    assert found["runs"] == {"QUEUED": 1}
    assert (found["unit"], found["sizes"]["run"] > 8192) == ("bytes", True)
    assert 0 <= found["oldest_queued_ms"] < 60_000


def test_what_breaks_an_invariant_on_postgres_is_found_and_mended(address: str) -> None:
    """What nobody can mend stays found."""
    _corrupt_server(address, "update run set slot_held = 1")
    code, found = _doctor(address)
    assert code == 10
    assert [(one["area"], one["is_mendable"]) for one in found["findings"]] == [("invariant", True)]

    code, found = _doctor(address, "--repair")
    assert (code, found["mended"], found["findings"]) == (0, 1, [])

    _corrupt_server(address, "delete from execution_snapshot")
    code, found = _doctor(address, "--repair")
    assert (code, found["mended"]) == (10, 0)
    assert "I4" in found["findings"][0]["what"]


def test_what_is_overdue_on_postgres_is_found(address: str) -> None:
    """Leases, the worker that has them, events nobody published."""
    _corrupt_server(
        address,
        "insert into worker_instance select id, 'dev', 'b', 1, 1 from environment",
        "update run set execution_status = 'EXECUTING', status = 'EXECUTING', boot_id = 'b',"
        " lease = 1, due_at = 1, slot_held = 1",
        "insert into outbox (environment_id, kind, subject_id, sequence, created_at)"
        " values ('e', 'k', 's', 1, 1)",
    )
    code, found = _doctor(address)

    assert code == 10
    assert {"lease", "worker", "outbox"} <= {one["area"] for one in found["findings"]}


def test_the_doctor_writes_nothing_to_an_empty_database() -> None:
    """Not even to repair it: starting a server makes the schema."""
    url = postgres.empty_database()
    code, found = _doctor(url, "--repair")
    assert (code, found["schema"], found["findings"][0]["area"]) == (10, 0, "schema")
    with psycopg.connect(url) as connection:
        count = "select count(*) from information_schema.tables where table_schema = 'public'"
        assert connection.execute(count).fetchone() == (0,)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("create table theirs (id integer)", "STORE_FOREIGN"),
        (
            "create table schema_migration as select 999 as number",
            "STORE_TOO_NEW",
        ),
    ],
)
def test_a_database_on_postgres_that_is_not_for_us_is_refused(
    tmp_path: Path, sql: str, code: str
) -> None:
    """With one error."""
    url = postgres.empty_database()
    _corrupt_server(url, sql)
    shown = run_cli("server", "doctor", "--database", url, cwd=tmp_path)

    assert shown.returncode not in {0, 10}
    assert f"error {code}" in shown.stderr


@pytest.mark.parametrize("command", [("doctor",), ("start", "--project", PROJECT, "--port", "0")])
def test_a_server_that_does_not_answer_is_one_error_with_a_fix(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """It shows no password."""
    nowhere = "postgresql://u:secret@127.0.0.1:1/x"
    shown = run_cli("server", *command, "--database", nowhere, cwd=tmp_path)

    assert shown.returncode == 1
    assert "error STORE_UNREACHABLE" in shown.stderr
    assert "fix:" in shown.stderr
    assert "secret" not in shown.stdout + shown.stderr


def test_the_database_comes_from_the_environment_too(database: Path) -> None:
    """As every setting of the server."""
    shown = run_cli(
        "server", "doctor", cwd=database.parent, env={"TRIGGER_DATABASE": str(database)}
    )

    assert shown.returncode == 0


def test_the_server_does_not_serve_others_without_secrets(tmp_path: Path) -> None:
    """It says everything that is missing, and starts nothing."""
    shown = run_cli(
        "server", "start", "--database", "x.db", "--project", PROJECT, "--host", "192.0.2.1",
        cwd=tmp_path,
    )  # fmt: skip

    assert shown.returncode == 2
    assert "error UNSAFE_EXPOSURE" in shown.stderr
    assert "TRIGGER_PUBLIC_URL" in shown.stderr
    assert "TRIGGER_ENCRYPTION_KEY" in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_server_needs_to_know_its_database_and_its_project(tmp_path: Path) -> None:
    """By option, variable or file."""
    shown = run_cli("server", "start", "--database", "x.db", cwd=tmp_path)

    assert shown.returncode == 2
    assert "error SETTING_MISSING" in shown.stderr
    assert "TRIGGER_PROJECT_REF" in shown.stderr


def test_a_database_server_needs_a_key_that_is_given(tmp_path: Path) -> None:
    """It has no folder to keep one in; nothing is written that could not be read again."""
    shown = run_cli(
        "server", "start", "--database", postgres.emptied_database(), "--project", PROJECT,
        "--port", "0", cwd=tmp_path,
    )  # fmt: skip

    assert shown.returncode == 1
    assert "error ENCRYPTION_KEY_MISSING" in shown.stderr
    assert "fix: set it, the same for every server of this database" in shown.stderr


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A server on a new database."""
    server = Started(tmp_path / "platform.db")
    yield server
    server.end()


@pytest.fixture
def shared() -> str:
    """A PostgreSQL database without our schema."""
    return postgres.empty_database()


@pytest.fixture
def pair(shared: str) -> Iterator[tuple[Started, Started]]:
    """Two servers on it."""
    with ExitStack() as stack:
        servers = []
        for _ in range(2):
            servers.append(Started(shared))
            stack.callback(servers[-1].end)
        yield servers[0], servers[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_serves_until_it_is_told_to_end(
    started: Started, tmp_path: Path, number: signal.Signals
) -> None:
    """It ends with 0, logs JSON lines, and what it accepted is there for the next one."""
    with closing(started.client) as client:
        run_id = client.send(task_calls.trigger("task", TriggerTask())).id
    code, lines = started.stop(number)
    assert code == 0
    assert [line["message"].split()[0] for line in lines] == ["serving", "ended"]
    assert {"time", "level", "logger", "message"} == set(lines[0])

    again = Started(tmp_path / "platform.db")
    with closing(again.client) as client:
        assert client.send(run_calls.retrieve(run_id)).status == "QUEUED"
    assert again.stop()[0] == 0


@pytest.mark.slow
def test_the_doctor_looks_at_a_server_that_runs(started: Started, tmp_path: Path) -> None:
    """Beside it, and at a copy of its file."""
    with closing(started.client) as client:
        client.send(task_calls.trigger("task", TriggerTask()))
    until(lambda: _doctor(tmp_path / "platform.db")[1]["outbox"] == 0, what="publishing")
    code, found = _doctor(tmp_path / "platform.db", "--repair")
    assert (code, found["runs"]) == (0, {"QUEUED": 1})
    started.stop()

    copy = tmp_path / "copy" / "platform.db"
    copy.parent.mkdir()
    shutil.copy(tmp_path / "platform.db", copy)
    assert _doctor(copy)[0] == 0


@pytest.mark.slow
def test_what_one_server_accepts_the_other_shows(pair: tuple[Started, Started]) -> None:
    """They serve one project with one key; the doctor looks at the database beside them."""
    one, other = pair
    assert one.ready["secretKey"] == other.ready["secretKey"]
    with closing(one.client) as here, closing(other.client) as there:
        run_id = here.send(task_calls.trigger("task", TriggerTask())).id
        assert there.send(run_calls.retrieve(run_id)).status == "QUEUED"
        there.send(run_calls.cancel(run_id))
        assert here.send(run_calls.retrieve(run_id)).status == "CANCELED"
    assert [server.stop()[0] for server in pair] == [0, 0]


@pytest.mark.slow
def test_a_server_that_is_killed_loses_nothing_it_acknowledged(
    pair: tuple[Started, Started], shared: str
) -> None:
    """It dies in the middle of writes; the other has them all and goes on."""
    killed, other = pair
    acknowledged: list[str] = []
    refused: list[TriggerError] = []
    sender = threading.Thread(target=_trigger_for_ever, args=(killed, acknowledged, refused))
    sender.start()
    until(lambda: len(acknowledged) >= 30, what="thirty runs")
    killed.process.kill()
    sender.join(timeout=30)

    assert refused
    with closing(other.client) as client:
        for run_id in acknowledged:
            assert client.send(run_calls.retrieve(run_id)).status == "QUEUED"
        client.send(task_calls.trigger("task", TriggerTask()))
    until(lambda: _doctor(shared)[1]["outbox"] == 0, what="publishing")
    code, found = _doctor(shared)
    assert (code, found["findings"]) == (0, [])
    assert found["runs"]["QUEUED"] > len(acknowledged)


def _trigger_for_ever(
    server: Started, acknowledged: list[str], refused: list[TriggerError]
) -> None:
    with closing(server.client) as client:
        while not refused:
            try:
                acknowledged.append(client.send(task_calls.trigger("task", TriggerTask())).id)
            except TriggerError as error:
                refused.append(error)
