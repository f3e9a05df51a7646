"""Tokens for one use that make no single run, such as those for one batch: used once, then remembered."""

from __future__ import annotations

from trigger_core.errors import UnprocessableError
from trigger_platform.engine.unit import Unit

__all__ = ["spend", "use"]


def use(u: Unit, token: str, expires_at: int) -> None:
    """Use a token; it is remembered until it expires, by what stays the same however it is spelled.

    Raises:
        UnprocessableError: it was used before.
    """
    if not spend(u, token, expires_at):
        raise UnprocessableError(
            "this token has been used already",
            status=422,
            code="ONE_TIME_TOKEN_USED",
            hint="create a token for each batch, or one with once=False",
        )


def spend(u: Unit, token: str, expires_at: int) -> bool:
    """Use a token; tell whether it was still good."""
    u.tx.run("used_tokens_prune", now=u.now)
    return bool(u.tx.run("used_token_insert", token=token, expires_at=expires_at))
