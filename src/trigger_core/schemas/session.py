"""A running dev session, as ``.trigger/dev.json`` (mode 0600) tells other programs."""

from __future__ import annotations

from trigger_core.schemas.base import WireModel

__all__ = ["SESSION_FILE", "DevSession"]

SESSION_FILE = ".trigger/dev.json"


class DevSession(WireModel):
    """Where the session answers, and the keys to it."""

    api_url: str
    secret_key: str
    access_token: str
    project_ref: str
    dashboard_url: str
    pid: int
