"""Signing public tokens: JSON Web Tokens with HS256, nothing else (protocol B.3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["AUDIENCE", "ISSUER", "sign"]

ISSUER = "https://id.trigger.dev"
AUDIENCE = "https://api.trigger.dev"

_HEADER = {"alg": "HS256", "typ": "JWT"}


def sign(claims: Mapping[str, Any], key: str, *, now_ms: int, life_ms: int) -> str:
    """Return a public token: the claims with issuer, audience and times, signed with the secret key."""
    now = now_ms // 1000
    times = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + life_ms // 1000}
    signed = f"{_part(_HEADER)}.{_part({**claims, **times})}"
    signature = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(signature)}"


def _part(data: Mapping[str, Any]) -> str:
    return _base64(json.dumps(data, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
