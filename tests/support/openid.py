"""A small OpenID provider: a server of its own with a real key, which checks what it is asked as one does."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

__all__ = ["CLIENT", "SECRET", "Provider", "fresh_key", "providing"]

CLIENT = "trigger server"
SECRET = "s3cret/with+odd:characters"
_Reply = tuple[int, dict[str, Any]]


def fresh_key() -> rsa.RSAPrivateKey:
    """Return a key to sign with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Provider:
    """What the provider says; a test changes it.

    Attributes:
        person: what is claimed of whoever logs in.
        twist: claims that are put in place of the right ones.
        algorithm: how tokens are signed.
        issuer: where it is.
        is_lax: whether a code may be used twice.
        tells_later: whether the address is told only to who asks for it.
        key: what signs.
        shown: the key that it publishes, if that is another one.
        codes: what is waiting to be fetched.
        asked: the paths of all requests.
    """

    now: Callable[[], float]
    person: dict[str, Any] = field(default_factory=dict)
    twist: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    issuer: str = ""
    is_lax: bool = False
    tells_later: bool = False
    key: rsa.RSAPrivateKey = field(default_factory=fresh_key)
    shown: rsa.RSAPrivateKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser goes on: the person agrees to everything."""
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> _Reply:
        """Exchange a code, once, for who shows the secret and the verifier."""
        shown = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if [unquote_plus(part) for part in shown.split(":")] != [CLIENT, SECRET]:
            return 401, {"error": "invalid_client"}
        code = form["code"]
        asked = self.codes.get(code) if self.is_lax else self.codes.pop(code, None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        if asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"id_token": self._signed(asked["nonce"]), "access_token": "opaque"}

    @cached_property
    def discovery(self) -> dict[str, Any]:
        """What it publishes about itself."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }

    @property
    def keys(self) -> dict[str, Any]:
        """The keys that it publishes."""
        key = RSAAlgorithm.to_jwk((self.shown or self.key).public_key(), as_dict=True)
        return {"keys": [key | {"kid": "one", "use": "sig", "alg": "RS256"}]}

    def userinfo(self, authorization: str) -> _Reply:
        """Return everything of the person, for the token."""
        return (200, self.person) if authorization == "Bearer opaque" else (401, {})

    def _signed(self, nonce: str) -> str:
        now = int(self.now())
        person = {"sub": self.person["sub"]} if self.tells_later else self.person
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce}
        claims |= person | self.twist
        key: Any = {"none": None, "HS256": "x" * 32}.get(self.algorithm, self.key)
        return jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": "one"})


@contextmanager
def providing(now: Callable[[], float]) -> Iterator[Provider]:
    """A provider that listens on this machine."""
    provider = Provider(now)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("location", provider.authorize(dict(parse_qsl(parts.query))))
                self.send_header("content-length", "0")
                self.end_headers()
                return
            pages = {
                "/.well-known/openid-configuration": provider.discovery,
                "/keys": provider.keys,
            }
            if parts.path == "/userinfo":
                self._say(*provider.userinfo(self.headers.get("authorization", "")))
            else:
                self._say(200 if parts.path in pages else 404, pages.get(parts.path, {}))

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = dict(parse_qsl(body))
            self._say(*provider.token(form, self.headers.get("authorization", "")))

        def _say(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, _format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
