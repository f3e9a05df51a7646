"""``trigger server``: run a platform in the foreground, and look after its database."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from trigger_cli.commands import server_admin, server_data, server_keys
from trigger_cli.commands.server_data import Config, Database, Json, settings_of
from trigger_cli.console import Console
from trigger_core import duration
from trigger_core.errors import ExitCode
from trigger_platform import configuration, exposure, foreground, log_lines
from trigger_platform import doctor as doctors
from trigger_platform.doctor import Examination
from trigger_platform.http.server import Server
from trigger_platform.settings import Settings, require

__all__ = ["app"]

_log = logging.getLogger("trigger_platform.server")

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

_LARGEST = 8

app.command()(server_data.migrate)
app.command()(server_data.backup)
app.command()(server_data.restore)
app.command("rotate-keys")(server_keys.rotate_keys)
app.command("create-admin")(server_admin.create_admin)
app.command("create-worker-group")(server_admin.create_worker_group)


@app.command()
def start(
    *,
    database: Database = None,
    project: Annotated[str | None, typer.Option(help="The project it serves, proj_….")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0 picks a free one.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Where others reach it.")] = None,
    keep_runs: Annotated[str | None, typer.Option(help="For how long ended runs are kept.")] = None,
    keep_logs: Annotated[str | None, typer.Option(help="For how long lines are kept.")] = None,
    migrate: Annotated[
        bool | None,
        typer.Option("--migrate/--no-migrate", help="Bring the schema up to date first."),
    ] = None,
    config: Config = None,
    show_key: Annotated[
        bool, typer.Option("--show-key", help="Print the environment's secret key too.")
    ] = False,
    json_output: Json = False,
) -> int:
    """Run the platform until it is told to end; what it logs goes to stderr."""
    options = {
        "database": database,
        "project_ref": project,
        "host": host,
        "port": port,
        "public_url": public_url,
        "keep_runs": keep_runs,
        "keep_logs": keep_logs,
        "migrate": migrate,
    }
    settings = configuration.load(options, os.environ, config).settings
    require(settings, "database", "project_ref")
    exposure.refuse_unsafe(settings)
    console = Console(json_output=json_output)
    log_lines.configure(as_json=_logs_json(settings, json_output=json_output))
    for warning in exposure.warnings(settings):
        _log.warning("%s", warning)
    foreground.run(settings, lambda server: _announce(console, server, show_key=show_key))
    return ExitCode.OK


@app.command("config")
def show_config(*, config: Config = None, json_output: Json = False) -> int:
    """Show every setting: its value, where it comes from, and what it is for."""
    console = Console(json_output=json_output)
    shown = configuration.load({}, os.environ, config).shown()
    if json_output:
        console.data([asdict(one) for one in shown])
        return ExitCode.OK
    for one in shown:
        value = _shown(one.value)
        console.text(f"{console.paint(one.name, 'strong')} = {value}  ({one.origin})")
        console.text(console.paint(f"    {one.meaning}  [{one.variable}]", "dim"))
    return ExitCode.OK


@app.command()
def doctor(
    *,
    database: Database = None,
    config: Config = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended safely.")
    ] = False,
    json_output: Json = False,
) -> int:
    """Look whether a database is whole; exit with 10 when something is found (and left)."""
    console = Console(json_output=json_output)
    address = str(settings_of(database, config).database)
    found, mended = doctors.examine(address), 0
    if repair and any(one.is_mendable for one in found.findings):
        mended = doctors.repair(address)
        found = doctors.examine(address)
    if json_output:
        console.data({"ok": not found.findings, "mended": mended, **asdict(found)})
    else:
        _report(console, found, mended)
    return ExitCode.DIFFERENCE if found.findings else ExitCode.OK


def _shown(value: Any) -> str:
    """Return a value as a variable would have it."""
    if value in (None, "", []):
        return "not set"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _logs_json(settings: Settings, *, json_output: bool) -> bool:
    if settings.log_format == "auto":
        return json_output or not sys.stderr.isatty()
    return settings.log_format == "json"


def _announce(console: Console, server: Server, *, show_key: bool) -> None:
    local = server.local
    if console.json_output:
        event = {"event": "ready", "url": server.url, "projectRef": local.project.ref}
        key = {"secretKey": server.secret_key_of(local.environment)} if show_key else {}
        first = {"setupUrl": server.setup_url} if server.setup_url else {}
        console.data(event | key | first)
        return
    console.text(f"{server.url}  project {local.project.ref}")
    if server.setup_url:
        console.text(f"no admin yet: choose a password within a day at {server.setup_url}")
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
