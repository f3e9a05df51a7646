"""The OpenID provider by which people may log in: where a browser is sent, and who comes back.

The authorization code flow with PKCE, a state and a nonce. What the provider says is fetched by the server
itself and believed only if the provider has signed it, for this client and this attempt.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt
from pydantic import BaseModel, ValidationError

from trigger_core.clock import Clock
from trigger_core.errors import AuthenticationError, UsageError
from trigger_platform.engine.identity import Identity
from trigger_platform.settings import Settings

if TYPE_CHECKING:
    from trigger_platform.outbound import Outbound

__all__ = ["LIFE_MS", "Attempt", "OpenIdProvider"]

LIFE_MS = 10 * 60_000
"""How long somebody may take to log in over there."""

_ALGORITHMS = ["RS256", "ES256"]
_KINDS = {"RSA", "EC"}
_LEEWAY_S = 60
_FRESH_MS = 10 * 60_000
_FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a browser that is sent away keeps, sealed, until it comes back.

    Attributes:
        state: what the provider hands back through the browser.
        nonce: what the provider signs.
        verifier: what proves to the provider that who fetches the token is who asked.
        place: where the user wanted to go.
        until: when it is too late.
    """

    state: str
    nonce: str
    verifier: str
    place: str
    until: int

    @classmethod
    def begin(cls, place: str, now: int) -> Attempt:
        """Begin one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, place, now + LIFE_MS)

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier first."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class _Discovery(BaseModel):
    """What a provider says about itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]

    @property
    def is_encrypted(self) -> bool:
        """Whether everything that secrets are sent to is reached by https."""
        places = (self.authorization_endpoint, self.token_endpoint, self.jwks_uri)
        return all(urlsplit(one or "https:").scheme == "https" for one in places)


class _Tokens(BaseModel):
    """What a code is exchanged for."""

    id_token: str
    access_token: str = ""


M = TypeVar("M", bound=BaseModel)


class OpenIdProvider:
    """One provider, as the settings name it."""

    def __init__(self, settings: Settings, clock: Clock, outbound: Outbound | None = None) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            UsageError: there is an issuer, but not who we are there.
        """
        if not settings.oidc_issuer or not settings.oidc_client_id:
            raise UsageError(
                "the settings oidc_issuer and oidc_client_id belong together",
                code="SETTING_MISSING",
                hint="set both TRIGGER_OIDC_ISSUER and TRIGGER_OIDC_CLIENT_ID, or none",
            )
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret
        self._clock = clock
        if outbound is None:
            from trigger_platform.outbound import Outbound  # noqa: PLC0415 - its client costs 70 ms

            outbound = Outbound(settings.outbound_allow)
        self._outbound = outbound
        self._discovery: tuple[_Discovery, int] | None = None

    async def address(self, attempt: Attempt, redirect_uri: str) -> str:
        """Return where a browser is sent to log in.

        Raises:
            TriggerError: the provider does not say where.
        """
        found = await self._discover()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        mark = "&" if urlsplit(found.authorization_endpoint).query else "?"
        return f"{found.authorization_endpoint}{mark}{urlencode(query)}"

    async def identity(self, code: str, attempt: Attempt, redirect_uri: str) -> Identity:
        """Return who came back with a code.

        Raises:
            TriggerError: the provider does not take the code, or what it says cannot be believed.
        """
        found = await self._discover()
        tokens = await self._exchange(found, code, attempt, redirect_uri)
        claims = self._verified(found, tokens.id_token, await self._keys(found), attempt.nonce)
        if "email" not in claims and found.userinfo_endpoint:
            claims = await self._more(found.userinfo_endpoint, tokens.access_token, claims)
        verified = claims.get("email_verified")
        is_verified = verified is True or verified == "true"  # some providers write it as a text
        email = str(claims.get("email") or "").strip()
        name = claims.get("name")
        return Identity(
            issuer=found.issuer,
            subject=str(claims["sub"]),
            email=email if is_verified and "@" in email else None,
            name=name[:200] if isinstance(name, str) else None,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._outbound.close()

    async def _discover(self) -> _Discovery:
        """Return what the provider says about itself; asked again now and then."""
        now = self._clock.now()
        if self._discovery is not None and now < self._discovery[1] + _FRESH_MS:
            return self._discovery[0]
        address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._ask(_Discovery, "GET", address, redirects=2)
        if found.issuer != self._issuer:
            raise _failed(f"the provider calls itself {found.issuer}, not {self._issuer}")
        if self._issuer.startswith("https:") and not found.is_encrypted:
            raise _failed("the provider names addresses without https")
        self._discovery = (found, now)
        return found

    async def _exchange(
        self, found: _Discovery, code: str, attempt: Attempt, redirect_uri: str
    ) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "code_verifier": attempt.verifier,
        }
        headers = dict(_FORM)
        if self._secret is not None:
            secret = self._secret.get_secret_value()
            if "client_secret_basic" in found.token_endpoint_auth_methods_supported:
                shown = f"{quote_plus(self._client_id)}:{quote_plus(secret)}".encode()
                headers["authorization"] = f"Basic {base64.b64encode(shown).decode()}"
            else:
                form["client_secret"] = secret
        content = urlencode(form).encode()
        return await self._ask(
            _Tokens, "POST", found.token_endpoint, headers=headers, content=content
        )

    async def _keys(self, found: _Discovery) -> list[jwt.PyJWK]:
        """Return the keys of the provider; they are asked for at each login, so that they may change."""
        given = await self._json("GET", found.jwks_uri, redirects=2)
        try:
            keys = jwt.PyJWKSet.from_dict(given).keys
        except (jwt.PyJWTError, TypeError, AttributeError) as error:
            raise _failed("the provider has no keys that can be used") from error
        return [one for one in keys if one.key_type in _KINDS and one.public_key_use != "enc"]

    def _verified(
        self, found: _Discovery, token: str, keys: list[jwt.PyJWK], nonce: str
    ) -> dict[str, Any]:
        """Return what a token says, if it was signed for this client and this attempt."""
        try:
            wanted = jwt.get_unverified_header(token).get("kid")
            fitting = [one for one in keys if wanted is None or one.key_id == wanted]
            if len(fitting) != 1:
                raise _failed("the provider signed with a key that it does not show")
            claims: dict[str, Any] = jwt.decode(
                token,
                fitting[0],
                algorithms=_ALGORITHMS,
                audience=self._client_id,
                issuer=found.issuer,
                options={
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    # Times are compared with the platform's clock, below.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise _failed(f"what the provider says cannot be believed: {error}") from error
        self._refuse_foreign(claims, nonce)
        return claims

    def _refuse_foreign(self, claims: Mapping[str, Any], nonce: str) -> None:
        """Refuse what was signed for another attempt, another client or another time."""
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise _failed("what the provider says belongs to another login")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client_id) != self._client_id:
            raise _failed("what the provider says is meant for another client")
        now = self._clock.now() / 1000
        try:
            is_now = float(claims["exp"]) + _LEEWAY_S > now
            is_now = is_now and float(claims.get("nbf", 0)) - _LEEWAY_S <= now
        except (TypeError, ValueError) as error:
            raise _failed("the provider gives a time that is none") from error
        if not is_now:
            raise _failed("what the provider says has expired, or one of both clocks is wrong")

    async def _more(self, address: str, token: str, claims: dict[str, Any]) -> dict[str, Any]:
        """Return the claims with those that the provider tells only when it is asked."""
        more = await self._json("GET", address, headers={"authorization": f"Bearer {token}"})
        if more.get("sub") != claims["sub"]:
            raise _failed("the provider speaks of somebody else")
        return more | claims

    async def _ask(
        self,
        kind: type[M],
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        redirects: int = 0,
    ) -> M:
        found = await self._json(method, url, headers=headers, content=content, redirects=redirects)
        try:
            return kind.model_validate(found)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise _failed(f"the provider's answer has no right {where}") from error

    async def _json(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        redirects: int = 0,
    ) -> dict[str, Any]:
        answer = await self._outbound.request(
            method, url, headers=headers, content=content, redirects=redirects
        )
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise _failed(f"the provider answered {answer.status}, not in JSON") from error
        if answer.status != 200 or not isinstance(found, dict):
            why = found.get("error", "") if isinstance(found, dict) else ""
            raise _failed(f"the provider answered {answer.status} {str(why)[:100]}".strip())
        return found


def _failed(what: str) -> AuthenticationError:
    return AuthenticationError(what, status=401, code="LOGIN_FAILED")
