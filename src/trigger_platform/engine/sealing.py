"""What a server does about secrets when it opens a database: it seals those that stand in plain text."""

from __future__ import annotations

from trigger_platform.engine import environment_key
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import PlainKeyRow, as_params

__all__ = ["LOCAL_TOKEN", "has_secrets", "keep_local_token", "local_token", "prepare"]

LOCAL_TOKEN = "local-access-token"  # noqa: S105 - the name of a setting
_PLACE = f"setting/{LOCAL_TOKEN}"
_PLAIN = "tr_pat_"


def has_secrets(u: Unit) -> bool:
    """Tell whether anything is sealed in this database."""
    return u.tx.scalar("environments_sealed") is not None


def prepare(u: Unit) -> None:
    """Seal what an earlier version left in plain text."""
    for row in u.tx.all("environments_in_plain", PlainKeyRow):
        kept = environment_key.stored(u.keys, row.id, row.secret_key)
        u.tx.run("environment_seal", id=row.id, **as_params(kept))
    token: str | None = u.tx.scalar("setting_get", name=LOCAL_TOKEN)
    if token is not None and token.startswith(_PLAIN):
        keep_local_token(u, token)


def local_token(u: Unit) -> str | None:
    """Return the local user's access token, if one was made.

    Raises:
        EncryptionError: the keys at hand are not those of this database.
    """
    sealed: str | None = u.tx.scalar("setting_get", name=LOCAL_TOKEN)
    return None if sealed is None else u.keys.open(sealed, _PLACE)


def keep_local_token(u: Unit, token: str) -> None:
    """Keep the local user's access token."""
    u.tx.run("setting_set", name=LOCAL_TOKEN, value=u.keys.seal(token, _PLACE))
