"""The pages: a list of runs, one run, and the streams that keep them fresh."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response, StreamingResponse

from trigger_platform.dashboard import waterfall
from trigger_platform.dashboard.rendering import html, templates
from trigger_platform.engine import cancel, replay, why
from trigger_platform.http import browser, present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint
from trigger_platform.reads import runs as reads
from trigger_platform.reads import traces
from trigger_platform.reads.runs import Filters

__all__ = ["ENDPOINTS"]

_PAGE_SIZE = 30
_FORM_LIMIT = 16 * 1024
_LOOK_AGAIN_S = 5.0
_CALM_S = 0.15
_STATUSES = (
    "QUEUED",
    "DELAYED",
    "EXECUTING",
    "WAITING",
    "COMPLETED",
    "FAILED",
    "CRASHED",
    "CANCELED",
    "EXPIRED",
    "TIMED_OUT",
    "SYSTEM_FAILURE",
    "PENDING_VERSION",
)


@endpoint("GET", "/", access=Access.DASHBOARD_READER)
async def runs_page(call: Incoming[None]) -> Response:
    """Show the list of runs."""
    return html("runs.html", await _runs(call))


@endpoint("GET", "/runs/{run_id}", access=Access.DASHBOARD_READER)
async def run_page(call: Incoming[None]) -> Response:
    """Show one run."""
    return html("run.html", await _run(call))


@endpoint("GET", "/live/runs", access=Access.DASHBOARD_READER)
async def runs_stream(call: Incoming[None]) -> Response:
    """Stream the list, rendered anew after each change."""
    return _stream(call, None, "_runs.html", _runs)


@endpoint("GET", "/live/runs/{run_id}", access=Access.DASHBOARD_READER)
async def run_stream(call: Incoming[None]) -> Response:
    """Stream one run, rendered anew after each change."""
    await call.server.read(reads.one, call.environment_id, call.path("run_id"))
    return _stream(call, call.path("run_id"), "_run.html", _run)


@endpoint("POST", "/runs/{run_id}/cancel", access=Access.DASHBOARD_WRITER)
async def cancel_form(call: Incoming[None]) -> Response:
    """Cancel the run, then show it."""
    browser.fields(call.request, await call.body_bytes(_FORM_LIMIT), call.principal)
    run = await call.server.write(cancel.run, call.environment_id, call.path("run_id"))
    return RedirectResponse(f"/runs/{run.id}", 303)


@endpoint("POST", "/runs/{run_id}/replay", access=Access.DASHBOARD_WRITER)
async def replay_form(call: Incoming[None]) -> Response:
    """Replay the run, then show the new one."""
    browser.fields(call.request, await call.body_bytes(_FORM_LIMIT), call.principal)
    created = await call.server.write(replay.run, call.environment_id, call.path("run_id"))
    return RedirectResponse(f"/runs/{created.id}", 303)


ENDPOINTS: tuple[Endpoint, ...] = (
    runs_page,
    run_page,
    runs_stream,
    run_stream,
    cancel_form,
    replay_form,
)


async def _runs(call: Incoming[None]) -> dict[str, Any]:
    status, task = call.query("status"), call.query("task")
    filters = Filters(
        statuses=present.internal_statuses([status] if status else []),
        tasks=[task] if task else [],
        size=_PAGE_SIZE,
        after=call.query("after"),
    )
    page = present.run_page(
        await call.server.read(reads.page, call.environment_id, filters), call.principal.environment
    )
    chosen = {"status": status, "task": task}
    return {
        "runs": page.data,
        "next": _link(chosen | {"after": page.pagination.next or ""}),
        "has_next": page.pagination.next is not None,
        "first": _link(chosen) if filters.after else None,
        "live": "/live/runs" + _link(chosen | {"after": filters.after}).removeprefix("/"),
        "statuses": _STATUSES,
        "chosen": chosen,
    }


async def _run(call: Incoming[None]) -> dict[str, Any]:
    run_id = call.path("run_id")
    found = await call.server.read(reads.full, call.environment_id, run_id)
    logs = await call.server.read(reads.logs, call.environment_id, run_id, 0)
    reason = await call.server.read(why.explain, call.environment_id, run_id)
    trace = await call.server.read(traces.of_run, call.environment_id, run_id, waterfall.LIMITS)
    return {
        "run": present.detail(found),
        "steps": present.snapshot_page(run_id, found.snapshots).data,
        "logs": present.log_page(logs, 0).data,
        "why": reason,
        "csrf": browser.csrf_of(call.principal),
        "waterfall": waterfall.draw(trace),
        "live": f"/live/runs/{run_id}",
    }


def _stream(
    call: Incoming[None],
    run_id: str | None,
    template: str,
    load: Callable[[Incoming[None]], Awaitable[dict[str, Any]]],
) -> Response:
    async def events() -> AsyncIterator[str]:
        hub = call.server.hub
        async with hub.subscribed(call.environment_id, run_id) as subscription:
            shown = ""
            while not hub.closed.is_set():
                html = templates().get_template(template).render(await load(call))
                if html != shown:
                    shown = html
                    yield f"data: {json.dumps(html)}\n\n"
                else:
                    yield ": still here\n\n"
                await subscription.wait(_LOOK_AGAIN_S)
                await asyncio.sleep(_CALM_S)

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


def _link(query: dict[str, str]) -> str:
    given = {name: value for name, value in query.items() if value}
    return "/?" + urlencode(given) if given else "/"
