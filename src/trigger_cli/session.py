"""Finding the platform to talk to: environment variables, else the running session of this folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from trigger_core.api.client import Client
from trigger_core.errors import NoSessionError
from trigger_core.schemas.session import SESSION_FILE, DevSession

__all__ = ["client", "dashboard_url", "is_alive", "project_ref", "read"]


def client() -> Client:
    """Return a client for the environment the user means.

    Raises:
        NoSessionError: nothing says which platform that is, or the session has ended.
    """
    url, key = os.environ.get("TRIGGER_API_URL"), os.environ.get("TRIGGER_SECRET_KEY")
    if not (url and key):
        session = _running()
        url, key = url or session.api_url, key or session.secret_key
    return Client(url, key, source="cli")


def project_ref() -> str:
    """Return the project of the running session of this folder.

    Raises:
        NoSessionError: there is none.
    """
    return _running().project_ref


def dashboard_url(run_id: str) -> str | None:
    """Return the address of a run's page, when a session of this folder runs."""
    session = read(_find() or Path("nowhere"))
    return f"{session.dashboard_url}/runs/{run_id}" if session else None


def read(file: Path) -> DevSession | None:
    """Read a session file; ``None`` when there is none or it is not readable."""
    try:
        return DevSession.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def is_alive(pid: int) -> bool:
    """Tell whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _running() -> DevSession:
    file = _find()
    session = read(file) if file else None
    if session is None:
        raise NoSessionError(
            "no dev session is running here",
            because=f"there is no {SESSION_FILE} in {Path.cwd()} or above, "
            "and TRIGGER_API_URL and TRIGGER_SECRET_KEY are not both set",
            hint="start `trigger dev` in another terminal",
        )
    if not is_alive(session.pid):
        raise NoSessionError(
            "the dev session of this folder has ended",
            because=f"process {session.pid} is gone",
            at=str(file),
            hint="start `trigger dev` again",
        )
    return session


def _find() -> Path | None:
    here = Path.cwd().resolve()
    candidates = [place / SESSION_FILE for place in (here, *here.parents)]
    return next((file for file in candidates if file.is_file()), None)
