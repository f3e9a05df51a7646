"""Where calls go: environment variables, else the dev session of this folder or one above it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from trigger_core.errors import NoSessionError

__all__ = ["SESSION_FILE", "Credentials", "find", "find_project"]

SESSION_FILE = Path(".trigger/dev.json")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A platform and the key of an environment on it."""

    api_url: str
    secret_key: str
    project_ref: str = ""


def find(folder: Path | None = None) -> Credentials:
    """Find credentials at the moment of a call; nothing is looked up at import.

    Raises:
        NoSessionError: neither variables nor a session file; names what was looked at.
    """
    url, key = os.environ.get("TRIGGER_API_URL"), os.environ.get("TRIGGER_SECRET_KEY")
    if url and key:
        return Credentials(url, key)
    start = (folder or Path.cwd()).resolve()
    file = _file(start)
    if file is not None:
        return _merge(_read(file), url, key)
    missing = [
        name for name, value in (("TRIGGER_API_URL", url), ("TRIGGER_SECRET_KEY", key)) if not value
    ]
    raise NoSessionError(
        "no platform to talk to",
        because=f"{' and '.join(missing)} not set, and no {SESSION_FILE} in {start} or above",
        hint="start `trigger dev` in the project, or set the variables",
    )


def find_project() -> str:
    """Find the project that is meant: a variable's, else that of the session.

    Raises:
        NoSessionError: neither says which.
    """
    ref = os.environ.get("TRIGGER_PROJECT_REF")
    if ref:
        return ref
    file = _file(Path.cwd().resolve())
    named = _read(file).project_ref if file is not None else ""
    if named:
        return named
    raise NoSessionError(
        "no project is named",
        because=f"TRIGGER_PROJECT_REF is not set, and no {SESSION_FILE} here or above names one",
        hint='pass project="proj_…", or set the variable',
    )


def _file(start: Path) -> Path | None:
    files = (place / SESSION_FILE for place in (start, *start.parents))
    return next((file for file in files if file.is_file()), None)


def _merge(found: Credentials, url: str | None, key: str | None) -> Credentials:
    return Credentials(url or found.api_url, key or found.secret_key, found.project_ref)


def _read(file: Path) -> Credentials:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Credentials(data["apiUrl"], data["secretKey"], data.get("projectRef", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoSessionError(
            f"the session file {file} cannot be read",
            because=f"{type(error).__name__}: {error}",
            hint="restart `trigger dev`",
        ) from error
