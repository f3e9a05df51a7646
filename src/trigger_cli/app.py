"""The command line: a table of commands, loaded when they are used."""

from __future__ import annotations

import importlib
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from trigger_core.errors import ExitCode, TriggerError

__all__ = ["COMMANDS", "main"]

_INSTALL = 'pip install "trigger-dev[cli]"'

try:
    import click
except ImportError:  # the base install is for applications that only trigger tasks
    sys.stderr.write(
        "error CLI_NOT_INSTALLED: the command line is not installed\n"
        f"  fix: {_INSTALL}\n"
        "  docs: docs/reference/errors.md#cli_not_installed\n"
    )
    sys.exit(ExitCode.FAILED)

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("trigger_cli.commands.init", "Set up a project in this folder."),
    "dev": ("trigger_cli.commands.dev", "Run tasks here, reloading them as you edit."),
    "run": ("trigger_cli.commands.run", "Trigger a run of a task."),
    "runs": ("trigger_cli.commands.runs", "Look at runs, cancel them, replay them, ask why."),
}
"""Name to module and one line; the module defines a Typer application called ``app``."""


class _Commands(click.Group):
    """Lists commands from the table without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        typer = importlib.import_module("typer")
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table's lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_guarded(lambda: _run(given), json_output="--json" in given))


def _run(arguments: list[str]) -> int:
    group = _Commands(
        "trigger",
        help="Durable background tasks: write a function, run it with queues, retries and waits.",
        params=[
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_version,
                help="Show the version.",
            )
        ],
        no_args_is_help=True,
    )
    result = group.main(arguments, prog_name="trigger", standalone_mode=False)
    return result if isinstance(result, int) else ExitCode.OK


def _guarded(command: Callable[[], int], *, json_output: bool) -> int:
    """Turn whatever a command raises into the one failure shape and an exit code."""
    try:
        return command()
    except TriggerError as error:
        return _show(error, json_output=json_output)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.exceptions.UsageError as error:
        usage = error.ctx.get_usage() if error.ctx else None
        shown = TriggerError(error.format_message(), code="USAGE", because=usage)
        _show(shown, json_output=json_output)
        return ExitCode.USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001 - a defect of ours, shown without a traceback
        return _show(_defect(error), json_output=json_output)


def _show(error: TriggerError, *, json_output: bool) -> int:
    console = importlib.import_module("trigger_cli.console").Console(json_output=json_output)
    console.failure(error)
    return error.exit_code


def _defect(error: Exception) -> TriggerError:
    with tempfile.NamedTemporaryFile(
        "w", prefix="trigger-crash-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return TriggerError(
        "this is a defect of trigger itself",
        code="INTERNAL_ERROR",
        because=f"{type(error).__name__}: {error}",
        hint=f"report it with the details in {Path(file.name)}",
    )


def _show_version(ctx: click.Context, _parameter: Any, value: bool) -> None:  # noqa: FBT001
    if not value:
        return
    try:
        number = version("trigger-dev")
    except PackageNotFoundError:
        number = "unknown"
    click.echo(f"trigger {number}")
    ctx.exit()


if __name__ == "__main__":
    main()
