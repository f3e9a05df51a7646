"""``trigger dev``: run tasks on this machine, reloading them as they are edited."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from trigger_cli.console import Console
from trigger_cli.dev import lock
from trigger_cli.dev.dev_session import DevSupervisor
from trigger_sdk import config

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_PORT = 8030


@app.command()
def dev(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = DEFAULT_PORT,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="postgresql://… instead of a file under .trigger/; else TRIGGER_DATABASE_URL.",
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print events as JSON.")] = False,
) -> int:
    """Run tasks here, reloading them as you edit."""
    console = Console(json_output=json_output)
    folder = Path.cwd().resolve()
    project = config.load(folder)
    with lock.held(folder):
        return asyncio.run(_supervise(folder, project, port, database, console))


async def _supervise(
    folder: Path, project: config.Config, port: int, database: str | None, console: Console
) -> int:
    return await DevSupervisor(folder, project, port, console, database=database).run()
