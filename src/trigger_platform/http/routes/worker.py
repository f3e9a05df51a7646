"""The worker's channel: register a version, take a seat, poll, report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_core.schemas.workers import (
    Assignment,
    Connect,
    Connected,
    Poll,
    Polled,
    Registered,
    RegisterWorker,
    Report,
    Reported,
)
from trigger_platform.engine import channel, snapshot_channel, worker_version
from trigger_platform.http import long_poll
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["connect_worker", "poll_runs", "register_worker", "report_runs"]

_REGISTRATION_LIMIT = 32 * 1024 * 1024
_REPORT_LIMIT = 256 * 1024 * 1024


@endpoint("POST", "/engine/v1/worker/poll", access=Access.ENVIRONMENT, body=Poll, returns=Polled)
async def poll_runs(call: Incoming[Poll]) -> Polled:
    """Wait for runs and signals."""
    body = call.body
    polled = await long_poll.until_found(
        call,
        body.boot_id,
        lambda: call.server.write(channel.poll, call.environment_id, body),
        lambda polled: bool(polled.runs or polled.signals),
        wait_ms=body.wait_ms,
        wants_work=body.limit > 0,
    )
    if not polled.runs:
        return polled
    tokens = await _tokens(call, polled.runs)
    return Polled.model_construct(runs=polled.runs, run_tokens=tokens, signals=polled.signals)


@endpoint(
    "POST",
    "/engine/v1/worker/report",
    access=Access.ENVIRONMENT,
    body=Report,
    returns=Reported,
    body_limit=_REPORT_LIMIT,
)
async def report_runs(call: Incoming[Report]) -> Reported:
    """Take down what happened, and hand out new runs if asked to."""
    reported = await call.server.write(channel.report, call.environment_id, call.body)
    if call.body.repoll:
        call.server.hub.end_polls(call.environment_id, call.body.boot_id)
    if not reported.runs:
        return reported
    return reported.model_copy(update={"run_tokens": await _tokens(call, reported.runs)})


async def _tokens(call: Incoming[Any], runs: Sequence[Assignment]) -> dict[str, str]:
    """Sign the tokens of attempts that were handed out, when that is committed."""
    here, minter = call.principal.environment, call.server.run_tokens
    if not minter.knows(here):
        home = await call.server.units.read(snapshot_channel.home, here)
        minter.learn(here, home.organization.id)
    return minter.of_assignments(here, runs, call.server.units.clock.now())


@endpoint(
    "POST",
    "/engine/v1/worker/connect",
    access=Access.ENVIRONMENT,
    body=Connect,
    returns=Connected,
)
async def connect_worker(call: Incoming[Connect]) -> Connected:
    """Give a process its seat; the one that had it before is gone."""
    return await call.server.write(channel.connect, call.environment_id, call.body)


@endpoint(
    "POST",
    "/api/v1/projects/{project_ref}/background-workers",
    access=Access.ENVIRONMENT,
    body=RegisterWorker,
    returns=Registered,
    body_limit=_REGISTRATION_LIMIT,
)
async def register_worker(call: Incoming[RegisterWorker]) -> Registered:
    """Register a version of the user's code and make it current."""
    return await call.server.write(worker_version.register, call.environment_id, call.body)
