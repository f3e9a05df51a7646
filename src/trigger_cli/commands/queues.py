"""``trigger queues``: look at queues, pause them, change their limits."""

from __future__ import annotations

from typing import Annotated

import typer

from trigger_cli import session
from trigger_cli.console import Console
from trigger_core.api.call import Call
from trigger_core.api.calls import queues as calls
from trigger_core.errors import UsageError
from trigger_core.schemas.queues import QueueDetail

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Look at queues, pause them, change their limits.",
)

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="Its name, task/<task id>, or its id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    *,
    page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=100, help="How many on a page.")] = 100,
    json_output: Json = False,
) -> None:
    """List queues in the order of their names."""
    console = Console(json_output=json_output)
    found = session.client().send(calls.list_page(page=page, per_page=per_page))
    if json_output:
        console.data(found.to_wire())
    elif not found.data:
        console.note("no queues")
    else:
        console.table(
            ["STATE", "QUEUE", "RUNNING", "QUEUED", "LIMIT"], [_row(one) for one in found.data]
        )
        if found.pagination.total_pages > 1:
            console.note(f"page {page} of {found.pagination.total_pages}")


@app.command()
def get(queue: Name, *, json_output: Json = False) -> None:
    """Show one queue."""
    _send(calls.retrieve(calls.address(queue)), json_output=json_output)


@app.command()
def keys(
    queue: Name,
    *,
    page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=100, help="How many on a page.")] = 100,
    json_output: Json = False,
) -> None:
    """List the concurrency keys whose runs wait, those that wait the longest first."""
    console = Console(json_output=json_output)
    call = calls.keys(calls.address(queue), page=page, per_page=per_page)
    found = session.client().send(call)
    if json_output:
        console.data(found.to_wire())
    elif not found.data:
        console.note("no run of this queue waits")
    else:
        rows = [
            [one.waiting_since, one.key or "(none)", str(one.running), str(one.queued)]
            for one in found.data
        ]
        console.table(["SINCE", "KEY", "RUNNING", "QUEUED"], rows)
        if found.pagination.total_pages > 1:
            console.note(f"page {page} of {found.pagination.total_pages}")


@app.command()
def pause(queue: Name, *, json_output: Json = False) -> None:
    """Start nothing new in a queue; runs that execute go on."""
    _send(calls.pause(calls.address(queue), paused=True), json_output=json_output)


@app.command()
def resume(queue: Name, *, json_output: Json = False) -> None:
    """Let a paused queue go on."""
    _send(calls.pause(calls.address(queue), paused=False), json_output=json_output)


@app.command()
def limit(
    queue: Name,
    limit: Annotated[
        str, typer.Argument(metavar="LIMIT", help="A number, or such as 50% of the environment's.")
    ],
    *,
    json_output: Json = False,
) -> None:
    """Put a limit in the place of the one the code declares."""
    where = calls.address(queue)
    number = limit.removesuffix("%")
    if not number.isdigit():
        raise UsageError(f"{limit!r} is no limit", hint="write 10 or 50%")
    call = (
        calls.override(where, percent=int(number))
        if limit.endswith("%")
        else calls.override(where, limit=int(number))
    )
    _send(call, json_output=json_output)


@app.command()
def reset(queue: Name, *, json_output: Json = False) -> None:
    """Let the limit count again that the code declares."""
    _send(calls.reset(calls.address(queue)), json_output=json_output)


def _send(call: Call[QueueDetail], *, json_output: bool) -> None:
    console = Console(json_output=json_output)
    queue = session.client().send(call)
    if json_output:
        console.data(queue.to_wire())
        return
    for name, value in zip(
        ("state", "queue", "running", "queued", "limit"), _row(queue), strict=True
    ):
        console.text(f"{name:<10}{value}")


def _row(queue: QueueDetail) -> list[str]:
    name = f"task/{queue.name}" if queue.type == "task" else queue.name
    state = "paused" if queue.paused else "active"
    return [state, name, str(queue.running), str(queue.queued), _limit(queue)]


def _limit(queue: QueueDetail) -> str:
    counts = "-" if queue.concurrency_limit is None else str(queue.concurrency_limit)
    source = queue.concurrency
    if source is None or source.overridden_at is None:
        return counts
    declared = "none" if source.base is None else source.base
    return f"{counts} (code: {declared})"
