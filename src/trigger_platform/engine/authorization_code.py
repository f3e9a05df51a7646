"""A command line asks to act for a user: a code that the user approves in a browser (protocol B.2).

The token is made when the command line fetches it, and handed out once; none is stored meanwhile.
"""

from __future__ import annotations

import secrets

from trigger_core.errors import ApiError, ConflictError, NotFoundError
from trigger_platform.engine import access_token, login_attempt
from trigger_platform.engine.access_token import Made, hash_of
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import AuthorizationCodeRow, as_params

__all__ = ["approve", "create", "find", "redeem"]

_LIFE_MS = 10 * 60_000
_TOO_MANY = 1000


def create(u: Unit, asked_from: str) -> str:
    """Return a code that somebody may approve within ten minutes.

    Raises:
        ApiError: a great many wait already, or many were asked for from there.
    """
    u.tx.run("authorization_codes_prune", now=u.now)
    login_attempt.ask_for_code(u, asked_from)
    if u.tx.scalar("authorization_codes_waiting") >= _TOO_MANY:
        raise ApiError("too many codes wait for approval", status=429, code="TOO_MANY_CODES")
    code = secrets.token_urlsafe(24)
    row = AuthorizationCodeRow(hash_of(code), asked_from, None, u.now + _LIFE_MS, u.now)
    u.tx.run("authorization_code_insert", **as_params(row))
    return code


def find(u: Unit, code: str) -> AuthorizationCodeRow:
    """Return a code that waits.

    Raises:
        NotFoundError: there is none, or its time is over.
    """
    found = u.tx.maybe(
        "authorization_code_by_hash", AuthorizationCodeRow, code_hash=hash_of(code), now=u.now
    )
    if found is None:
        raise NotFoundError(
            "this code is not known, or its time is over", status=404, code="CODE_UNKNOWN"
        )
    return found


def approve(u: Unit, code: str, user_id: str) -> None:
    """Let who asked for the code act for a user.

    Raises:
        NotFoundError: there is no such code.
        ConflictError: it was approved before.
    """
    find(u, code)
    if not u.tx.run("authorization_code_approve", code_hash=hash_of(code), user_id=user_id):
        raise ConflictError("this code was approved before", status=409, code="CODE_APPROVED")


def redeem(u: Unit, code: str) -> Made | None:
    """Return a token for an approved code, once; ``None`` while nobody has approved it.

    Raises:
        ApiError: there is no such code, or no more.
    """
    try:
        found = find(u, code)
    except NotFoundError as error:
        raise _invalid() from error
    if found.user_id is None:
        return None
    if not u.tx.run("authorization_code_delete", code_hash=found.code_hash):
        raise _invalid()  # another process was asked at the same moment
    return access_token.create(u, f"command line ({found.asked_from})", found.user_id)


def _invalid() -> ApiError:
    return ApiError("Invalid authorization code, or code expired", status=400, code="CODE_UNKNOWN")
