"""Invitations: who has an account already joins an organisation by a link, and not by an address alone.

Nobody proves here that an e-mail address is his. So an account of that address, made by whoever came first,
is let into another organisation only by the link that the inviter handed to the person.
"""

from __future__ import annotations

import secrets

from trigger_core.errors import NotFoundError
from trigger_platform.engine.access_token import hash_of
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import InvitationRow, as_params

__all__ = ["create", "find", "is_somebody", "use", "withdraw"]

_LIFE_MS = 24 * 3600 * 1000


def create(u: Unit, organization_id: str, user_id: str, role: Role) -> str:
    """Invite a user; return the token of the link, which cannot be read again. An earlier one is void."""
    token = secrets.token_urlsafe(24)
    row = InvitationRow(
        hash_of(token), organization_id, user_id, role.name, u.now + _LIFE_MS, u.now
    )
    u.tx.run("invitations_prune", now=u.now)
    u.tx.run("invitation_put", **as_params(row))
    return token


def find(u: Unit, token: str, user_id: str) -> InvitationRow:
    """Return an invitation of a user that holds.

    Raises:
        NotFoundError: there is none, its time is over, or it is for somebody else.
    """
    found = u.tx.maybe("invitation_by_hash", InvitationRow, token_hash=hash_of(token), now=u.now)
    if found is None or found.user_id != user_id:
        raise NotFoundError(
            "this link is not good any more",
            status=404,
            code="LINK_UNKNOWN",
            because="its time is over, it was used, or it invites another user than who is logged in",
        )
    return found


def use(u: Unit, token: str, user_id: str) -> InvitationRow:
    """Return an invitation and void it.

    Raises:
        NotFoundError: it does not hold.
    """
    found = find(u, token, user_id)
    if not withdraw(u, found.organization_id, found.user_id):
        return find(u, "", user_id)  # somebody was faster
    return found


def withdraw(u: Unit, organization_id: str, user_id: str) -> bool:
    """Void an invitation; tell whether there was one."""
    return bool(u.tx.run("invitation_delete", organization_id=organization_id, user_id=user_id))


def is_somebody(u: Unit, user_id: str, organization_id: str) -> bool:
    """Tell whether an account is anybody's already, or may be by what another organisation gave away."""
    return bool(u.tx.scalar("user_is_somebody", id=user_id, organization_id=organization_id))
