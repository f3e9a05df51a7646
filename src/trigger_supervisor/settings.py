"""What a supervisor is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["SupervisorSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """Settings of a supervisor.

    Attributes:
        api_url: where the platform is.
        token: the token of its worker group.
        name: its own name.
        managed_secret: what the platform shares with its supervisors, if it wants that.
        bundles: the folder of unpacked builds.
        host: the address the workload server listens on.
        port: its port; 0 picks a free one.
        advertised_host: where runners reach it, if not at ``host``.
        max_runs: how many runs at once.
        cpu: how many cores all of them may take.
        memory_gb: how much memory, in GiB.
        keep_warm_s: how long a runner waits for the next run of its deployment; 0 for not at all.
        drain_grace_s: how long runs may take to end once it is told to end.
        otlp_url: where runners send spans, if not to the platform.
    """

    api_url: str
    token: str
    name: str
    bundles: Path
    managed_secret: str | None = None
    host: str = "127.0.0.1"
    port: int = 8020
    advertised_host: str | None = None
    max_runs: int = 10
    cpu: float
    memory_gb: float
    keep_warm_s: float = 60.0
    drain_grace_s: float = 60.0
    otlp_url: str | None = None
