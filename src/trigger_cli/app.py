"""The command line: a table of commands, each loaded only when it is used."""

from __future__ import annotations

import importlib
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from trigger_core.errors import ExitCode, TriggerError, UsageError

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("trigger_cli.commands.init", "Set up a project in this folder."),
    "dev": ("trigger_cli.commands.dev", "Run tasks here, reloading them as you edit."),
    "promote": ("trigger_cli.commands.promote", "Let new runs execute on a deployed version."),
    "env": (
        "trigger_cli.commands.env",
        "The variables that tasks find in their environment.",
    ),
    "run": ("trigger_cli.commands.run", "Trigger a run of a task."),
    "idempotency": ("trigger_cli.commands.idempotency", "Free idempotency keys."),
    "public-tokens": ("trigger_cli.commands.public_tokens", "Revoke public tokens."),
    "queues": ("trigger_cli.commands.queues", "Look at queues, pause them, change their limits."),
    "runs": ("trigger_cli.commands.runs", "Look at runs, cancel them, replay them, ask why."),
    "schedules": (
        "trigger_cli.commands.schedules",
        "See what runs by itself and when; create, change, switch.",
    ),
    "supervisor": (
        "trigger_cli.commands.supervisor",
        "Execute the runs of deployments on this machine.",
    ),
    "server": ("trigger_cli.commands.server", "Run a platform for others, and look after it."),
}
"""Name to module and one line; the module defines a Typer application called ``app``."""

_HELP = """\
Usage: trigger COMMAND [ARGUMENTS]

  Durable background tasks: write a function, run it with queues, retries and waits.

Commands:
{commands}

Options:
  --version  Show the version.
  --help     Show this message; `trigger COMMAND --help` shows a command's.
"""


class _Parser(Protocol):
    """A command of Typer."""

    def main(self, args: list[str], prog_name: str, *, standalone_mode: bool) -> Any:
        """Parse and run."""
        ...


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_guarded(lambda: _run(given), json_output="--json" in given))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"--help", "-h", "help"}:
        sys.stdout.write(_help())
        return ExitCode.OK if arguments else ExitCode.USAGE
    if arguments[0] == "--version":
        sys.stdout.write(f"trigger {_version()}\n")
        return ExitCode.OK
    name, *rest = arguments
    if name not in COMMANDS:
        raise _unknown(name)
    return _parse(name, rest)


def _parse(name: str, arguments: list[str]) -> int:
    """Load a command and let Typer parse its arguments."""
    typer = _typer()
    module = importlib.import_module(COMMANDS[name][0])
    command: _Parser = typer.main.get_command(module.app)
    usage_error = typer.BadParameter.__bases__[0]
    try:
        result = command.main(arguments, f"trigger {name}", standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except typer.Exit as error:
        return int(error.exit_code)
    except usage_error as error:
        text = error.format_message()
        raise UsageError(text, hint=f"`trigger {name} --help` shows how") from error
    return result if isinstance(result, int) else ExitCode.OK


def _typer() -> Any:
    try:
        return importlib.import_module("typer")
    except ImportError as error:
        raise TriggerError(
            "the command line is not installed",
            code="CLI_NOT_INSTALLED",
            because=str(error),
            hint='pip install "trigger-dev[cli]"',
        ) from error


def _unknown(name: str) -> UsageError:
    close = get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `trigger {close[0]}`?" if close else "`trigger --help` lists the commands"
    return UsageError(f"there is no command {name!r}", hint=hint)


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{line}" for name, (_, line) in COMMANDS.items()]
    return _HELP.format(commands="\n".join(lines))


def _guarded(command: Callable[[], int], *, json_output: bool) -> int:
    """Turn whatever a command raises into the one failure shape and an exit code."""
    try:
        return command()
    except TriggerError as error:
        return _show(error, json_output=json_output)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
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
        hint=f"report it with the details in {file.name}",
    )


def _version() -> str:
    try:
        return version("trigger-dev")
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    main()
