"""Secrets at rest: what is in the files of a server opens nothing. Sealing: ``tests/secrets``."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from support import keys
from support.dev import run_cli
from support.http import PROJECT, serving
from support.server import Started


async def test_secrets_at_rest_the_key_of_an_environment_is_not_in_the_database(
    tmp_path: Path,
) -> None:
    """Nor the key that it is sealed with."""
    address = str(tmp_path / "p.db")
    async with serving(address) as platform:
        key = platform.key
        platform.server.units.db.submit(lambda _tx: None).result()
    content = b"".join(file.read_bytes() for file in tmp_path.glob("p.db*"))  # noqa: ASYNC240
    assert key.encode() not in content
    assert json.dumps(keys.TEXT).encode() not in content


@pytest.mark.slow
def test_secrets_at_rest_the_files_of_a_server_are_its_owners_alone(tmp_path: Path) -> None:
    """The database, its log, the key, blobs and backups, whatever the shell's mask is."""
    os.umask(0)
    try:
        folder = tmp_path / "data"
        folder.mkdir()
        database = folder / "t.db"
        migrated = run_cli("server", "migrate", "--database", str(database), cwd=folder)
        assert migrated.returncode == 0, migrated.stderr
        started = Started(database, env={"TRIGGER_ENCRYPTION_KEY": ""})
        assert started.ready["url"]
        started.stop()
        backup = ("server", "backup", str(folder / "b.backup"), "--database", str(database))
        shown = run_cli(*backup, cwd=folder)
        assert shown.returncode == 0, shown.stderr
        create = ("server", "create-admin", "a@example.com", "--database", str(folder / "new.db"))
        run_cli(*create, "--project", PROJECT, cwd=folder)
        for one in folder.rglob("*"):
            mode = stat.S_IMODE(one.stat().st_mode)
            assert mode & 0o077 == 0, (one.name, oct(mode))
    finally:
        os.umask(0o022)
