"""Run tokens: with one the process of an attempt speaks for its own run, as long as the attempt lasts (B.5).

They are signed with a key of the server's own, derived from its key ring; ``kid`` says from which key.
What they say is checked against the run at every call, so nobody has to revoke them.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass

import jwt

from trigger_core import machines
from trigger_core.errors import AuthenticationError, EncryptionError
from trigger_core.jwt import ISSUER
from trigger_core.schemas.workers import Assignment
from trigger_platform.engine import environment, run_attempt
from trigger_platform.engine.unit import Unit
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["AUDIENCE", "RunToken", "RunTokens", "is_one", "lasting", "of_run"]

AUDIENCE = "https://api.trigger.dev/runs"
"""Not that of public tokens: neither kind can pass for the other."""

_PURPOSE = "run tokens"
_LIFE_S = 366 * 86_400
"""Longer than an attempt waits; it is the end of the attempt that ends a token."""

_KEY_FOR_MS = 60_000
_HEADER = '{"typ":"run+jwt","alg":"HS256","kid":"'
_json = json.JSONEncoder(separators=(",", ":")).encode


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


_MARK = _base64(_HEADER[:36].encode()).decode()
"""How every run token begins: whole groups of three bytes are the same in base64, whatever follows."""


def is_one(token: str) -> bool:
    """Tell whether a credential claims to be a run token."""
    return token.startswith(_MARK)


@dataclass(frozen=True, slots=True)
class RunToken:
    """Which attempt a token speaks for."""

    environment_id: str
    run_id: str
    attempt: int
    lease: int


@dataclass(frozen=True, slots=True)
class _Signer:
    """What signs for a while: rings are looked at again, because keys change while servers run."""

    header: bytes
    key: bytes
    until: int


class RunTokens:
    """Signs run tokens, for few microseconds each, and reads them."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._signer: _Signer | None = None
        self._places: dict[str, str] = {}

    def knows(self, here: EnvironmentRow) -> bool:
        """Tell whether the environment's place was learnt."""
        return here.id in self._places

    def learn(self, here: EnvironmentRow, organization_id: str) -> None:
        """Remember where an environment is: that never changes."""
        place = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "environment_id": here.id,
            "org_id": organization_id,
            "project_id": here.project_id,
        }
        self._places[here.id] = _json(place)[:-1]

    def of_assignments(
        self, here: EnvironmentRow, runs: Iterable[Assignment], now_ms: int
    ) -> dict[str, str]:
        """Return tokens for runs that were handed to a worker, by run."""
        return {
            one.run_id: self.mint(
                RunToken(here.id, one.run_id, one.attempt, one.lease), one.machine, now_ms
            )
            for one in runs
        }

    def mint(self, token: RunToken, machine: str | None, now_ms: int) -> str:
        """Sign a token for an attempt in an environment whose place was learnt."""
        signer, now = self._signing(now_ms), now_ms // 1000
        claims = {
            "run_id": token.run_id,
            "machine_preset": machine or machines.DEFAULT_MACHINE,
            "attempt": token.attempt,
            "lease": token.lease,
            "iat": now,
            "exp": now + _LIFE_S,
        }
        body = f"{self._places[token.environment_id]},{_json(claims)[1:]}"
        signed = signer.header + b"." + _base64(body.encode())
        signature = hmac.digest(signer.key, signed, "sha256")
        return (signed + b"." + _base64(signature)).decode()

    def read(self, token: str, now_ms: int) -> RunToken:
        """Return which attempt a token speaks for; whether that lasts is another question.

        Raises:
            AuthenticationError: it was not signed here, or has expired.
        """
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                self._keys.derived(key_id, _PURPOSE),
                algorithms=["HS256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, EncryptionError) as error:
            raise _refused(str(error)) from error
        if claims["exp"] * 1000 <= now_ms:
            raise _refused("it has expired")
        return RunToken(
            claims["environment_id"], claims["run_id"], claims["attempt"], claims["lease"]
        )

    def _signing(self, now_ms: int) -> _Signer:
        signer = self._signer
        if signer is None or not signer.until - _KEY_FOR_MS <= now_ms < signer.until:
            key_id = self._keys.current
            header = _base64(f'{_HEADER}{key_id}"}}'.encode())
            key = self._keys.derived(key_id, _PURPOSE)
            signer = self._signer = _Signer(header, key, now_ms + _KEY_FOR_MS)
        return signer


def of_run(run: RunRow) -> RunToken:
    """Return what speaks for the attempt that a run is in."""
    return RunToken(run.environment_id, run.id, run.attempt, run.lease or 0)


def lasting(u: Unit, token: RunToken) -> EnvironmentRow:
    """Return the environment of an attempt that goes on.

    Raises:
        AuthenticationError: it has ended, its run is gone, or the environment is out of service.
    """
    here = environment.in_service(u, token.environment_id)
    run = u.tx.maybe("run_by_id", RunRow, id=token.run_id, environment_id=token.environment_id)
    if here is None or run is None:
        raise _refused("its run is gone")
    if not run_attempt.lasts(u, run, token.attempt, token.lease):
        raise _refused("its attempt has ended")
    return here


def _refused(because: str) -> AuthenticationError:
    return AuthenticationError("the run token is not valid", status=401, because=because)
