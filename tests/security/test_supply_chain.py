"""Supply chain: what is installed is what was named, and installing runs nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_supply_chain_every_package_of_the_lock_is_named_by_its_hashes() -> None:
    """One version each, from wherever: no index is named, and no address."""
    text = (ROOT / "requirements" / "dev.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9][a-z0-9._\[\]-]*==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "--require-hashes" in (ROOT / "Makefile").read_text()
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|git\+", text)


def test_supply_chain_the_clients_of_the_tests_are_named_by_their_hashes() -> None:
    """Each package of each lock, and no script of theirs is run when they are installed."""
    locks = list((ROOT / "tests" / "compat" / "npm").glob("*/package-lock.json"))
    assert locks
    for lock in locks:
        packages = re.findall(r'"node_modules/[^"]+": \{(.*?)\n    \}', lock.read_text(), re.DOTALL)
        assert packages
        assert all('"integrity": "sha512-' in one for one in packages if '"link"' not in one)
    assert "--ignore-scripts" in (ROOT / "tests" / "support" / "npm.py").read_text()


@pytest.mark.slow
def test_supply_chain_a_wheel_holds_code_of_ours_and_runs_nothing_when_installed(
    tmp_path: Path,
) -> None:
    """No ``.pth``, no step of building, no script beside the one command, no folder but the packages."""
    source, wheels = tmp_path / "source", tmp_path / "dist"
    archive = tmp_path / "source.tar"
    subprocess.run(["git", "archive", "-o", archive, "HEAD"], cwd=ROOT, check=True)
    with tarfile.open(archive) as opened:
        opened.extractall(source, filter="data")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", wheels, source]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = wheels.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as opened_wheel:
        names = opened_wheel.namelist()
        [entries] = [one for one in names if one.endswith("entry_points.txt")]
        commands = opened_wheel.read(entries).decode()
    tops = {name.partition("/")[0] for name in names}
    packages = {one.name for one in (ROOT / "src").iterdir() if (one / "__init__.py").exists()}
    assert {one for one in tops if not one.endswith(".dist-info")} <= packages | {
        "trigger_extensions"
    }
    forbidden = (".pth", ".so", ".dll", ".exe", ".key", ".env", "setup.py", "sitecustomize.py")
    assert [name for name in names if name.endswith(forbidden)] == []
    assert commands.split() == ["[console_scripts]", "trigger", "=", "trigger_cli.app:main"]


def test_supply_chain_building_runs_no_code_of_the_project() -> None:
    """The backend is named, and has no hook of ours."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["build-backend"] == "hatchling.build"
    assert "backend-path" not in project["build-system"]
    assert "hooks" not in project.get("tool", {}).get("hatch", {}).get("build", {})
    assert not (ROOT / "setup.py").exists()
