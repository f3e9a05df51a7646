"""A command line that asks to act for a user (protocol B.2)."""

from __future__ import annotations

from trigger_core.schemas.base import NullableModel, WireModel

__all__ = ["AuthorizationCode", "FetchToken", "FetchedToken", "UserToken"]


class AuthorizationCode(WireModel):
    """A code, and where a user approves it."""

    authorization_code: str
    url: str


class FetchToken(WireModel):
    """Who asks whether the code was approved."""

    authorization_code: str


class UserToken(WireModel):
    """A token, handed out this once."""

    token: str
    obfuscated_token: str


class FetchedToken(NullableModel):
    """The token, or ``null`` while nobody has approved the code."""

    token: UserToken | None
