"""JWT: one algorithm, every claim, no key but the own one, and no more than the scopes say."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import jwt
import pytest

from support.http import Platform
from trigger_core.jwt import AUDIENCE, ISSUER


def _claims(platform: Platform, **change: Any) -> dict[str, Any]:
    now = platform.clock.now() // 1000
    full = {
        "sub": platform.server.local.environment.id, "pub": True, "scopes": ["read:runs"],
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": 4_000_000_000,
    } | change  # fmt: skip
    return {name: value for name, value in full.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "algorithm", "own_key", "status"),
    [
        ({}, "HS256", True, 200),
        ({}, "none", True, 401),
        ({}, "HS384", True, 401),
        ({}, "HS512", True, 401),
        ({}, "HS256", False, 401),
        ({"exp": 1}, "HS256", True, 401),
        ({"exp": 10**400}, "HS256", True, 401),
        ({"exp": "never"}, "HS256", True, 401),
        ({"exp": [4_000_000_000]}, "HS256", True, 401),
        ({"iat": 10**400}, "HS256", True, 401),
        ({"nbf": 4_000_000_000}, "HS256", True, 401),
        ({"scopes": "admin"}, "HS256", True, 401),
        ({"scopes": {"admin": 1}}, "HS256", True, 401),
        ({"scopes": [1, None]}, "HS256", True, 401),
        ({"scopes": 7}, "HS256", True, 401),
        ({"realtime": {"skipColumns": 7}}, "HS256", True, 401),
        ({"pub": False}, "HS256", True, 401),
        ({"pub": "true"}, "HS256", True, 401),
        ({"sub": 7}, "HS256", True, 401),
        ({"sub": "x\x00"}, "HS256", True, 401),
        ({"exp": None}, "HS256", True, 401),
        ({"exp": float("inf")}, "HS256", True, 401),
        ({"iat": float("nan")}, "HS256", True, 401),
        ({"aud": "https://other.example"}, "HS256", True, 401),
        ({"aud": None}, "HS256", True, 401),
        ({"iss": "https://other.example"}, "HS256", True, 401),
        ({"iss": None}, "HS256", True, 401),
        ({"scopes": []}, "HS256", True, 403),
        ({"scopes": ["write:runs"]}, "HS256", True, 403),
        ({"scopes": ["read:runs:run_other"]}, "HS256", True, 403),
        ({"sub": "other"}, "HS256", True, 401),
    ],
)
async def test_jwt_one_algorithm_and_every_claim(
    platform: Platform, change: dict[str, Any], algorithm: str, own_key: bool, status: int
) -> None:
    """Unsigned, signed by another, expired, for or by somebody else, or with too little."""
    run_id = await platform.trigger("task")
    key = platform.key if own_key else "tr_dev_" + "x" * 24
    with contextlib.suppress(jwt.PyJWTError):
        token = jwt.encode(
            _claims(platform, **change), "" if algorithm == "none" else key, algorithm=algorithm
        )
    headers = {"authorization": f"Bearer {token}"}
    answer = await platform.http.get(f"/api/v3/runs/{run_id}", headers=headers)

    assert answer.status_code == status, answer.text


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"}, {"alg": "NONE"}, {"alg": "nOnE"}, {"alg": ""}, {"alg": None}, {"alg": ["HS256"]}, {},
        {"alg": "HS256", "kid": "../../../dev/null"}, {"alg": "HS256", "kid": "x' union select 'k"},
        {"alg": "HS256", "jku": "https://evil.example/keys"}, {"alg": "HS256", "x5u": "https://evil.example"},
        {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}, {"alg": "RS256"}, {"alg": "ES256"},
        {"alg": "HS256", "crit": ["exp"]}, {"alg": "HS256", "b64": False}, [], "HS256",
    ],
    ids=str,
)  # fmt: skip
async def test_jwt_a_header_chooses_neither_algorithm_nor_key(
    platform: Platform, header: Any
) -> None:
    """Without a signature, with one by an empty key, and with one by the key that the header brings."""
    run_id = await platform.trigger("task")
    signed = f"{_part(header)}.{_part(_claims(platform))}"
    for signature in ("", "AAAA", _part("x")):
        headers = {"authorization": f"Bearer {signed}.{signature}"}
        answer = await platform.http.get(f"/api/v3/runs/{run_id}", headers=headers)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "claims", ["[]", "1", "null", '"x"', "[" * 5000, '{"a":' * 5000, "{", "\xff", ""]
)
async def test_jwt_claims_that_are_none_are_refused(platform: Platform, claims: str) -> None:
    """They are looked at before the signature can be."""
    body = base64.urlsafe_b64encode(claims.encode()).rstrip(b"=").decode()
    for header in ({"alg": "HS256"}, {"typ": "run+jwt", "alg": "HS256", "kid": "x"}):
        headers = {"authorization": f"Bearer {_part(header)}.{body}.AAAA"}
        answer = await platform.http.get("/api/v3/runs/run_x", headers=headers)
        assert answer.status_code in {400, 401}


ESCALATIONS = [
    ("read:runs", "DELETE", "/api/v1/schedules/x"),
    ("read:runs", "GET", "/api/v1/projects/proj_abcdefghijklmnopqrst/envvars/dev"),
    ("admin", "GET", "/api/v1/projects/proj_abcdefghijklmnopqrst/envvars/dev"),
    ("*:all", "GET", "/api/v1/projects/proj_abcdefghijklmnopqrst/dev"),
    ("admin", "POST", "/api/v1/auth/jwt/claims"),
    ("admin", "POST", "/api/v1/auth/public-tokens"),
    ("admin", "POST", "/engine/v1/worker/poll"),
    ("admin", "POST", "/api/v1/queues/x/pause"),
    ("write:all", "PUT", "/api/v2/packets/x"),
    ("admin", "GET", "/api/v1/orgs"),
    ("admin", "GET", "/api/v2/whoami"),
]


@pytest.mark.parametrize(("scope", "method", "path"), ESCALATIONS)
async def test_jwt_no_scope_makes_a_public_token_a_key(
    platform: Platform, scope: str, method: str, path: str
) -> None:
    """What is for keys and people is not for what a browser holds, whatever it says of itself."""
    token = jwt.encode(_claims(platform, scopes=[scope]), platform.key, algorithm="HS256")
    headers = {"authorization": f"Bearer {token}"}
    answer = await platform.http.request(method, path, headers=headers)
    assert answer.status_code in {401, 403, 404}
    assert answer.status_code != 404 or answer.json()["error"] == "Not found"
