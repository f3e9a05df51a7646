"""What a runner shows the workload server: which runner it is, signed by the group's token.

Any supervisor of the group can check one, also after a restart. It reaches the runs of one environment alone,
in which the runner's code acts anyway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from trigger_supervisor.upstream import Speaker

__all__ = ["read", "sign"]

_PURPOSE = b"workload"


def sign(speaker: Speaker, group_token: str) -> str:
    """Return the token of a runner."""
    named = [speaker.runner, speaker.deployment, speaker.environment]
    body = _text(json.dumps(named, separators=(",", ":")).encode())
    return f"{body}.{_signature(body, group_token)}"


def read(token: str, group_token: str) -> Speaker | None:
    """Return the runner that shows a token; ``None`` when this group did not sign it."""
    body, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(body, group_token).encode()):
        return None
    padded = body + "=" * (-len(body) % 4)
    return Speaker(*json.loads(base64.urlsafe_b64decode(padded)))


def _signature(body: str, group_token: str) -> str:
    key = hmac.digest(group_token.encode(), _PURPOSE, hashlib.sha256)
    return _text(hmac.digest(key, body.encode(), hashlib.sha256))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
