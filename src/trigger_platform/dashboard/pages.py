"""The pages: a list of runs, one run, and the streams that keep them fresh."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from trigger_core.duration import describe
from trigger_platform.dashboard import waterfall
from trigger_platform.engine import cancel, replay, why
from trigger_platform.http import present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint
from trigger_platform.reads import runs as reads
from trigger_platform.reads import traces
from trigger_platform.reads.runs import Filters

__all__ = ["ENDPOINTS"]

_TEMPLATES = Path(__file__).parent / "templates"
_PAGE_SIZE = 30
_LOOK_AGAIN_S = 5.0
_CALM_S = 0.15
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
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


@endpoint("GET", "/", access=Access.LOCAL)
async def runs_page(call: Incoming[None]) -> Response:
    """Show the list of runs."""
    return _html("runs.html", await _runs(call))


@endpoint("GET", "/runs/{run_id}", access=Access.LOCAL)
async def run_page(call: Incoming[None]) -> Response:
    """Show one run."""
    return _html("run.html", await _run(call))


@endpoint("GET", "/live/runs", access=Access.LOCAL)
async def runs_stream(call: Incoming[None]) -> Response:
    """Stream the list, rendered anew after each change."""
    return _stream(call, None, "_runs.html", _runs)


@endpoint("GET", "/live/runs/{run_id}", access=Access.LOCAL)
async def run_stream(call: Incoming[None]) -> Response:
    """Stream one run, rendered anew after each change."""
    await call.server.read(reads.one, call.environment_id, call.path("run_id"))
    return _stream(call, call.path("run_id"), "_run.html", _run)


@endpoint("POST", "/runs/{run_id}/cancel", access=Access.LOCAL)
async def cancel_form(call: Incoming[None]) -> Response:
    """Cancel the run, then show it."""
    run = await call.server.write(cancel.run, call.environment_id, call.path("run_id"))
    return RedirectResponse(f"/runs/{run.id}", 303)


@endpoint("POST", "/runs/{run_id}/replay", access=Access.LOCAL)
async def replay_form(call: Incoming[None]) -> Response:
    """Replay the run, then show the new one."""
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
                html = _templates().get_template(template).render(await load(call))
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


def _html(template: str, values: dict[str, Any]) -> Response:
    content = _templates().get_template(template).render(values)
    return HTMLResponse(content, headers=_HEADERS)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = _pretty
    environment.filters["clock"] = _clock_time
    environment.filters["length_of_time"] = describe
    return environment


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _clock_time(moment: str | None) -> str:
    """Return the time of day of an ISO moment, with milliseconds."""
    return moment[11:23] if moment else "-"


def _link(query: dict[str, str]) -> str:
    given = {name: value for name, value in query.items() if value}
    return "/?" + urlencode(given) if given else "/"
