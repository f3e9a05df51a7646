"""Rotating keys: everything is encrypted anew while servers run, also when the rotation is killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from support.dev import clean_env, run_cli, until
from support.http import PROJECT
from support.keys import KEYS, TEXT
from trigger_core.errors import EncryptionError
from trigger_platform.engine import environment, project, secret_key, variable
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.engine.variable import Changes
from trigger_platform.key_file import KeyFile
from trigger_platform.key_ring import KeyRing, key_of, parse_keys
from trigger_platform.store.opening import is_server, open_database
from trigger_platform.store.rows import EnvironmentRow, VariableRow

NEW = f"new:{'0a' * 32}"
BOTH = f"{NEW},{TEXT}"
MANY = 1_500
ENVVARS = f"/api/v1/projects/{PROJECT}/envvars"


@dataclass
class Running:
    """A server in a process of its own, and where its keys come from."""

    address: str
    keys: dict[str, str]
    process: subprocess.Popen[str]
    ready: dict[str, str] = field(default_factory=dict)

    def client(self) -> httpx.Client:
        """A client with the key of its environment."""
        headers = {"authorization": f"Bearer {self.ready['secretKey']}"}
        return httpx.Client(base_url=self.ready["url"], headers=headers, timeout=30)

    def rotate(self, *options: str, keys: dict[str, str] | None = None) -> Any:
        """Rotate; returns what was printed."""
        command = ("server", "rotate-keys", "--database", self.address, "--json", *options)
        shown = run_cli(*command, cwd=Path.cwd(), env=self.keys if keys is None else keys)
        assert shown.returncode == 0, shown.stderr + shown.stdout
        return json.loads(shown.stdout)

    def rotation(self) -> subprocess.Popen[str]:
        """Begin to rotate."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "trigger_cli.app", "server", "rotate-keys"),
                *("--database", self.address),
            ],
            env=clean_env() | self.keys,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextmanager
def _running(address: str, keys: dict[str, str]) -> Iterator[Running]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "trigger_cli.app", "server", "start", "--json", "--show-key"),
            *("--database", address, "--project", PROJECT, "--port", "0"),
        ],
        env=clean_env() | keys,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    server = Running(address, keys, process)
    try:
        server.ready = json.loads(process.stdout.readline())
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


def _ring(address: str, given: str) -> KeyRing:
    if is_server(address):
        return KeyRing(parse_keys(given, at=""))
    return KeyFile(Path(address).with_name("secret.key")).ring()


def _look(address: str, ring: KeyRing, function: Callable[[Unit], Any]) -> Any:
    db = open_database(address)
    try:
        return Units(db, db.clock, random.Random(1), ring).write_sync(function)
    finally:
        db.close()


def _here(u: Unit) -> EnvironmentRow:
    found = project.by_ref(u, PROJECT)
    assert found is not None
    here = environment.find_developers(u, found, "user_local")
    assert here is not None
    return here


def _fill(u: Unit) -> None:
    here = _here(u)
    variable.put(u, here, Changes({f"V{n}": f"value-{n}" for n in range(MANY)}))


def _sealed(u: Unit) -> Counter[str]:
    """Count the values by the key that sealed them; every one must open."""
    here = _here(u)
    rows: list[VariableRow] = variable.rows(u, here)
    for row in rows:
        variable.read(u.keys, row)
    secret_key.read(u.keys, here)
    return Counter(key_of(sealed) for sealed in [*(r.sealed for r in rows), here.secret_key_sealed])


@pytest.fixture
def server(address: str) -> Iterator[Running]:
    """A server with many variables; with PostgreSQL it is given both keys, the older one first."""
    keys = {"TRIGGER_ENCRYPTION_KEY": f"{TEXT},{NEW}"} if is_server(address) else {}
    with _running(address, keys) as running:
        _look(address, _ring(address, TEXT), _fill)
        if is_server(address):
            running.keys = {"TRIGGER_ENCRYPTION_KEY": BOTH}
        yield running


class _Load:
    """Somebody who reads and writes variables all the time."""

    def __init__(self, server: Running) -> None:
        self.wrong: list[str] = []
        self.written: dict[str, str] = {}
        self.rounds = 0
        self._stop = threading.Event()
        self._http = server.client()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._http.close()

    def _work(self) -> None:
        while not self._stop.is_set():
            self.rounds += 1
            name, value = f"V{self.rounds % MANY}", f"changed-{self.rounds}"
            body = {"name": name, "value": value}
            self._expect(self._http.post(f"{ENVVARS}/dev", json=body))
            self.written[name] = value
            found = self._expect(self._http.get(ENVVARS)).json()["variables"]
            if found[name] != value:
                self.wrong.append(f"{name} is {found[name]}")
            self._expect(self._http.post("/api/v1/tasks/task/trigger", json={}))

    def _expect(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code != 200:
            self.wrong.append(answer.text)
        return answer


@pytest.mark.slow
def test_a_rotation_that_is_killed_goes_on_later_while_a_server_works(server: Running) -> None:
    """No request fails, no write is lost, and in the end the newest key has sealed everything."""
    with _Load(server) as load:
        until(lambda: load.rounds > 2)
        killed = server.rotation()
        assert killed.stderr is not None
        assert "values so far" in killed.stderr.readline()
        killed.kill()
        killed.wait()
        both = _look(server.address, _ring(server.address, BOTH), _sealed)
        assert len(both) == 2, "it was killed too late to tell"
        seen = load.rounds
        until(lambda: load.rounds > seen + 2)
        done = server.rotate()
        seen = load.rounds
        until(lambda: load.rounds > seen + 2)
    if killed.stdout is not None:
        killed.stdout.close()
    killed.stderr.close()
    again = server.rotate("--forget")

    assert load.wrong == []
    assert done["was_begun"] is True
    assert done["changed"] < MANY
    ring = _ring(server.address, NEW)
    assert set(_look(server.address, ring, _sealed)) == {again["key"]}
    with server.client() as http:
        found = http.get(ENVVARS).json()["variables"]
    assert {name: found[name] for name in load.written} == load.written
    assert len([name for name in found if name.startswith("V")]) == MANY


@pytest.mark.slow
def test_after_a_rotation_the_old_key_is_not_needed(address: str) -> None:
    """A server starts with the new one alone; the old one alone does not open the database."""
    old = {"TRIGGER_ENCRYPTION_KEY": TEXT} if is_server(address) else {}
    both = {"TRIGGER_ENCRYPTION_KEY": BOTH} if is_server(address) else {}
    new = {"TRIGGER_ENCRYPTION_KEY": NEW} if is_server(address) else {}
    file = KeyFile(Path(address).with_name("secret.key"))
    with _running(address, old) as first:
        key = first.ready["secretKey"]
        _write(first)
        before = KEYS if is_server(address) else file.read()
        done = first.rotate(keys=both)
        forgotten = first.rotate("--forget", keys=both)
        if not is_server(address):
            assert _read(first) == "of-before"
            assert forgotten["forgotten"] == [before[0].id]
            assert [one.id for one in file.read()] == [done["key"]]
            assert file.path.stat().st_mode & 0o077 == 0
    with pytest.raises(EncryptionError) as refused:
        _look(address, KeyRing(before), _sealed)
    assert refused.value.code == "ENCRYPTION_KEY_UNKNOWN"
    with _running(address, new) as second:
        assert second.ready["secretKey"] == key
        assert _read(second) == "of-before"


def _write(server: Running) -> None:
    with server.client() as http:
        answer = http.post(f"{ENVVARS}/dev", json={"name": "A", "value": "of-before"})
        assert answer.status_code == 200


def _read(server: Running) -> str:
    with server.client() as http:
        return str(http.get(ENVVARS).json()["variables"]["A"])


def test_a_value_of_an_unknown_key_stops_the_rotation(tmp_path: Path) -> None:
    """With the key that is missing; nothing is lost."""
    address = str(tmp_path / "trigger.db")
    with _running(address, {"TRIGGER_ENCRYPTION_KEY": TEXT}):
        pass
    shown = run_cli(
        "server", "rotate-keys", "--database", address,
        cwd=tmp_path, env={"TRIGGER_ENCRYPTION_KEY": NEW},
    )  # fmt: skip

    assert shown.returncode == 1
    assert "error ENCRYPTION_KEY_UNKNOWN: the key test is not known" in shown.stderr
    assert not (tmp_path / "secret.key").exists()
