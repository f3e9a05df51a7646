"""``trigger server``: run a platform in the foreground, and look after its database."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trigger_cli.console import Console
from trigger_core import duration
from trigger_core.errors import ExitCode
from trigger_platform import doctor as doctors
from trigger_platform import foreground, key_source, log_lines
from trigger_platform.doctor import Examination
from trigger_platform.engine.retention import Periods
from trigger_platform.http.server import Server
from trigger_platform.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

DEFAULT_PORT = 8030
_LARGEST = 8
Database = Annotated[
    str,
    typer.Option(envvar="TRIGGER_DATABASE", help="The path of a SQLite file, or postgresql://…"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def start(
    *,
    database: Database,
    project: Annotated[
        str, typer.Option(envvar="TRIGGER_PROJECT_REF", help="The project it serves, proj_….")
    ],
    host: Annotated[
        str, typer.Option(envvar="TRIGGER_HOST", help="A loopback address.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(envvar="TRIGGER_PORT", min=0, max=65535, help="0 picks a free one."),
    ] = DEFAULT_PORT,
    keep_runs: Annotated[
        str, typer.Option(envvar="TRIGGER_KEEP_RUNS", help="For how long ended runs are kept.")
    ] = "30d",
    keep_logs: Annotated[
        str, typer.Option(envvar="TRIGGER_KEEP_LOGS", help="For how long lines are kept.")
    ] = "14d",
    show_key: Annotated[
        bool, typer.Option("--show-key", help="Print the environment's secret key too.")
    ] = False,
    json_output: Json = False,
) -> int:
    """Run the platform until it is told to end; what it logs goes to stderr."""
    settings = Settings(
        data_dir=Path(),
        project_ref=project,
        host=host,
        port=port,
        durable=True,
        database=database,
        encryption_keys=key_source.keys_in(os.environ),
        key_file=key_source.beside(database),
        periods=Periods(runs_ms=duration.parse_ms(keep_runs), logs_ms=duration.parse_ms(keep_logs)),
    )
    console = Console(json_output=json_output)
    log_lines.configure(as_json=json_output or not sys.stderr.isatty())
    foreground.run(settings, lambda server: _announce(console, server, show_key=show_key))
    return ExitCode.OK


@app.command()
def doctor(
    *,
    database: Database,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended safely.")
    ] = False,
    json_output: Json = False,
) -> int:
    """Look whether a database is whole; exit with 10 when something is found (and left)."""
    console = Console(json_output=json_output)
    found, mended = doctors.examine(database), 0
    if repair and any(one.is_mendable for one in found.findings):
        mended = doctors.repair(database)
        found = doctors.examine(database)
    if json_output:
        console.data({"ok": not found.findings, "mended": mended, **asdict(found)})
    else:
        _report(console, found, mended)
    return ExitCode.DIFFERENCE if found.findings else ExitCode.OK


def _announce(console: Console, server: Server, *, show_key: bool) -> None:
    local = server.local
    if console.json_output:
        event = {"event": "ready", "url": server.url, "projectRef": local.project.ref}
        key = {"secretKey": server.secret_key_of(local.environment)} if show_key else {}
        console.data(event | key)
        return
    console.text(f"{server.url}  project {local.project.ref}")
    if show_key:
        console.text(f"TRIGGER_SECRET_KEY={server.secret_key_of(local.environment)}")


def _report(console: Console, found: Examination, mended: int) -> None:
    waited = found.oldest_queued_ms
    states = ", ".join(f"{count} {state}" for state, count in found.runs.items())
    sizes = list(found.sizes.items())[:_LARGEST]
    console.text(f"schema     {found.schema}")
    console.text(f"runs       {states or 'none'}")
    console.text(f"oldest     {'nothing queued' if waited is None else duration.describe(waited)}")
    console.text(f"outbox     {found.outbox} events")
    for name, size in sizes:
        console.text(f"size       {name} {size:,} {found.unit}")
    if mended:
        console.text(f"mended     {mended}")
    for one in found.findings:
        hint = " (--repair mends it)" if one.is_mendable else ""
        console.text(console.paint(f"found      {one.area} {one.subject}: {one.what}{hint}", "bad"))
    if not found.findings:
        console.text(console.paint("nothing found", "good"))
