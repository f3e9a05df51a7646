"""An order: a run that was taken, and what its runner is started with (protocol F.3)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from trigger_core import clock
from trigger_core.schemas.execution import ManagedMessage
from trigger_supervisor import workload_token
from trigger_supervisor.upstream import Speaker

__all__ = ["Order", "Surroundings", "new"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all runners of a supervisor are told.

    Attributes:
        instance: the supervisor's name.
        group_token: signs what they show.
        scheme: how they reach the workload server.
        host: where they reach it.
        port: and on which port.
        otlp_url: where their code sends spans.
        warm_start_url: where they wait for their next run, if they may.
    """

    instance: str
    group_token: str
    scheme: str
    host: str
    port: int
    otlp_url: str
    warm_start_url: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A run to place."""

    message: ManagedMessage
    speaker: Speaker
    env: dict[str, str]

    @property
    def run_id(self) -> str:
        """The run."""
        return self.message.run.friendly_id

    @property
    def snapshot_id(self) -> str:
        """The snapshot that handed it out; its attempt begins from it."""
        return self.message.snapshot.friendly_id

    @property
    def runner_id(self) -> str:
        """The name its runner goes by."""
        return self.speaker.runner


def new(message: ManagedMessage, around: Surroundings, now_ms: int) -> Order:
    """Return the order for a run; its runner gets a name of its own."""
    run, machine = message.run, message.run.machine
    deployment = message.deployment.get("friendlyId", "")
    speaker = Speaker(f"runner_{secrets.token_hex(12)}", deployment, message.environment.id)
    given = {
        "TRIGGER_RUN_ID": run.friendly_id,
        "TRIGGER_SNAPSHOT_ID": message.snapshot.friendly_id,
        "TRIGGER_RUNNER_ID": speaker.runner,
        "TRIGGER_DEPLOYMENT_ID": workload_token.sign(speaker, around.group_token),
        "TRIGGER_DEPLOYMENT_FRIENDLY_ID": deployment,
        "TRIGGER_DEPLOYMENT_VERSION": message.background_worker.version,
        "TRIGGER_ENV_ID": message.environment.id,
        "TRIGGER_POD_SCHEDULED_AT_MS": str(now_ms),
        "TRIGGER_DEQUEUED_AT_MS": str(clock.from_iso(message.dequeued_at)),
        "TRIGGER_MACHINE_CPU": f"{machine.cpu:g}",
        "TRIGGER_MACHINE_MEMORY": f"{machine.memory:g}",
        "TRIGGER_WORKER_INSTANCE_NAME": around.instance,
        "TRIGGER_SUPERVISOR_API_PROTOCOL": around.scheme,
        "TRIGGER_SUPERVISOR_API_DOMAIN": around.host,
        "TRIGGER_SUPERVISOR_API_PORT": str(around.port),
        "OTEL_EXPORTER_OTLP_ENDPOINT": around.otlp_url,
    }
    if around.warm_start_url is not None:
        given["TRIGGER_WARM_START_URL"] = around.warm_start_url
    return Order(message, speaker, given)
