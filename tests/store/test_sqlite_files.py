"""SQLite files: what is refused, what survives, which queries use an index."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from support.dev import until
from support.hot import HOT
from trigger_core.errors import StoreDamagedError, StoreError, StoreTooNewError
from trigger_platform.store import statements
from trigger_platform.store.sqlite import DIALECT, open_database


def _closed(file: Path) -> Path:
    open_database(file).close()
    return file


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    """In the same file."""
    file = tmp_path / "store.db"
    db = open_database(file)
    db.submit(lambda tx: tx.run("setting_set", name="a", value="b")).result()
    db.close()

    again = open_database(file)
    assert again.submit(lambda tx: tx.scalar("setting_get", name="a")).result() == "b"
    again.close()


def test_a_file_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    """With the way out."""
    file = _closed(tmp_path / "store.db")
    with sqlite3.connect(file) as connection:
        connection.execute("pragma user_version = 999")
    connection.close()
    before = file.read_bytes()

    with pytest.raises(StoreTooNewError, match="newer version"):
        open_database(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("where", [0, 100, 4096])
def test_a_damaged_file_is_reported_and_not_recreated(tmp_path: Path, where: int) -> None:
    """Header or pages."""
    file = _closed(tmp_path / "store.db")
    content = bytearray(file.read_bytes())
    content[where : where + 3000] = b"\xff" * 3000
    file.write_bytes(content)

    with pytest.raises(StoreDamagedError):
        open_database(file)
    assert file.read_bytes() == bytes(content)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """Nothing is added to it."""
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table theirs (x)")
    connection.close()

    with pytest.raises(StoreError, match="another program"):
        open_database(file)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """SQLite's own words do not say which."""
    with pytest.raises(StoreError, match=r"missing/store\.db"):
        open_database(tmp_path / "missing" / "store.db")


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_never_scans_a_table(tmp_path: Path, name: str) -> None:
    """However many finished runs there are."""
    file = _closed(tmp_path / "store.db")
    connection = sqlite3.connect(file)
    sql = statements.load(DIALECT)[name]
    names = set(re.findall(r":(\w+)", sql))
    plan = connection.execute(f"explain query plan {sql}", dict.fromkeys(names, "1")).fetchall()
    tables = {row[0] for row in connection.execute("select name from sqlite_master")}
    connection.close()

    scans = [row[3] for row in plan if row[3].startswith("SCAN") and "INDEX" not in row[3]]
    assert [scan for scan in scans if scan.split()[1] in tables] == []


@pytest.mark.parametrize("name", ["queues_waiting", "keys_waiting", "positions_waiting"])
def test_looking_for_queues_and_keys_leaps_through_the_index_of_the_queued(
    tmp_path: Path, name: str
) -> None:
    """Finished runs are not in it."""
    file = _closed(tmp_path / "store.db")
    connection = sqlite3.connect(file)
    sql = statements.load(DIALECT)[name]
    names = set(re.findall(r":(\w+)", sql))
    plan = connection.execute(f"explain query plan {sql}", dict.fromkeys(names, "1")).fetchall()
    connection.close()

    steps = [row[3] for row in plan if " run" in row[3]]
    found = "SEARCH run USING INTEGER PRIMARY KEY (rowid=?)"
    leaps = [step for step in steps if step != found]
    assert leaps
    assert all("INDEX run_claim_by_queue (<expr>=?" in step for step in leaps), steps


def test_no_commit_moves_the_log_into_the_file(tmp_path: Path) -> None:
    """A thread beside the writer does: what the file alone holds catches up by itself."""
    file = tmp_path / "store.db"
    db = open_database(file)
    rows = [{"name": f"n{n}", "value": "v"} for n in range(1_200)]
    db.submit(lambda tx: tx.many("setting_set", rows)).result()

    def moved() -> bool:
        alone = sqlite3.connect(f"file:{file}?immutable=1", uri=True)
        with (
            closing(alone),
            suppress(sqlite3.DatabaseError),
        ):  # nothing, or half of it, is there yet
            found = alone.execute("select count(*) from setting where name like 'n%'").fetchone()
            return bool(found[0] == len(rows))
        return False

    until(moved, what="the move")
    db.close()
