"""Sessions of browsers that logged in; the database knows their hashes alone."""

from __future__ import annotations

import secrets

from trigger_platform.engine.access_token import hash_of
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import UserRow

__all__ = ["LIFE_MS", "begin", "end", "renew", "user_of"]

LIFE_MS = 7 * 24 * 3600 * 1000


def begin(u: Unit, user_id: str) -> str:
    """Begin a session and return its token; it cannot be read again."""
    token = secrets.token_urlsafe(32)
    u.tx.run("login_sessions_prune", now=u.now)
    u.tx.run(
        "login_session_insert",
        token_hash=hash_of(token),
        user_id=user_id,
        expires_at=u.now + LIFE_MS,
        now=u.now,
    )
    return token


def renew(u: Unit, earlier: str, user_id: str) -> str:
    """Begin a session in the place of the one that a browser had, if it had one."""
    end(u, earlier)
    return begin(u, user_id)


def user_of(u: Unit, token: str) -> UserRow | None:
    """Return whose session a token is, while it lasts."""
    return u.tx.maybe("login_session_user", UserRow, token_hash=hash_of(token), now=u.now)


def end(u: Unit, token: str) -> None:
    """End a session."""
    u.tx.run("login_session_end", token_hash=hash_of(token))
