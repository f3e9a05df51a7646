"""``trigger runs``: look at runs, cancel them, replay them, ask why."""

from __future__ import annotations

from typing import Annotated

import typer

from trigger_cli import payloads, session
from trigger_cli.console import Console
from trigger_core.api.calls import runs as calls
from trigger_core.schemas.runs import ReplayRun, RunDetail

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Look at runs, cancel them, replay them, ask why.",
)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    *,
    status: Annotated[list[str] | None, typer.Option(help="Such as FAILED; repeatable.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="The task's id; repeatable.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; repeatable.")] = None,
    version: Annotated[list[str] | None, typer.Option(help="A version; repeatable.")] = None,
    queue: Annotated[list[str] | None, typer.Option(help="A queue; repeatable.")] = None,
    batch: Annotated[str | None, typer.Option(help="The id of a batch.")] = None,
    period: Annotated[str | None, typer.Option(help="How far back, such as 7d.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 25,
    json_output: Json = False,
) -> None:
    """List runs, newest first."""
    console = Console(json_output=json_output)
    statuses = [one.upper() for one in status or []]
    call = calls.list_page(
        size=limit,
        status=statuses,
        task=task or [],
        tag=tag or [],
        version=version or [],
        queue=queue or [],
        batch=batch,
        period=period,
    )
    page = session.client().send(call)
    if json_output:
        console.data(page.to_wire())
        return
    if not page.data:
        console.note("no runs")
        return
    console.table(
        ["STATUS", "RUN", "TASK", "VERSION", "CREATED", "ACTIVE"],
        [
            [
                run.status,
                run.id,
                run.task_identifier,
                run.version or "-",
                run.created_at[:19].replace("T", " "),
                f"{run.duration_ms} ms",
            ]
            for run in page.data
        ],
    )


@app.command()
def get(run_id: RunId, *, json_output: Json = False) -> None:
    """Show one run."""
    console = Console(json_output=json_output)
    run = session.client().send(calls.retrieve(run_id))
    if json_output:
        console.data(run.to_wire())
        return
    for name, value in _facts(run):
        console.text(f"{name:<10}{value}")
    if run.error is not None and run.error.stack_trace:
        console.text(run.error.stack_trace.rstrip())


@app.command()
def logs(run_id: RunId, *, json_output: Json = False) -> None:
    """Print what a run wrote."""
    console = Console(json_output=json_output)
    client = session.client()
    after = 0
    while (page := client.send(calls.logs(run_id, after=after))).data:
        after = page.next
        for line in page.data:
            if json_output:
                console.data(line.to_wire())
            else:
                extra = f" {line.attributes}" if line.attributes else ""
                console.text(f"{line.time[11:23]} {line.level.lower():<8} {line.message}{extra}")


@app.command()
def cancel(run_id: RunId, *, json_output: Json = False) -> None:
    """Cancel a run."""
    console = Console(json_output=json_output)
    client = session.client()
    client.send(calls.cancel(run_id))
    run = client.send(calls.retrieve(run_id))
    if json_output:
        console.data(run.to_wire())
    else:
        console.text(f"{run.id} {run.status.lower()}")


@app.command()
def replay(
    run_id: RunId,
    *,
    payload: Annotated[
        str | None, typer.Option(help="Another payload: JSON, @file.json, or - for stdin.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Create a new run with the same task and options, and the same payload unless one is given."""
    console = Console(json_output=json_output)
    body = None if payload is None else ReplayRun(payload=payloads.parse(payload))
    replayed = session.client().send(calls.replay(run_id, body))
    if json_output:
        console.data(replayed.to_wire())
    else:
        console.text(replayed.id)


@app.command()
def reschedule(
    run_id: RunId,
    delay: Annotated[str, typer.Argument(help="Such as 2h, or a moment in ISO 8601.")],
    *,
    json_output: Json = False,
) -> None:
    """Give a run that is still delayed another delay."""
    console = Console(json_output=json_output)
    run = session.client().send(calls.reschedule(run_id, delay))
    if json_output:
        console.data(run.to_wire())
    else:
        console.text(f"{run.id} {run.status.lower()} until {run.delayed_until}")


@app.command()
def why(run_id: RunId, *, json_output: Json = False) -> None:
    """Explain why a run is where it is."""
    console = Console(json_output=json_output)
    found = session.client().send(calls.why(run_id))
    if json_output:
        console.data(found.to_wire())
        return
    console.text(
        f"{found.id}  {found.status} since {found.since[11:19]}  task={found.task}  queue={found.queue}"
    )
    for reason in found.blocked_by:
        console.text(f"  blocked by   {reason}")
    for reason in found.clear:
        console.text(f"  not blocked  {reason}")
    console.text(f"  next         {found.next}")


def _facts(run: RunDetail) -> list[tuple[str, str]]:
    facts = [
        ("run", run.id),
        ("task", run.task_identifier),
        ("status", run.status),
        ("version", run.version or "-"),
        ("queue", run.queue or "-"),
        ("created", run.created_at),
        ("finished", run.finished_at or "-"),
        ("attempts", str(run.attempt_count)),
        ("active", f"{run.duration_ms} ms"),
        ("payload", repr(run.payload)),
    ]
    if run.tags:
        facts.append(("tags", ", ".join(run.tags)))
    if run.is_success:
        facts.append(("output", repr(run.output)))
    if run.error is not None:
        name = run.error.name or run.error.code
        facts.append(("error", f"{name}: {run.error.message}" if name else run.error.message))
    link = session.dashboard_url(run.id)
    return [*facts, ("page", link)] if link else facts
