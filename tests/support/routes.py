"""Addresses of routes."""

from __future__ import annotations

from trigger_platform.http.endpoint import Endpoint

__all__ = ["filled"]


def filled(one: Endpoint) -> str:
    """Return an address of a route: each of its parameters is called by its own name."""
    return one.shown_path.replace("{", "").replace("}", "")
