"""``trigger run``: create a run and, if asked to, watch it."""

from __future__ import annotations

from typing import Annotated

import typer

from trigger_cli import payloads, session
from trigger_cli.console import Console, style_of
from trigger_cli.follow import follow
from trigger_core import duration
from trigger_core.api.calls import tasks as calls
from trigger_core.api.client import Client
from trigger_core.errors import ExitCode, UsageError
from trigger_core.machines import PRESETS
from trigger_core.schemas.runs import LogRecord, RunDetail
from trigger_core.schemas.trigger import TriggerOptions, TriggerTask

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(
    task: Annotated[str, typer.Argument(help="The task's id.")],
    payload: Annotated[str | None, typer.Argument(help="JSON, @file.json, or - for stdin.")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Watch the run until it is over.")] = False,
    delay: Annotated[str | None, typer.Option(help='"1h30m" or a moment.')] = None,
    ttl: Annotated[str | None, typer.Option(help="Expire if not started in this time.")] = None,
    queue: Annotated[str | None, typer.Option(help="Another queue.")] = None,
    concurrency_key: Annotated[str | None, typer.Option(help="Splits the queue.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="One live run per key.")] = None,
    max_attempts: Annotated[int | None, typer.Option(min=1, help="Attempts in all.")] = None,
    priority: Annotated[float | None, typer.Option(help="Head start in seconds.")] = None,
    machine: Annotated[str | None, typer.Option(help="Machine preset.")] = None,
    timeout: Annotated[str, typer.Option(help="How long --wait waits.")] = "10m",
    json_output: Annotated[bool, typer.Option("--json", help="Print the run object.")] = False,
) -> int:
    """Trigger a run of a task."""
    console = Console(json_output=json_output)
    if delay is not None:
        duration.resolve_delay(delay, 0)
    if machine is not None and machine not in PRESETS:
        raise UsageError(f"there is no machine preset {machine!r}", hint=", ".join(PRESETS))
    options = {
        "delay": delay,
        "ttl": duration.to_text(ttl) if ttl is not None else None,
        "queue": {"name": queue} if queue else None,
        "concurrency_key": concurrency_key,
        "tags": tag,
        "idempotency_key": idempotency_key,
        "max_attempts": max_attempts,
        "priority": priority,
        "machine": machine,
    }
    request = TriggerTask(
        payload=payloads.parse(payload), options=TriggerOptions.model_validate(options)
    )
    timeout_s = duration.parse_ms(timeout) / 1000
    client = session.client()
    triggered = client.send(calls.trigger(task, request))
    if wait:
        return _watch(console, client, triggered.id, timeout_s)
    if json_output:
        console.data(triggered.to_wire())
    else:
        console.text(triggered.id)
        link = session.dashboard_url(triggered.id)
        console.note(f"{'found by its key' if triggered.is_cached else 'triggered'}  {link or ''}")
    return ExitCode.OK


def _watch(console: Console, client: Client, run_id: str, timeout_s: float) -> int:
    console.note(f"run {run_id}  {session.dashboard_url(run_id) or ''}")
    last: RunDetail | None = None
    status = ""
    for item in follow(client, run_id, timeout_s):
        if isinstance(item, LogRecord):
            console.note(f"  {item.time[11:23]} {item.level.lower():<8} {item.message}")
            continue
        last = item
        if item.status != status and not item.is_completed:
            status = item.status
            console.note(f"  {item.updated_at[11:23]} {status.lower().replace('_', ' ')}")
    assert last is not None
    return _conclude(console, last)


def _conclude(console: Console, run: RunDetail) -> int:
    words = f"{run.status.lower().replace('_', ' ')} in {run.duration_ms} ms"
    attempts = f", {run.attempt_count} attempts" if run.attempt_count > 1 else ""
    console.note(console.paint(words + attempts, style_of(run.status)))
    if console.json_output:
        console.data(run.to_wire())
    elif run.is_success:
        console.data(run.output)
    elif run.error is not None:
        name = run.error.name or run.error.code
        console.note(f"{name}: {run.error.message}" if name else run.error.message)
    if run.is_success:
        return ExitCode.OK
    return ExitCode.CONFLICT if run.is_cancelled else ExitCode.FAILED
