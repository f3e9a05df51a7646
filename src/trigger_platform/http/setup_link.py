"""Links by which a user chooses a first password: sealed, good once, and stored nowhere.

The link of the first admin names no user and is good until some admin can log in; another is good until its
user can log in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from trigger_core.errors import EncryptionError, NotFoundError
from trigger_platform.engine import one_time, user
from trigger_platform.engine.organization import Added
from trigger_platform.engine.unit import Unit
from trigger_platform.http.server import Server
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import UserRow

__all__ = ["Invited", "address", "for_first_admin", "invited", "of_added", "used"]

_PLACE = "link/setup"
_LIFE_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Invited:
    """Who may choose a password; nobody yet for the first admin."""

    user: UserRow | None


def address(keys: KeyRing, url: str, now: int, user_id: str | None = None) -> str:
    """Return a link for a user, or for the first admin; it is good for a day."""
    content = json.dumps({"user": user_id, "until": now + _LIFE_MS})
    return f"{url}/setup/{keys.seal(content, _PLACE).encode().hex()}"


async def for_first_admin(server: Server) -> str | None:
    """Return the link of the first admin; ``None`` when one can log in already, or nobody has to."""
    if not server.settings.login or await server.units.read(_has_admin):
        return None
    return address(server.units.keys, server.url, server.units.clock.now())


def of_added(u: Unit, server: Server, added: Added) -> str | None:
    """Return where somebody who was added goes on; nobody has to log in on a platform of one's own."""
    if added.token is not None:
        return f"{server.url}/join/{added.token}"
    if not server.settings.login:
        return None
    return address(u.keys, server.url, u.now, added.person.id)


def invited(u: Unit, text: str) -> Invited:
    """Return whom a link invites.

    Raises:
        NotFoundError: it is no link of ours, its time is over, or it was used.
    """
    user_id, until = _content(u.keys, text)
    if until <= u.now:
        raise _unknown()
    if user_id is None:
        if u.tx.scalar("admins_with_password"):
            raise _unknown()
        return Invited(None)
    found = user.by_id(u, user_id)
    if found is None or found.password_hash is not None or found.external_id is not None:
        raise _unknown()
    if found.id == user.LOCAL_USER:
        raise _unknown()
    return Invited(found)


def used(u: Unit, text: str) -> Invited:
    """Return whom a link invites, and void it.

    Raises:
        NotFoundError: as :func:`invited`.
    """
    found = invited(u, text)
    _, until = _content(u.keys, text)
    if not one_time.spend(u, hashlib.sha256(text.encode()).hexdigest(), until):
        raise _unknown()
    return found


def _has_admin(u: Unit) -> bool:
    return bool(u.tx.scalar("admins_with_password"))


def _content(keys: KeyRing, text: str) -> tuple[str | None, int]:
    try:
        content = json.loads(keys.open(bytes.fromhex(text).decode(), _PLACE))
    except (ValueError, EncryptionError) as error:
        raise _unknown() from error
    return content["user"], content["until"]


def _unknown() -> NotFoundError:
    return NotFoundError("this link is not good any more", status=404, code="LINK_UNKNOWN")
