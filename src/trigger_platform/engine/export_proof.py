"""The proof inside the address at which the code of a deployed run exports its telemetry.

The official worker exports without any header that could say who it is, to the address that its attempt is
given. So the address says it: it holds a proof that was made for the run, with the key of its environment. A
process that is kept for the next run keeps the address of its first one; hence the proof holds for runs of
the same version too, though only for a while.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from trigger_core.errors import AuthenticationError
from trigger_platform.engine import secret_key
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["ExportProof", "environment_of", "of_run", "verify", "written"]

_LIFE_MS = 7 * 24 * 3600 * 1000
_PREFIX = "tr_otlp_"


@dataclass(frozen=True, slots=True)
class ExportProof:
    """Whose telemetry it lets in: that of a run, and until a moment that of other runs of its version."""

    environment_id: str
    run_id: str
    worker_id: str
    until: int


def of_run(run: RunRow) -> ExportProof:
    """Return the proof for the attempt of a run that began; asked again, it is the same."""
    began = run.attempt_started_at or run.updated_at
    return ExportProof(run.environment_id, run.id, run.worker_id or "", began + _LIFE_MS)


def written(keys: KeyRing, environment: EnvironmentRow, proof: ExportProof) -> str:
    """Return the proof as a part of a path; it begins like a key, so logs know it for one."""
    body = ".".join(map(str, astuple(proof)))
    return f"{_PREFIX}{_signature(keys, environment, body)}.{body}"


def environment_of(text: str) -> str:
    """Return the environment that a text names; nothing is verified, nor whether it is a proof."""
    return text.partition(".")[2].partition(".")[0]


def verify(keys: KeyRing, signers: Sequence[EnvironmentRow], text: str) -> ExportProof:
    """Return what a text proves; what a replaced key signed holds as long as that key.

    Raises:
        AuthenticationError: it was not made with one of the keys.
    """
    shown, _, body = text.partition(".")
    given = shown.removeprefix(_PREFIX).encode()
    expected = [_signature(keys, one, body).encode() for one in signers]
    if not any(hmac.compare_digest(one, given) for one in expected):
        raise AuthenticationError("the export address is not valid", status=401)
    environment_id, run_id, worker_id, until = body.split(".")
    return ExportProof(environment_id, run_id, worker_id, int(until))


def _signature(keys: KeyRing, environment: EnvironmentRow, body: str) -> str:
    key = secret_key.read(keys, environment).encode()
    return hmac.digest(key, f"otlp:{body}".encode(), "sha256").hex()
