"""Identities: who somebody is at the OpenID provider, and which user that is here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from trigger_core.errors import PermissionDeniedError
from trigger_platform.engine import user
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import UserRow

__all__ = ["Identity", "user_of"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What the provider says of somebody.

    Attributes:
        issuer: the provider.
        subject: what names the person there for ever; addresses may change hands.
        email: the address, only if the provider has verified it.
    """

    issuer: str
    subject: str
    email: str | None
    name: str | None

    @property
    def external_id(self) -> str:
        """What the person is known by here; no address of a provider has a space."""
        return f"{self.issuer} {self.subject}"


def user_of(
    u: Unit, identity: Identity, domains: Collection[str], logged_in: str | None = None
) -> UserRow:
    """Return the user somebody is: known by the subject, else by a verified address, else new.

    An account with a password may have been made by anybody in the name of the address. So it becomes this
    person's only when who comes back from the provider is logged in to it as well.

    Args:
        u: the unit of work.
        identity: who it is at the provider.
        domains: of addresses that become users without being invited.
        logged_in: the user whom the browser is logged in as already.

    Raises:
        PermissionDeniedError: nobody here is this person, or the address is somebody else's.
    """
    known = u.tx.maybe("user_by_external_id", UserRow, external_id=identity.external_id)
    if known is not None:
        return known
    if identity.email is None:
        raise _refused("the provider does not say that your e-mail address is verified")
    person = user.by_email(u, identity.email)
    if person is None:
        if identity.email.rpartition("@")[2].lower() not in domains:
            raise _refused(f"{identity.email} is not invited")
        person = user.create(u, identity.email, identity.name)
    elif person.external_id is not None or person.id == user.LOCAL_USER:
        raise _refused(f"{identity.email} is somebody else here")
    elif person.password_hash is not None and person.id != logged_in:
        raise _refused(
            f"{identity.email} has a password here: log in with it first, and then with single sign-on"
        )
    u.tx.run("user_link", id=person.id, external_id=identity.external_id)
    return person


def _refused(what: str) -> PermissionDeniedError:
    return PermissionDeniedError(what, status=403, code="LOGIN_REFUSED")
