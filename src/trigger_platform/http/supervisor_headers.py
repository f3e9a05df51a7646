"""What a supervisor says of itself with every call, besides its token (protocol F.1)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from trigger_core.errors import AuthenticationError, UsageError
from trigger_platform.http.principal import Principal
from trigger_platform.http.server import Server
from trigger_platform.store.rows import WorkerGroupRow

__all__ = ["check"]


def check(server: Server, caller: Principal, headers: Mapping[str, str]) -> WorkerGroupRow:
    """Return the caller's group.

    Raises:
        UsageError: the supervisor does not say its name.
        AuthenticationError: it does not know the secret that this server's supervisors share.
    """
    if caller.worker_group is None:
        raise LookupError("a route of supervisors is open to others")
    if not headers.get("x-trigger-worker-instance-name"):
        raise UsageError(
            "Headers Error: x-trigger-worker-instance-name is missing", code="INVALID_HEADERS"
        )
    secret = server.settings.managed_worker_secret
    if secret is not None:
        shown = headers.get("x-trigger-worker-managed-secret", "")
        if not hmac.compare_digest(shown.encode(), secret.get_secret_value().encode()):
            raise AuthenticationError("Invalid or missing worker token", status=401)
    return caller.worker_group
