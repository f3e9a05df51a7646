"""``trigger init`` in every kind of folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from support.dev import run_cli

POETRY = '[tool.poetry]\nname = "x"\n\n[tool.poetry.dependencies]\npython = "^3.11"  # keep\n'
LAYOUTS = [
    '[project]\nname = "x"\nversion = "1"\n',
    '[project]\nname = "x"\nversion = "1"\ndependencies = []\n',
    '[project]\nname = "x"\nversion = "1"\ndependencies = ["httpx>=0.2"]\n\n[tool.uv]\n',
    '[project]\nname = "x"\nversion = "1"\ndependencies = [\n    # why\n    "httpx",\n    "rich[a]",\n]\n',
]


def test_an_empty_folder_becomes_a_project(tmp_path: Path) -> None:
    """Configuration, example, ignore line and dependency."""
    shown = run_cli("init", "--yes", cwd=tmp_path)

    assert shown.returncode == 0
    assert (tmp_path / "requirements.txt").read_text() == "trigger-dev[cli]\n"
    assert (tmp_path / ".gitignore").read_text() == ".trigger/\n"
    assert 'project="proj_' in (tmp_path / "trigger_config.py").read_text()
    assert 'id="hello-world"' in (tmp_path / "tasks" / "example.py").read_text()


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    """Everything is kept."""
    run_cli("init", "--yes", cwd=tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    shown = run_cli("init", "--yes", cwd=tmp_path)

    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert "created" not in shown.stdout
    assert "changed" not in shown.stdout


@pytest.mark.parametrize("text", LAYOUTS)
def test_a_standard_project_gets_the_dependency_and_keeps_the_rest(
    tmp_path: Path, text: str
) -> None:
    """As uv, pdm and hatch write it; comments stay."""
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    run_cli("init", "--yes", cwd=tmp_path)

    changed = file.read_text()
    given = tomllib.loads(text)["project"].get("dependencies", [])
    assert tomllib.loads(changed)["project"]["dependencies"] == ["trigger-dev[cli]", *given]
    assert ("# why" in changed) == ("# why" in text)
    assert not (tmp_path / "requirements.txt").exists()


def test_a_poetry_project_gets_the_dependency(tmp_path: Path) -> None:
    """In its own table."""
    file = tmp_path / "pyproject.toml"
    file.write_text(POETRY)
    run_cli("init", "--yes", cwd=tmp_path)

    dependencies = tomllib.loads(file.read_text())["tool"]["poetry"]["dependencies"]
    assert dependencies["trigger-dev"] == {"version": "*", "extras": ["cli"]}
    assert "# keep" in file.read_text()


def test_a_pip_project_gets_a_line(tmp_path: Path) -> None:
    """At the end, even where the last line was not ended."""
    (tmp_path / "requirements.txt").write_text("httpx")
    run_cli("init", "--yes", cwd=tmp_path)

    assert (tmp_path / "requirements.txt").read_text() == "httpx\ntrigger-dev[cli]\n"


def test_existing_files_are_never_overwritten(tmp_path: Path) -> None:
    """The user's configuration and tasks stay theirs."""
    (tmp_path / "trigger_config.py").write_text("mine")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "own.py").write_text("mine too")
    (tmp_path / ".gitignore").write_text("*.log")
    run_cli("init", "--yes", cwd=tmp_path)

    assert (tmp_path / "trigger_config.py").read_text() == "mine"
    assert [file.name for file in (tmp_path / "tasks").iterdir()] == ["own.py"]
    assert (tmp_path / ".gitignore").read_text() == "*.log\n.trigger/\n"


def test_invalid_toml_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    """Looking comes before writing."""
    (tmp_path / "pyproject.toml").write_text("[project\n")
    shown = run_cli("init", "--yes", cwd=tmp_path)

    assert shown.returncode == 2
    assert "pyproject.toml is not valid TOML" in shown.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["pyproject.toml"]
