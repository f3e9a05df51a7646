"""``trigger schedules``: what runs by itself and when; create, change, switch, remove."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from trigger_cli import session
from trigger_cli.console import Console
from trigger_core import clock, timetable
from trigger_core.api.calls import schedules as calls
from trigger_core.api.client import Client
from trigger_core.errors import UsageError
from trigger_core.schemas.schedules import (
    CatchUp,
    CreateSchedule,
    NextTicks,
    ScheduleDetail,
    Tick,
    UpdateSchedule,
)

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="See what runs by itself and when; create, change, switch and remove schedules.",
)

Schedule = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="Id, deduplication key, or declaring task.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Cron = Annotated[str | None, typer.Option(help='Such as "0 9 * * 1-5" or @daily.')]
Every = Annotated[str | None, typer.Option(help='An interval instead, such as "30s".')]
Zone = Annotated[str, typer.Option(help="An IANA name, such as Europe/Berlin.")]
Window = Annotated[str | None, typer.Option(help='Spread over "30m", "10%" or "none".')]
CatchingUp = Annotated[str, typer.Option(help="Make up for missed ticks: none, last or all.")]
ExternalId = Annotated[str | None, typer.Option(help="Given to each run.")]


@app.command("list")
def list_(*, json_output: Json = False) -> None:
    """List schedules, oldest first."""
    console = Console(json_output=json_output)
    found = _all(session.client())
    if json_output:
        console.data([one.to_wire() for one in found])
    elif not found:
        console.note("no schedules; declare one with @schedules.task(cron=…)")
    else:
        _table(console, found)


@app.command()
def get(schedule: Schedule, *, json_output: Json = False) -> None:
    """Show one schedule."""
    _show(Console(json_output=json_output), session.client().send(calls.retrieve(schedule)))


@app.command("next")
def next_(
    schedule: Annotated[
        str | None, typer.Argument(metavar="[SCHEDULE]", help="All schedules unless given.")
    ] = None,
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="How many.")] = 5,
    cron: Cron = None,
    every: Every = None,
    timezone: Zone = "UTC",
    json_output: Json = False,
) -> None:
    """Show the next ticks: the time each is named by, and when it fires.

    With --cron or --every no schedule and no platform is needed.
    """
    console = Console(json_output=json_output)
    if cron is not None or every is not None:
        if schedule is not None:
            raise UsageError("give a schedule or an expression, not both")
        _show_ticks(
            console, _computed(timetable.expression(cron, every), timezone, count), timezone
        )
        return
    client = session.client()
    if schedule is not None:
        zone = client.send(calls.retrieve(schedule)).timezone
        ticks = client.send(calls.next_ticks(schedule, count=count)).data
        _show_ticks(console, [("", tick) for tick in ticks], zone)
        return
    every_one = [
        (one.task, tick)
        for one in _all(client)
        if one.active
        for tick in client.send(calls.next_ticks(one.id, count=count)).data
    ]
    first = sorted(every_one, key=lambda pair: pair[1].effective_at)[:count]
    _show_ticks(console, first, timezone)


@app.command()
def create(
    task: Annotated[str, typer.Argument(help="The id of a scheduled task.")],
    key: Annotated[
        str, typer.Argument(help="What the schedule is known by; a known one is updated.")
    ],
    *,
    cron: Cron = None,
    every: Every = None,
    timezone: Zone = "UTC",
    window: Window = None,
    catch_up: CatchingUp = "none",
    external_id: ExternalId = None,
    json_output: Json = False,
) -> None:
    """Create a schedule, or update the one with the key."""
    timetable.expression(cron, every)
    request = CreateSchedule(
        task=task,
        deduplication_key=key,
        cron=cron,
        every=every,
        timezone=timezone,
        window=window,
        catch_up=_policy(catch_up),
        external_id=external_id,
    )
    _show(Console(json_output=json_output), session.client().send(calls.create(request)))


@app.command()
def update(
    schedule: Schedule,
    *,
    cron: Cron = None,
    every: Every = None,
    timezone: Annotated[str | None, typer.Option(help="An IANA name.")] = None,
    window: Window = None,
    catch_up: Annotated[str | None, typer.Option(help="none, last or all.")] = None,
    external_id: ExternalId = None,
    json_output: Json = False,
) -> None:
    """Change what is given of a schedule; the rest stays."""
    client = session.client()
    known = client.send(calls.retrieve(schedule))
    if cron is None and every is None:
        cron = known.generator.expression
    request = UpdateSchedule(
        task=known.task,
        cron=cron,
        every=every,
        timezone=timezone or known.timezone,
        window=window or known.window,
        catch_up=known.catch_up if catch_up is None else _policy(catch_up),
        external_id=external_id or known.external_id,
    )
    _show(Console(json_output=json_output), client.send(calls.update(schedule, request)))


@app.command()
def delete(schedule: Schedule, *, json_output: Json = False) -> None:
    """Remove a schedule; its runs stay."""
    console = Console(json_output=json_output)
    gone = session.client().send(calls.delete(schedule))
    if json_output:
        console.data(gone.to_wire())
    else:
        console.text(gone.id)


@app.command()
def activate(schedule: Schedule, *, json_output: Json = False) -> None:
    """Let a schedule fire."""
    _show(Console(json_output=json_output), session.client().send(calls.activate(schedule)))


@app.command()
def deactivate(schedule: Schedule, *, json_output: Json = False) -> None:
    """Let a schedule pass its ticks by."""
    _show(Console(json_output=json_output), session.client().send(calls.deactivate(schedule)))


@app.command()
def timezones(*, json_output: Json = False) -> None:
    """List the names of time zones."""
    console = Console(json_output=json_output)
    if json_output:
        console.data(timetable.zones())
    else:
        console.text("\n".join(timetable.zones()))


def _all(client: Client) -> list[ScheduleDetail]:
    found: list[ScheduleDetail] = []
    number = total = 1
    while number <= total:
        page = client.send(calls.list_page(page=number))
        found += page.data
        total = page.pagination.total_pages
        number += 1
    return found


def _computed(expression: str, timezone: str, count: int) -> list[tuple[str, Tick]]:
    table = timetable.read(expression, timezone)
    moments = timetable.upcoming(table, time.time_ns() // 1_000_000, count)
    texts = [clock.to_iso(moment) for moment in moments]
    return [("", Tick(timestamp=text, effective_at=text)) for text in texts]


def _show_ticks(console: Console, ticks: Sequence[tuple[str, Tick]], timezone: str) -> None:
    if console.json_output:
        found = NextTicks(data=[tick for _, tick in ticks]).to_wire()["data"]
        named = [({"task": task} if task else {}) for task, _ in ticks]
        console.data([name | tick for name, tick in zip(named, found, strict=True)])
        return
    if not ticks:
        console.note("nothing is to come")
        return
    rows = [
        [_local(tick.timestamp, timezone), _brief(tick.effective_at), task] for task, tick in ticks
    ]
    console.table([f"NOMINAL ({timezone})", "EFFECTIVE (UTC)", "TASK" if ticks[0][0] else ""], rows)


def _show(console: Console, schedule: ScheduleDetail) -> None:
    if console.json_output:
        console.data(schedule.to_wire())
        return
    skipped = schedule.last_skipped
    facts = [
        ("schedule", schedule.id),
        ("task", schedule.task),
        ("type", schedule.type.lower()),
        ("active", "yes" if schedule.active else "no"),
        ("key", schedule.deduplication_key),
        ("external", schedule.external_id),
        ("when", f"{schedule.generator.expression}  {schedule.generator.description}"),
        ("timezone", schedule.timezone),
        ("window", schedule.window),
        ("catch up", schedule.catch_up),
        ("next", _local(schedule.next_run, schedule.timezone) if schedule.next_run else None),
        ("last", _local(schedule.last_run, schedule.timezone) if schedule.last_run else None),
        ("skipped", f"{_brief(skipped.timestamp)}: {skipped.reason}" if skipped else None),
    ]
    for name, value in facts:
        if value is not None:
            console.text(f"{name:<10}{value}")


def _table(console: Console, found: Sequence[ScheduleDetail]) -> None:
    rows = [
        [
            "active" if one.active else "off",
            one.id,
            one.task,
            one.generator.expression,
            one.timezone,
            _local(one.next_run, one.timezone) if one.next_run else "-",
            one.deduplication_key or ("code" if one.type == "DECLARATIVE" else "-"),
        ]
        for one in found
    ]
    console.table(["STATUS", "SCHEDULE", "TASK", "WHEN", "TIMEZONE", "NEXT", "KEY"], rows)


def _policy(text: str) -> CatchUp:
    for known in ("none", "last", "all"):
        if text == known:
            return known
    raise UsageError(f"--catch-up is none, last or all, not {text!r}")


def _local(iso: str, timezone: str) -> str:
    moment = clock.to_datetime(clock.from_iso(iso)).astimezone(timetable.zone(timezone))
    return moment.strftime("%a %Y-%m-%d %H:%M:%S %Z")


def _brief(iso: str) -> str:
    return iso[:19].replace("T", " ")
