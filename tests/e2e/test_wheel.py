"""The wheel, in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.dev import clean_env, until

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_a_wheel_from_a_clean_clone_runs_a_session(tmp_path: Path) -> None:
    """Built, installed with its dependencies, and used: init, dev, run."""
    clone, wheels, venv, project = (
        tmp_path / name for name in ("clone", "dist", "venv", "project")
    )
    _do("git", "clone", "--quiet", str(ROOT), str(clone))
    _do(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(wheels), str(clone))
    [wheel] = wheels.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "trigger_sdk/py.typed" in names
    assert "trigger_platform/dashboard/static/live.js" in names
    assert "trigger_cli/skills/writing-tasks/SKILL.md" in names
    _do(sys.executable, "-m", "venv", str(venv))
    _do(str(venv / "bin" / "pip"), "install", "--quiet", f"{wheel}[cli]")
    trigger = str(venv / "bin" / "trigger")
    project.mkdir()
    _do(trigger, "init", "--yes", cwd=project)

    with subprocess.Popen(
        [trigger, "dev", "--port", "0"], cwd=project, env=clean_env(), stdout=subprocess.DEVNULL
    ) as session:
        try:
            until((project / ".trigger" / "dev.json").exists, what="the session")
            shown = _do(trigger, "run", "hello-world", '{"message": "hi"}', "--wait", cwd=project)
        finally:
            session.terminate()
            session.wait(timeout=20)
    assert shown == '"You said: hi"\n'


def _do(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_env() | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
