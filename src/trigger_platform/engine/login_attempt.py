"""Who guesses passwords has to wait: tries are counted by account and by address, in all processes together.

A try is counted before it is looked at, so that a thousand at once are not looked at before the first has
failed; one that was right is taken back.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping

from trigger_core.errors import ApiError
from trigger_platform.engine.unit import Unit

__all__ = ["ask_for_code", "begin", "network_of", "succeeded"]

_WINDOW_MS = 15 * 60_000
_MOST_FROM_ONE_PLACE = 5
_MOST_OF_AN_ACCOUNT = 50
"""From everywhere: fewer would let anybody keep the owner out."""
_MOST_OF_A_PLACE = 50
_MOST_CODES_OF_A_PLACE = 50


def begin(u: Unit, client: str, account: str | None = None) -> None:
    """Count a try from an address, at an account if one is named.

    Raises:
        ApiError: there were too many lately.
    """
    _count(u, _limits(client, account), "too many failed logins", code="TOO_MANY_LOGINS")


def ask_for_code(u: Unit, client: str) -> None:
    """Count a command line that asks to be let in, so that one place does not use up what there is for all.

    Raises:
        ApiError: there were too many from there lately.
    """
    limits = {f"codes of {network_of(client)}": _MOST_CODES_OF_A_PLACE}
    _count(u, _hashed(limits), "too many codes wait for approval", code="TOO_MANY_CODES")


def succeeded(u: Unit, client: str, account: str | None = None) -> None:
    """Take a try back: it was right."""
    for key in sorted(_limits(client, account)):
        u.tx.run("login_attempt_forget", key_hash=key)


def network_of(client: str) -> str:
    """Return what stands for an address: of IPv6 the network, of which one person has all addresses."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, 64), strict=False))


def _count(u: Unit, limits: Mapping[str, int], what: str, *, code: str) -> None:
    u.tx.run("login_attempts_prune", now=u.now)
    for key, most in sorted(limits.items()):
        known = u.tx.scalar("login_attempt_count", key_hash=key, expires_at=u.now + _WINDOW_MS)
        if known > most:
            raise ApiError(f"{what}; try again in a quarter of an hour", status=429, code=code)


def _limits(client: str, account: str | None) -> Mapping[str, int]:
    """Return what is counted, and how many tries each may have."""
    place = network_of(client)
    limits = {f"place {place}": _MOST_OF_A_PLACE}
    if account is not None:
        limits[f"account {account}"] = _MOST_OF_AN_ACCOUNT
        limits[f"account {account} from {place}"] = _MOST_FROM_ONE_PLACE
    return _hashed(limits)


def _hashed(limits: Mapping[str, int]) -> Mapping[str, int]:
    """Return the limits by the hash of what is counted: who tried what is not kept."""
    return {hashlib.sha256(key.encode()).hexdigest(): most for key, most in limits.items()}
