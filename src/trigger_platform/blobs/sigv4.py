"""Signed addresses of S3-compatible object stores: AWS Signature Version 4 in the query of an address."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

__all__ = ["Credentials", "presign"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs, and for which region."""

    access_key_id: str
    secret_access_key: str
    region: str


def presign(credentials: Credentials, method: str, url: str, *, life_s: int, moment_ms: int) -> str:
    """Return an address with a signature that lets anybody send one kind of request to it for a while.

    Args:
        credentials: who signs.
        method: of the request that is allowed.
        url: the address of the object, its path encoded, without a query.
        life_s: for how long.
        moment_ms: now.
    """
    parts = urlsplit(url)
    moment = datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{credentials.region}/s3/aws4_request"
    query = _encoded(
        {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(life_s),
            "X-Amz-SignedHeaders": "host",
        }
    )
    request = "\n".join(
        [method, parts.path or "/", query, f"host:{parts.netloc}", "", "host", _UNSIGNED]
    )
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
    signature = hmac.new(_key(credentials, scope), text.encode(), hashlib.sha256).hexdigest()
    return f"{url}?{query}&X-Amz-Signature={signature}"


def _encoded(parameters: dict[str, str]) -> str:
    pairs = (f"{quote(name)}={quote(value, safe='-_.~')}" for name, value in parameters.items())
    return "&".join(sorted(pairs))


def _key(credentials: Credentials, scope: str) -> bytes:
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
