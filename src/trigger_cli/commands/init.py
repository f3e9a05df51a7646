"""``trigger init``: set up a project in this folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trigger_cli.console import Console
from trigger_cli.init.apply import apply
from trigger_cli.init.plan import Change, plan
from trigger_core.errors import ExitCode, UsageError

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def init(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the changes as JSON.")] = False,
) -> int:
    """Set up a project in this folder. Files that exist are never overwritten."""
    console = Console(json_output=json_output)
    folder = Path.cwd()
    changes = plan(folder)
    if not yes:
        _confirm(console, changes, folder)
    apply(changes)
    if json_output:
        console.data([_described(change, folder) for change in changes])
        return ExitCode.OK
    for change in changes:
        console.text(f"  {change.kind:<8} {change.file.relative_to(folder)}  ({change.why})")
    console.text("\nNext: install the dependency, then `trigger dev`, and in another terminal")
    console.text("""      trigger run hello-world '{"message": "hi"}' --wait""")
    return ExitCode.OK


def _confirm(console: Console, changes: list[Change], folder: Path) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask on", code="CONFIRMATION_NEEDED", hint="trigger init --yes"
        )
    for change in changes:
        if change.kind != "kept":
            console.note(f"  {change.kind}: {change.file.relative_to(folder)}")
    typer.confirm("Write these files?", default=True, abort=True, err=True)


def _described(change: Change, folder: Path) -> dict[str, str]:
    return {"file": str(change.file.relative_to(folder)), "change": change.kind, "why": change.why}
