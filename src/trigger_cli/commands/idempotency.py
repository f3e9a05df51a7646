"""``trigger idempotency``: free idempotency keys."""

from __future__ import annotations

from typing import Annotated

import typer

from trigger_cli import session
from trigger_cli.console import Console
from trigger_core.api.calls import idempotency as calls
from trigger_sdk import idempotency_keys

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Free idempotency keys.")


@app.callback()
def group() -> None:
    """Free idempotency keys."""


@app.command()
def reset(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's id.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="As in the code, or its hash.")],
    *,
    run: Annotated[
        str | None, typer.Option(help="The run whose code triggered with the key.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Free a key, so that the next trigger of the task makes a new run."""
    console = Console(json_output=json_output)
    key_hash = idempotency_keys.salted(key, *([run] if run else []))
    freed = session.client().send(calls.reset(task, key_hash))
    if json_output:
        console.data(freed.to_wire())
    else:
        console.text(f"the key is free: {freed.id}")
