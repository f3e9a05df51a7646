"""Environment secret keys at rest: a stolen database opens nothing."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from support import dump, keys
from support.http import PROJECT, Platform, serving
from trigger_core.errors import EncryptionError
from trigger_core.jwt import sign
from trigger_platform.key_ring import fresh_key
from trigger_platform.store import sqlite, statements
from trigger_platform.store.migrate import APPLICATION_ID
from trigger_platform.store.opening import is_server
from trigger_platform.store.postgres import tx as postgres_tx

KEY = "tr_dev_abcdefghijklmnopqrstuvwx"
TOKEN = "tr_pat_abcdefghijklmnopqrstuvwxabcdefghijklmnop"


async def test_a_stolen_database_does_not_authenticate(address: str) -> None:
    """Neither keys nor tokens are in it, and nothing that is in it is accepted as one."""
    async with serving(address) as platform:
        key, token = platform.key, platform.server.local.access_token
        await platform.trigger("task")
        refused = [await _status(platform, word) for word in _words(dump.bytes_of(address))]
        assert await _status(platform, key) == await _status(platform, token) == 200
    stolen = dump.bytes_of(address)

    assert refused
    assert set(refused) == {401}
    assert key.encode() not in stolen
    assert token.encode() not in stolen


def _words(stolen: bytes) -> set[str]:
    """Return what looks like a hash, a sealed value, a key or a token."""
    found = re.findall(rb"[0-9a-f]{64}|s1\.[\w-]+\.[\w=-]+|tr_\w+", stolen)
    return {word.decode() for word in found}


async def _status(platform: Platform, credential: str) -> int:
    answer = await platform.http.get(
        f"/api/v1/projects/{PROJECT}/dev", headers={"authorization": f"Bearer {credential}"}
    )
    return answer.status_code


async def test_a_database_of_an_earlier_version_is_sealed_when_it_is_opened(address: str) -> None:
    """Its keys go on working, what they signed too, and no plain text of a key or token is left."""
    _earlier_version(address)
    assert KEY.encode() in dump.bytes_of(address)
    async with serving(address) as platform:
        assert platform.key == KEY
        run_id = await platform.trigger("task")
        claims = {"sub": "env", "pub": True, "scopes": [f"read:runs:{run_id}"]}
        public = sign(claims, KEY, now_ms=_real_now_ms(), life_ms=60_000)
        headers = {"authorization": f"Bearer {public}"}
        answer = await platform.http.get(f"/api/v3/runs/{run_id}", headers=headers)
        assert answer.status_code == 200
    assert KEY.encode() not in dump.bytes_of(address)
    assert TOKEN.encode() not in dump.bytes_of(address)
    async with serving(address) as platform:
        assert await _status(platform, KEY) == 200


def _earlier_version(address: str) -> None:
    """Write a database as the first version of the schema had it."""
    rows = (
        f"insert into project values ('proj', '{PROJECT}', 'p', 1);"
        "insert into environment (id, project_id, slug, type, secret_key, concurrency_limit,"
        f" burst_factor, created_at) values ('env', 'proj', 'dev', 'DEVELOPMENT', '{KEY}', 9, 1, 1);"
        f"insert into setting values ('local-access-token', '{TOKEN}');"
    )
    if is_server(address):
        text = statements.migrations(postgres_tx.DIALECT)[0][1]
        with psycopg.connect(address) as connection:
            connection.execute("create table schema_migration (number integer primary key)")
            connection.execute("insert into schema_migration values (1)")
            connection.execute(text + rows)  # type: ignore[arg-type]  # psycopg wants literals
        return
    text = statements.migrations(sqlite.DIALECT)[0][1]
    with closing(sqlite3.connect(address)) as file:
        file.executescript(text + rows)
        file.execute(f"pragma application_id = {APPLICATION_ID}")
        file.execute("pragma user_version = 1")


def _real_now_ms() -> int:
    return round(time.time() * 1000)


async def test_a_server_with_another_key_does_not_start(address: str) -> None:
    """It says which key is wanted and which are there, and changes nothing."""
    async with serving(address) as platform:
        key = platform.key
    other = fresh_key()
    with pytest.raises(EncryptionError) as refused:
        async with serving(address, encryption_key=f"new:{other.secret.hex()}"):
            pass

    assert refused.value.code == "ENCRYPTION_KEY_UNKNOWN"
    assert keys.KEYS[0].id in str(refused.value)
    assert "new" in str(refused.value)
    async with serving(address) as platform:
        assert platform.key == key


async def test_a_lost_key_file_is_not_replaced(tmp_path: Path) -> None:
    """A new key would not open what the old one sealed."""
    file, address = tmp_path / "secret.key", str(tmp_path / "trigger.db")
    from_file = {"encryption_key": None, "database": address}
    async with serving(address, **from_file):
        kept = file.read_bytes()
        file.unlink()
    with pytest.raises(EncryptionError) as refused:
        async with serving(address, **from_file):
            pass

    assert refused.value.code == "ENCRYPTION_KEY_MISSING"
    assert not file.exists()
    file.write_bytes(kept)
    file.chmod(0o600)
    async with serving(address, **from_file) as platform:
        assert platform.key.startswith("tr_dev_")


async def test_a_value_that_is_moved_to_another_row_does_not_open(address: str) -> None:
    """Who can write to the database cannot have a tenant's secret given to another one's tasks."""
    path = f"/api/v1/projects/{PROJECT}/envvars"
    async with serving(address) as platform:
        for name in ("MINE", "THEIRS"):
            body = {"name": name, "value": f"value-of-{name}"}
            assert (await platform.http.post(f"{path}/dev", json=body)).status_code == 200
    _swap(address)
    async with serving(address) as platform:
        answer = await platform.http.get(path)

        assert (answer.status_code, answer.json()["code"]) == (500, "SEALED_VALUE_DAMAGED")
        assert "value-of" not in answer.text


def _swap(address: str) -> None:
    """Put one variable's sealed value into another's row."""
    theirs = "select sealed from environment_variable where name = 'THEIRS'"
    statement = f"update environment_variable set sealed = ({theirs}) where name = 'MINE'"
    if is_server(address):
        with psycopg.connect(address) as connection:
            connection.execute(statement)  # type: ignore[arg-type]  # psycopg wants literals
        return
    with closing(sqlite3.connect(address)) as file:
        file.execute(statement)
        file.commit()
