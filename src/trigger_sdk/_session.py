"""Where calls go: environment variables, else the dev session of this folder or one above it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from trigger_core.errors import NoSessionError

__all__ = ["SESSION_FILE", "Credentials", "find"]

SESSION_FILE = Path(".trigger/dev.json")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A platform and the key of an environment on it."""

    api_url: str
    secret_key: str


def find(folder: Path | None = None) -> Credentials:
    """Find credentials at the moment of a call; nothing is looked up at import.

    Raises:
        NoSessionError: neither variables nor a session file; names what was looked at.
    """
    url, key = os.environ.get("TRIGGER_API_URL"), os.environ.get("TRIGGER_SECRET_KEY")
    if url and key:
        return Credentials(url, key)
    start = (folder or Path.cwd()).resolve()
    for place in (start, *start.parents):
        file = place / SESSION_FILE
        if file.is_file():
            return _merge(_read(file), url, key)
    missing = [
        name for name, value in (("TRIGGER_API_URL", url), ("TRIGGER_SECRET_KEY", key)) if not value
    ]
    raise NoSessionError(
        "no platform to talk to",
        because=f"{' and '.join(missing)} not set, and no {SESSION_FILE} in {start} or above",
        hint="start `trigger dev` in the project, or set the variables",
    )


def _merge(found: Credentials, url: str | None, key: str | None) -> Credentials:
    return Credentials(url or found.api_url, key or found.secret_key)


def _read(file: Path) -> Credentials:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Credentials(data["apiUrl"], data["secretKey"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoSessionError(
            f"the session file {file} cannot be read",
            because=f"{type(error).__name__}: {error}",
            hint="restart `trigger dev`",
        ) from error
