"""``trigger server migrate``, ``backup`` and ``restore``: what is done to a database and not by a server."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trigger_cli.console import Console
from trigger_core.errors import ExitCode
from trigger_platform import backup as backups
from trigger_platform import configuration
from trigger_platform.blobs.opening import blob_folder
from trigger_platform.settings import Settings, require
from trigger_platform.store.dump import Manifest

__all__ = ["Config", "Database", "Json", "backup", "migrate", "restore", "settings_of"]

Config = Annotated[
    Path | None, typer.Option("--config", help="A file of settings; else TRIGGER_CONFIG names it.")
]
Database = Annotated[str | None, typer.Option(help="The path of a SQLite file, or postgresql://…")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def migrate(
    *,
    database: Database = None,
    config: Config = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 10 if something is missing.")
    ] = False,
    json_output: Json = False,
) -> int:
    """Bring the schema of a database up to date; servers of the version before go on meanwhile."""
    console = Console(json_output=json_output)
    address = str(settings_of(database, config).database)
    if not check:
        backups.migrate(address)
    found, newest = backups.pending(address)
    if json_output:
        console.data({"ok": found == newest, "schema": found, "newest": newest})
    elif found == newest:
        console.text(console.paint(f"the schema is number {found}, the newest", "good"))
    else:
        console.text(f"the schema is number {found}, the newest is {newest}")
    return ExitCode.OK if found == newest else ExitCode.DIFFERENCE


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, such as backup.zip.")],
    *,
    database: Database = None,
    config: Config = None,
    force: Force = False,
    json_output: Json = False,
) -> int:
    """Write everything in the database into one file; servers go on meanwhile."""
    settings = settings_of(database, config)
    os.umask(0o077)
    manifest = backups.backup(str(settings.database), file, blob_folder(settings), force=force)
    _report(Console(json_output=json_output), "backed up", manifest)
    return ExitCode.OK


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    *,
    database: Database = None,
    config: Config = None,
    force: Force = False,
    json_output: Json = False,
) -> int:
    """Fill a database from a backup: a file from a server's, or the other way round."""
    settings = settings_of(database, config)
    os.umask(0o077)
    manifest = backups.restore(file, str(settings.database), blob_folder(settings), force=force)
    _report(Console(json_output=json_output), "restored", manifest)
    return ExitCode.OK


def settings_of(database: str | None, config: Path | None) -> Settings:
    """Return the settings of a command that works on a database."""
    settings = configuration.load({"database": database}, os.environ, config).settings
    require(settings, "database")
    return settings


def _report(console: Console, done: str, manifest: Manifest) -> None:
    if console.json_output:
        console.data(asdict(manifest))
        return
    rows = sum(manifest.rows.values())
    console.text(
        console.paint(
            f"{done} {manifest.rows.get('run', 0):,} runs ({rows:,} rows, {manifest.blobs:,} blobs)",
            "good",
        )
    )
    console.note("the key that opens its secrets is not in the file: keep a copy of it elsewhere")
