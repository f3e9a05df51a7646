"""``trigger server create-admin``, ``create-worker-group``: who may do everything, who executes runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from trigger_cli.commands.server_data import Config, Database, Json, settings_of
from trigger_cli.console import Console
from trigger_core.errors import ExitCode, UsageError
from trigger_platform import administration

__all__ = ["create_admin", "create_worker_group"]


def create_admin(
    email: Annotated[str, typer.Argument(help="The address to log in with.")],
    *,
    database: Database = None,
    config: Config = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from stdin.")
    ] = False,
    json_output: Json = False,
) -> int:
    """Make somebody an admin of the server, or give an admin another password."""
    if "@" not in email:
        raise UsageError(f"{email!r} is no e-mail address", code="USAGE")
    settings = settings_of(database, config)
    made = administration.create_admin(
        str(settings.database), email, _password(is_given=password_stdin)
    )
    console = Console(json_output=json_output)
    if json_output:
        console.data({"id": made.id, "email": made.email})
    else:
        console.text(console.paint(f"{made.email} is an admin and can log in", "good"))
    return ExitCode.OK


def create_worker_group(
    name: Annotated[str, typer.Argument(help="What the group is called.")] = "default",
    *,
    database: Database = None,
    config: Config = None,
    json_output: Json = False,
) -> int:
    """Make a group of supervisors, and print the token by which they log in. It is shown this once."""
    settings = settings_of(database, config)
    token = administration.create_worker_group(str(settings.database), name)
    console = Console(json_output=json_output)
    if json_output:
        console.data({"name": name, "token": token})
    else:
        console.text(token)
    return ExitCode.OK


def _password(*, is_given: bool) -> str:
    if is_given:
        return sys.stdin.readline().rstrip("\n")
    text: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return text
