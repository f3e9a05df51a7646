"""Environment variables through a running session: the command, the SDK, and what tasks are given."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from support.dev import Dev, run_cli, write_project
from trigger_cli.commands.env import _quoted
from trigger_core.errors import ApiError, NotFoundError
from trigger_sdk import envvars

TASKS = """
import logging
import os
import sys
from trigger_sdk import task, envvars, logger

@task
def read(name: str) -> str | None:
    return os.environ.get(name)

@task
def leak(name: str) -> None:
    value = os.environ[name]
    print("printed", value)
    sys.stdout.write("begun " + value[:9])
    sys.stdout.write(value[9:] + "\\n")
    print(value[:12])
    print(value[12:])
    os.write(2, b"raw " + value.encode() + b"\\n")
    logging.getLogger("app").warning("logged %s", value)
    logger.info("structured", token=value, n=1)
    raise RuntimeError("failed with " + value)

@task
async def own() -> list[str]:
    await envvars.create("MADE_BY_A_TASK", "1")
    return [one.name for one in await envvars.list()]
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all."""
    session = Dev(write_project(tmp_path_factory.mktemp("project"), TASKS))
    yield session
    session.stop()


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("envvars")]


def _env(dev: Dev, *arguments: str, stdin: str = "") -> str:
    shown = run_cli("env", *arguments, cwd=dev.folder, stdin=stdin)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def _reload(dev: Dev) -> None:
    before = dev.save("tasks/main.py", TASKS + f"\n# {len(dev.events)}\n")
    dev.event("loaded", before)


def test_a_variable_reaches_the_tasks_of_the_next_version(dev: Dev) -> None:
    """A file of the project counts before it."""
    (dev.folder / ".env").write_text("NEARER=file\n")
    _env(dev, "set", "FAR", "platform")
    _env(dev, "set", "NEARER", "platform")
    _env(dev, "set", "SECRET", "--secret", stdin="of the platform\n")
    assert dev.run("read", "FAR").output is None
    _reload(dev)

    assert dev.run("read", "FAR").output == "platform"
    assert dev.run("read", "NEARER").output == "file"
    assert dev.run("read", "SECRET").output == "of the platform"


def test_a_secret_is_not_shown_by_any_command(dev: Dev) -> None:
    """Nor pulled."""
    _env(dev, "set", "HIDDEN", "--secret", stdin="nobody-reads-this")
    listed = _env(dev, "list") + _env(dev, "list", "--json") + _env(dev, "pull")
    refused = run_cli("env", "get", "HIDDEN", cwd=dev.folder)

    assert "nobody-reads-this" not in listed
    assert refused.returncode == 2
    assert "error VARIABLE_SECRET" in refused.stderr


def test_what_is_pushed_can_be_pulled(dev: Dev, tmp_path: Path) -> None:
    """Names of the platform's are left out; a file that exists is not written over."""
    file = tmp_path / "some.env"
    file.write_text("P_ONE=1\nP_TWO='two words'\nTRIGGER_SECRET_KEY=x\n")
    _env(dev, "push", str(file))
    again = run_cli("env", "push", str(file), cwd=dev.folder)
    assert again.returncode != 0
    assert "Some of the variables are already set" in again.stderr
    _env(dev, "push", str(file), "--override")
    pulled = tmp_path / "pulled.env"
    _env(dev, "pull", str(pulled))

    assert pulled.stat().st_mode & 0o077 == 0
    values = dotenv_values(pulled)
    assert (values["P_ONE"], values["P_TWO"]) == ("1", "two words")
    assert "TRIGGER_SECRET_KEY" not in values
    assert run_cli("env", "pull", str(pulled), cwd=dev.folder).returncode != 0
    assert _env(dev, "get", "P_TWO") == "two words\n"
    _env(dev, "delete", "P_TWO")
    assert run_cli("env", "get", "P_TWO", cwd=dev.folder).returncode == 4


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")))
def test_whatever_a_value_is_it_is_read_back_from_a_pulled_file(value: str) -> None:
    """Quotes, backslashes and line ends too."""
    found = dotenv_values(stream=io.StringIO(f"A={_quoted(value)}\n"), interpolate=False)

    assert found == {"A": value}


def test_the_sdk_writes_and_reads_them(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocking and not; the project and the environment are those of the session."""
    monkeypatch.chdir(dev.folder)
    for name in [name for name in os.environ if name.startswith("TRIGGER_")]:
        monkeypatch.delenv(name)
    envvars.create_sync("S_ONE", "1")
    envvars.update_sync("S_ONE", "2")
    assert envvars.retrieve_sync("S_ONE").value == "2"
    envvars.upload_sync({"S_TWO": "secret-two"}, is_secret=True)
    assert {one.name for one in envvars.list_sync()} >= {"S_ONE", "S_TWO"}
    envvars.delete_sync("S_ONE")
    with pytest.raises(NotFoundError):
        envvars.retrieve_sync("S_ONE")

    async def likewise() -> None:
        await envvars.create("S_ONE", "1", is_secret=True)
        await envvars.update("S_ONE", "2")
        assert (await envvars.retrieve("S_ONE")).value == "<redacted>"
        with pytest.raises(ApiError):
            await envvars.upload({"S_ONE": "3"})
        await envvars.upload({"S_ONE": "3"}, override=True)
        assert "S_ONE" in [one.name for one in await envvars.list(environment="dev")]
        await envvars.delete("S_ONE")

    asyncio.run(likewise())


def test_a_task_writes_those_of_its_own_environment(dev: Dev) -> None:
    """Without saying which."""
    assert "MADE_BY_A_TASK" in dev.run("own").output


def test_a_secret_that_a_task_tells_is_told_to_nobody(dev: Dev) -> None:
    """Not in its lines, its error, the session's output, nor any file of the platform."""
    value = "leaky-secret-0123456789"
    _env(dev, "set", "LEAKY", "--secret", stdin=value)
    _reload(dev)
    run_id = dev.trigger("leak", "LEAKY")
    run = dev.result(run_id)
    lines = "\n".join(f"{one.message} {one.attributes}" for one in dev.logs(run_id))

    for word in ("printed", "begun", "raw", "logged", "structured"):
        assert word in lines
    assert "leaky-" not in lines
    assert "456789" not in lines
    assert run.error is not None
    assert "failed with <redacted>" in str(run.error)
    dev.event("run_finished", runId=run_id)
    assert "leaky-secret" not in str(run) + str(dev.events)
    for file in (dev.folder / ".trigger").iterdir():
        assert b"leaky-secret" not in file.read_bytes()


def test_a_sessions_key_is_for_its_user_alone(dev: Dev) -> None:
    """It stands beside the database, which has no value in plain text."""
    _env(dev, "set", "AT_REST", "--secret", stdin="nowhere-in-the-database")
    folder = dev.folder / ".trigger"

    assert (folder / "secret.key").stat().st_mode & 0o077 == 0
    for file in folder.glob("trigger.db*"):
        assert b"nowhere-in-the-database" not in file.read_bytes()
