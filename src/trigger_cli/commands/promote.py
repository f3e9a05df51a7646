"""``trigger promote``: let new runs execute on a deployed version."""

from __future__ import annotations

from typing import Annotated

import typer

from trigger_cli import session
from trigger_cli.console import Console
from trigger_core.api.calls import deployments as calls

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as 20260131.4.")],
    *,
    allow_rollback: Annotated[
        bool, typer.Option("--allow-rollback", help="It may be older than the current one.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let new runs execute on a deployed version; those that have started keep theirs."""
    console = Console(json_output=json_output)
    done = session.client().send(calls.promote(version, allow_rollbacks=allow_rollback))
    if json_output:
        console.data(done.to_wire())
    else:
        console.text(f"{done.version} is current")
