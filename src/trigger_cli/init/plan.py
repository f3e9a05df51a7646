"""What a folder needs to become a project. Looking is separate from writing: nothing here changes a file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trigger_core import ids
from trigger_core.errors import ConfigError

__all__ = ["Change", "plan"]

_REQUIREMENT = "trigger-dev[cli]"
_CONFIG = """from trigger_sdk import define_config

config = define_config(project="{project}", dirs=["tasks"])
"""
_EXAMPLE = '''from pydantic import BaseModel

from trigger_sdk import logger, task


class Hello(BaseModel):
    message: str


@task(id="hello-world")
async def hello_world(hello: Hello) -> str:
    """Answer a greeting."""
    logger.info("saying hello", message=hello.message)
    return f"You said: {hello.message}"
'''
_IGNORED = ".trigger/"


@dataclass(frozen=True, slots=True)
class Change:
    """One file: what is done to it, what it will contain, and why.

    ``kept`` means that it has what is needed already.
    """

    file: Path
    kind: Literal["created", "changed", "kept"]
    content: str
    why: str


def plan(folder: Path) -> list[Change]:
    """Return the changes a folder needs, in the order to make them.

    Raises:
        ConfigError: a file that has to be changed cannot be read as what it is.
    """
    return [
        _missing(
            folder / "trigger_config.py", _CONFIG.format(project=ids.project_ref()), "configuration"
        ),
        *_example(folder),
        _ignore(folder / ".gitignore"),
        _dependency(folder),
    ]


def _missing(file: Path, content: str, why: str) -> Change:
    if file.exists():
        return Change(file, "kept", "", why)
    return Change(file, "created", content, why)


def _example(folder: Path) -> Iterator[Change]:
    """A folder that has tasks needs no example."""
    tasks = folder / "tasks"
    has_tasks = any(tasks.glob("*.py")) if tasks.is_dir() else False
    if not has_tasks or (tasks / "example.py").exists():
        yield _missing(tasks / "example.py", _EXAMPLE, "an example task")


def _ignore(file: Path) -> Change:
    why = f"{_IGNORED} holds local data and keys"
    if not file.exists():
        return Change(file, "created", f"{_IGNORED}\n", why)
    text = _read(file)
    if any(line.strip().rstrip("/").lstrip("/") == ".trigger" for line in text.splitlines()):
        return Change(file, "kept", "", why)
    return Change(file, "changed", f"{_ended(text)}{_IGNORED}\n", why)


def _dependency(folder: Path) -> Change:
    pyproject = folder / "pyproject.toml"
    why = f"the dependency {_REQUIREMENT}"
    if pyproject.exists():
        text = _read(pyproject)
        data = _parse(pyproject, text)
        if "poetry" in data.get("tool", {}) and "dependencies" not in data.get("project", {}):
            return _poetry(pyproject, text, data, why)
        if "project" in data:
            return _standard(pyproject, text, data, why)
    return _requirements(folder / "requirements.txt", why)


def _standard(file: Path, text: str, data: dict[str, Any], why: str) -> Change:
    """PEP 621, as uv, pdm, hatch and newer poetry keep it."""
    given = data["project"].get("dependencies")
    if given is not None and any(_is_ours(one) for one in given):
        return Change(file, "kept", "", why)
    if given is None:
        changed = _after_header(text, "project", f'dependencies = ["{_REQUIREMENT}"]')
    else:
        changed = _into_array(text, empty=not given)
    return _checked(file, changed, why, lambda new: new["project"]["dependencies"])


def _poetry(file: Path, text: str, data: dict[str, Any], why: str) -> Change:
    poetry = data["tool"]["poetry"]
    if any(_is_ours(name) for name in poetry.get("dependencies", {})):
        return Change(file, "kept", "", why)
    line = 'trigger-dev = { version = "*", extras = ["cli"] }'
    if "dependencies" in poetry:
        changed = _after_header(text, "tool.poetry.dependencies", line)
    else:
        changed = f"{_ended(text)}\n[tool.poetry.dependencies]\n{line}\n"
    return _checked(file, changed, why, lambda new: new["tool"]["poetry"]["dependencies"])


def _requirements(file: Path, why: str) -> Change:
    if not file.exists():
        return Change(file, "created", f"{_REQUIREMENT}\n", why)
    text = _read(file)
    if any(_is_ours(line) for line in text.splitlines()):
        return Change(file, "kept", "", why)
    return Change(file, "changed", f"{_ended(text)}{_REQUIREMENT}\n", why)


def _is_ours(requirement: str) -> bool:
    name = re.match(r"[\w.-]+", requirement.strip())
    return name is not None and re.sub(r"[-_.]+", "-", name.group(0)).lower() == "trigger-dev"


def _after_header(text: str, table: str, line: str) -> str:
    """Put a line first in a table, leaving everything else as it is."""
    header = re.compile(rf"^\[\s*{re.escape(table)}\s*\][^\n]*\n?", re.MULTILINE)
    return header.sub(lambda match: f"{_ended(match.group(0))}{line}\n", text, count=1)


def _into_array(text: str, *, empty: bool) -> str:
    """Add the requirement at the front of ``dependencies = [`` of the project table."""
    start = re.search(r"^\[\s*project\s*\]", text, re.MULTILINE)
    opening = re.compile(r"^(\s*dependencies\s*=\s*\[)(\s*)", re.MULTILINE)
    comma = "" if empty else ","

    def add(match: re.Match[str]) -> str:
        gap = match.group(2)
        space = gap if "\n" in gap else ("" if empty else " ")
        before = gap if "\n" in gap else ""
        return f'{match.group(1)}{before}"{_REQUIREMENT}"{comma}{space}'

    head, tail = (text[: start.end()], text[start.end() :]) if start else ("", text)
    return head + opening.sub(add, tail, count=1)


def _checked(file: Path, changed: str, why: str, where: Any) -> Change:
    """Make sure that the edited file says what it should before it is written."""
    if not any(_is_ours(name) for name in where(_parse(file, changed))):
        raise ConfigError(
            f"{file.name} is laid out in a way that cannot be edited safely",
            hint=f'add the dependency "{_REQUIREMENT}" by hand, then run `trigger init` again',
        )
    return Change(file, "changed", changed, why)


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file.name} is not valid TOML", because=str(error), at=str(file)
        ) from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read", because=str(error)) from error


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
