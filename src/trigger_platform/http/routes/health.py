"""What those who watch a server ask: is it alive, does it take requests, what does it count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from starlette.responses import JSONResponse, PlainTextResponse, Response

from trigger_core.errors import TriggerError
from trigger_core.schemas.base import WireModel
from trigger_platform.engine.execution_snapshot import CREATED
from trigger_platform.engine.states import ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.http.server import Server
from trigger_platform.metrics import Family, Sample, exposition
from trigger_platform.reads import gauges
from trigger_platform.reads.gauges import Gauges

__all__ = ["alive", "read_metrics", "ready"]

_PATIENCE_S = 2.0
_MEDIA_TYPE = "text/plain; version=0.0.4"


class Health(WireModel):
    """The server is up."""

    ok: bool


class Readiness(WireModel):
    """Whether requests should come here; ``because`` says why not."""

    ok: bool
    because: str | None = None


@endpoint("GET", "/healthz", access=Access.OPEN, returns=Health)
async def alive(_call: Incoming[None]) -> Health:
    """Say that the server is up."""
    return Health(ok=True)


@endpoint("GET", "/readyz", access=Access.OPEN, returns=Readiness)
async def ready(call: Incoming[None]) -> Response:
    """Say whether requests should come here: the database answers, and the server is not ending."""
    because = "the server is ending" if call.server.is_draining else await _unready(call.server)
    answer = Readiness(ok=because is None, because=because)
    return JSONResponse(answer.to_wire(), 200 if because is None else 503)


@endpoint("GET", "/metrics", access=Access.METRICS, media="text/plain")
async def read_metrics(call: Incoming[None]) -> Response:
    """Show what the server counts, in the text form of Prometheus."""
    found = await call.server.units.read(gauges.read)
    families = [*_of_runs(call.server, found), *_of_process(call.server)]
    return PlainTextResponse(exposition(families), media_type=_MEDIA_TYPE)


async def _unready(server: Server) -> str | None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await server.units.read(_look)
    except (TimeoutError, TriggerError):
        return "the database does not answer"
    return None


def _look(u: Unit) -> int:
    return int(u.tx.scalar("schema_number"))


def _of_runs(server: Server, found: Gauges) -> Iterator[Family]:
    steps = server.units.steps
    finished = {
        status: count
        for (execution, status), count in sorted(steps.items())
        if execution == ExecutionStatus.FINISHED
    }
    claimed = sum(
        count for (now, _), count in steps.items() if now == ExecutionStatus.PENDING_EXECUTING
    )
    yield Family(
        "trigger_runs",
        "gauge",
        f"Runs that have not ended, by what they do; no count goes beyond {gauges.MOST}.",
        [Sample(count, {"state": state}) for state, count in found.runs.items()],
    )
    yield _one("trigger_queue_oldest_seconds", "gauge", "How long the first in line has waited.",
               found.oldest_queued_ms / 1000)  # fmt: skip
    yield _one("trigger_outbox_events", "gauge", "Events to be published.", found.outbox)
    yield _one("trigger_workers", "gauge", "Connected worker instances.", found.workers)
    yield _one("trigger_runs_created_total", "counter", "Runs made here.", steps[CREATED])
    yield _one("trigger_runs_claimed_total", "counter", "Runs handed to workers here.", claimed)
    yield Family(
        "trigger_runs_finished_total",
        "counter",
        "Runs that ended here, by status.",
        [Sample(count, {"status": status}) for status, count in finished.items()],
    )


def _of_process(server: Server) -> Iterator[Family]:
    tally = server.units.db.tally
    yield _one("trigger_followers", "gauge", "Clients that follow runs here.", len(server.feeds))
    yield _one("trigger_database_groups_total", "counter", "Groups of writes that were committed.",
               tally.groups)  # fmt: skip
    yield _one("trigger_database_writes_total", "counter", "Writes in these groups.", tally.writes)
    yield Family(
        "trigger_loop_passed_timestamp_seconds",
        "gauge",
        "When each background loop last did its work.",
        [
            Sample(loop.passed_at / 1000, {"loop": name})
            for name, loop in server.loops.items()
            if loop.passed_at is not None
        ],
    )
    yield Family(
        "trigger_http_request_seconds",
        "histogram",
        "How long requests took to their answer.",
        server.metrics.requests(),
    )


def _one(name: str, kind: str, meaning: str, value: float) -> Family:
    return Family(name, kind, meaning, [Sample(value)])
