"""Public access tokens: signed with the environment's secret key, for browsers (protocol B.3)."""

from __future__ import annotations

import hashlib
import json
import secrets
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from trigger_core.errors import AuthenticationError
from trigger_core.jwt import AUDIENCE, ISSUER, sign
from trigger_platform.engine import secret_key
from trigger_platform.engine.revocation import Named
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import EnvironmentRow

__all__ = [
    "PublicToken",
    "environment_of",
    "headers_for_batch",
    "headers_for_run",
    "headers_for_token",
    "mint",
    "read",
    "verify",
]

# A key has 31 characters, 24 of them random: the protocol fixed its form, the library would like one more.
warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)

_LIFE_S = 3600
_TOKEN_LIFE_S = 86_400
_END_OF_TIME_S = 2**53


@dataclass(frozen=True, slots=True)
class PublicToken:
    """What a token allows.

    Attributes:
        scopes: which actions on what.
        once: tells a token that triggers a single run from others.
        skip_columns: what its holder may not see of runs that it follows.
        named: what it is known by where it was revoked.
    """

    scopes: tuple[str, ...]
    expires_at: int
    signed_at: int
    named: Named
    once: str | None = None
    skip_columns: tuple[str, ...] = ()


def headers_for_run(
    keys: KeyRing, environment: EnvironmentRow, run_id: str, now_ms: int
) -> dict[str, str]:
    """Return both headers of a trigger's answer (protocol A.2)."""
    scopes = [f"read:runs:{run_id}", f"write:inputStreams:{run_id}"]
    return _headers(keys, environment, scopes, now_ms, _LIFE_S)


def headers_for_batch(
    keys: KeyRing,
    environment: EnvironmentRow,
    batch_id: str,
    now_ms: int,
    *,
    is_browser: bool = False,
) -> dict[str, str]:
    """Return both headers of a created batch's answer; a page may write its batch too (protocol A.3)."""
    actions = ("read", "write") if is_browser else ("read",)
    scopes = [f"{action}:batch:{batch_id}" for action in actions]
    return _headers(keys, environment, scopes, now_ms, _LIFE_S)


def headers_for_token(
    keys: KeyRing, environment: EnvironmentRow, token_id: str, now_ms: int
) -> dict[str, str]:
    """Return both headers of a created waitpoint token's answer; they hold for a day (protocol A.13)."""
    return _headers(keys, environment, [f"write:waitpoints:{token_id}"], now_ms, _TOKEN_LIFE_S)


def _headers(
    keys: KeyRing, environment: EnvironmentRow, scopes: list[str], now_ms: int, life_s: int
) -> dict[str, str]:
    claims = {"sub": environment.id, "pub": True, "scopes": scopes}
    return {
        "x-trigger-jwt": mint(keys, environment, claims, now_ms, life_s),
        "x-trigger-jwt-claims": json.dumps(claims, separators=(",", ":")),
    }


def mint(
    keys: KeyRing,
    environment: EnvironmentRow,
    claims: dict[str, Any],
    now_ms: int,
    life_s: int = _LIFE_S,
) -> str:
    """Sign claims; the token lives for an hour unless told otherwise."""
    claims = claims | {
        "jti": secrets.token_hex(8)
    }  # two of one second are two, and one can be revoked
    key = secret_key.read(keys, environment)
    return sign(claims, key, now_ms=now_ms, life_ms=life_s * 1000)


def environment_of(token: str) -> str | None:
    """Return the environment a token claims to be of, unverified; ``None`` if it is no public token."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return None
    return str(claims["sub"]) if claims.get("pub") is True and "sub" in claims else None


def verify(
    keys: KeyRing, token: str, signers: Sequence[EnvironmentRow], now_ms: int
) -> PublicToken:
    """Return what a token allows that an environment signed, with one of its keys.

    Raises:
        AuthenticationError: it is expired, was revoked with all others, or was not signed with these keys.
    """
    found = read(keys, token, signers)
    if found.expires_at <= now_ms:
        raise AuthenticationError("the public access token has expired", status=401)
    if found.signed_at < signers[0].tokens_since:
        raise AuthenticationError("the public access token has been revoked", status=401)
    return found


def read(keys: KeyRing, token: str, signers: Sequence[EnvironmentRow]) -> PublicToken:
    """Return what a token says, whether it still holds or not.

    Raises:
        AuthenticationError: it was not signed with these keys.
    """
    claims = _claims(keys, token, signers)
    digest = _fingerprint(token)
    once = digest if claims.get("otu") is True else None
    id_ = claims.get("jti")
    realtime = claims.get("realtime")
    skipped = _texts(realtime.get("skipColumns", [])) if isinstance(realtime, dict) else ()
    return PublicToken(
        _texts(claims.get("scopes", [])),
        _moment(claims["exp"]),
        _moment(claims.get("iat", 0)),
        Named(id_ if isinstance(id_, str) else None, digest),
        once,
        skipped,
    )


def _claims(keys: KeyRing, token: str, signers: Sequence[EnvironmentRow]) -> dict[str, Any]:
    """Return what a token says; when it expires is compared with the platform's clock, not here."""
    problem: jwt.PyJWTError | None = None
    for signer in signers:
        try:
            return jwt.decode(
                token,
                secret_key.read(keys, signer),
                algorithms=["HS256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            problem = error
    raise AuthenticationError(
        "the public access token is not valid", status=401, because=str(problem)
    ) from problem


def _moment(seconds: object) -> int:
    """Return a moment that a token names (ms); one whose times are no numbers opens nothing."""
    if isinstance(seconds, int | float) and abs(seconds) < _END_OF_TIME_S:
        return int(seconds * 1000)
    raise _malformed("its times are no numbers")


def _texts(value: object) -> tuple[str, ...]:
    """Return a list of texts that a token holds."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _malformed("its lists are no lists of texts")
    return tuple(value)


def _malformed(because: str) -> AuthenticationError:
    return AuthenticationError("the public access token is not valid", status=401, because=because)


def _fingerprint(token: str) -> str:
    """Return what stays the same however the token is spelled: only its signature can be spelled anew."""
    signed, _, _ = token.rpartition(".")
    return hashlib.sha256(signed.encode()).hexdigest()
