"""``trigger server rotate-keys``: another key for the secrets in a database, while servers use it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from trigger_cli.commands.server_data import Config, Database, Json, settings_of
from trigger_cli.console import Console
from trigger_core.errors import ExitCode
from trigger_platform import key_rotation
from trigger_platform.key_rotation import Rotated

__all__ = ["rotate_keys"]


def rotate_keys(
    *,
    database: Database = None,
    config: Config = None,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Make no key; drop those of the file that nothing needs."),
    ] = False,
    json_output: Json = False,
) -> int:
    """Encrypt the secrets anew with the newest key while servers run; interrupted, it goes on where it was.

    Keys in a file: a new one is made. Keys in TRIGGER_ENCRYPTION_KEY: write the new one before the old.
    """
    console = Console(json_output=json_output)

    def tell(changed: int) -> None:
        if changed:
            console.note(f"{changed} values so far")

    done = key_rotation.rotate(settings_of(database, config), tell, forget=forget)
    if json_output:
        console.data(asdict(done))
    else:
        _report(console, done)
    return ExitCode.OK


def _report(console: Console, done: Rotated) -> None:
    begun = " (a rotation that was interrupted)" if done.was_begun else ""
    console.text(f"encrypted  {done.changed} values anew{begun}")
    console.text(f"key        {done.key}")
    if done.forgotten:
        console.text(f"dropped    {', '.join(done.forgotten)}")
    if done.older:
        console.text(f"older      {', '.join(done.older)}: nothing in the database needs them now")
