"""Reading and steering runs (protocol A.5-A.7)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.runs import (
    CanceledRun,
    LogPage,
    ReplayedRun,
    ReplayRun,
    RunDetail,
    RunPage,
    RunWhy,
    SnapshotPage,
    TagsAdded,
)

__all__ = [
    "add_tags",
    "cancel",
    "follow",
    "list_page",
    "logs",
    "replay",
    "reschedule",
    "retrieve",
    "snapshots",
    "why",
]


def _run(version: str, run_id: str, suffix: str = "") -> str:
    return f"/api/{version}/runs/{quote(run_id, safe='')}{suffix}"


def retrieve(run_id: str) -> Call[RunDetail]:
    """Read one run with payload, output, error and attempts."""
    return Call("GET", _run("v3", run_id), reading(RunDetail))


def list_page(
    *,
    size: int = 25,
    after: str | None = None,
    status: Sequence[str] = (),
    task: Sequence[str] = (),
    version: Sequence[str] = (),
    tag: Sequence[str] = (),
    queue: Sequence[str] = (),
    machine: Sequence[str] = (),
    batch: str | None = None,
    schedule: str | None = None,
    is_test: bool | None = None,
    created_from: str | None = None,
    created_to: str | None = None,
    period: str | None = None,
) -> Call[RunPage]:
    """Read a page of runs, newest first; moments are ISO 8601 texts."""
    params = {
        "page[size]": str(size),
        "page[after]": after,
        "filter[status]": ",".join(status),
        "filter[taskIdentifier]": ",".join(task),
        "filter[version]": ",".join(version),
        "filter[tag]": ",".join(tag),
        "filter[queue]": ",".join(queue),
        "filter[machine]": ",".join(machine),
        "filter[batch]": batch,
        "filter[schedule]": schedule,
        "filter[isTest]": None if is_test is None else str(is_test).lower(),
        "filter[createdAt][from]": created_from,
        "filter[createdAt][to]": created_to,
        "filter[createdAt][period]": period,
    }
    given = {key: value for key, value in params.items() if value}
    return Call("GET", "/api/v1/runs", reading(RunPage), params=given)


def cancel(run_id: str) -> Call[CanceledRun]:
    """Cancel a run in whatever state it is."""
    return Call("POST", _run("v2", run_id, "/cancel"), reading(CanceledRun))


def replay(run_id: str, body: ReplayRun | None = None) -> Call[ReplayedRun]:
    """Create a new run with the same task and options, and with the same payload unless one is given."""
    return Call(
        "POST",
        _run("v1", run_id, "/replay"),
        reading(ReplayedRun),
        body=None if body is None else body.model_dump(mode="json", by_alias=True),
        idempotent=False,
    )


def reschedule(run_id: str, delay: str) -> Call[RunDetail]:
    """Give a run that is still delayed another delay."""
    path = _run("v1", run_id, "/reschedule")
    return Call("POST", path, reading(RunDetail), body={"delay": delay}, idempotent=False)


def add_tags(run_id: str, tags: Sequence[str]) -> Call[TagsAdded]:
    """Add tags to a run."""
    return Call("POST", _run("v1", run_id, "/tags"), reading(TagsAdded), body={"tags": list(tags)})


def logs(run_id: str, *, after: int = 0) -> Call[LogPage]:
    """Read lines a run wrote, those after the line with id ``after``."""
    return Call("GET", _run("v1", run_id, "/logs"), reading(LogPage), params={"after": str(after)})


def follow(run_id: str, *, after: int = 0) -> Call[None]:
    """Follow a run by server-sent events: ``run`` and, after line ``after``, ``log``."""
    params = {"after": str(after)}
    return Call("GET", _run("v1", run_id, "/follow"), lambda _: None, params=params)


def snapshots(run_id: str) -> Call[SnapshotPage]:
    """Read every transition of a run."""
    return Call("GET", _run("v1", run_id, "/snapshots"), reading(SnapshotPage))


def why(run_id: str) -> Call[RunWhy]:
    """Ask what a run is waiting for."""
    return Call("GET", _run("v1", run_id, "/why"), reading(RunWhy))
