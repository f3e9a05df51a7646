"""``trigger public-tokens``: refuse public tokens that went astray."""

from __future__ import annotations

from typing import Annotated

import typer

from trigger_cli import session
from trigger_cli.console import Console
from trigger_core.api.calls import auth as calls

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Revoke public tokens.")


@app.callback()
def group() -> None:
    """Revoke public tokens."""


@app.command()
def revoke(
    token: Annotated[
        str,
        typer.Argument(metavar="TOKEN", help="The token, or its id (jti) if the server signed it."),
    ],
    *,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Refuse a public token of the environment from now on."""
    console = Console(json_output=json_output)
    revoked = session.client().send(calls.revoke_public_token(token))
    if json_output:
        console.data(revoked.to_wire())
    else:
        console.text("the token opens nothing any more")
