"""``trigger env``: the variables that tasks find in their environment."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values

from trigger_cli import session
from trigger_cli.console import Console
from trigger_core.api.calls import envvars as calls
from trigger_core.api.calls.envvars import VariablesOf
from trigger_core.errors import UsageError
from trigger_core.schemas.envvars import CreateVariable, ImportVariables

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="The variables that tasks find in their environment.",
)

_RESERVED = "TRIGGER_"
_PLAIN = re.compile(r"[\w./:@%+,-]*\Z")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The variable's name.")]
Project = Annotated[
    str | None,
    typer.Option(envvar="TRIGGER_PROJECT_REF", help="proj_…; else that of the running session."),
]
Environment = Annotated[
    str, typer.Option("--env", "-e", help="dev, staging, prod or preview; the key must be its own.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    *, project: Project = None, environment: Environment = "dev", json_output: Json = False
) -> None:
    """List the variables in the order of their names; secrets have no value to read."""
    console = Console(json_output=json_output)
    found = session.client().send(calls.list_all(_where(project, environment)))
    if json_output:
        console.data([one.to_wire() for one in found])
    elif not found:
        console.note("no variables")
    else:
        console.table(["NAME", "VALUE"], [[one.name, one.value] for one in found])


@app.command("get")
def get(name: Name, *, project: Project = None, environment: Environment = "dev") -> None:
    """Print the value of a variable, and nothing else."""
    found = session.client().send(calls.retrieve(_where(project, environment), name))
    if found.is_secret:
        raise UsageError(
            f"{name} is a secret",
            code="VARIABLE_SECRET",
            because="only tasks are given its value",
            hint=f"`trigger env set {name}` gives it another one",
        )
    Console().text(found.value)


@app.command("set")
def set_(
    name: Name,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="Its value; without one it is read.")
    ] = None,
    *,
    secret: Annotated[bool, typer.Option("--secret", help="Let nobody read it again.")] = False,
    project: Project = None,
    environment: Environment = "dev",
) -> None:
    """Write a variable; without a value it is read from stdin, so that it stays out of the history."""
    given = _read_value(name) if value is None else value
    made = CreateVariable(name=name, value=given, is_secret=secret)
    session.client().send(calls.create(_where(project, environment), made))
    Console().note(f"{name} is set; the next version of the code gets it")


@app.command("delete")
def delete(name: Name, *, project: Project = None, environment: Environment = "dev") -> None:
    """Remove a variable."""
    session.client().send(calls.delete(_where(project, environment), name))
    Console().note(f"{name} is removed")


@app.command("pull")
def pull(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Else stdout.")] = None,
    *,
    project: Project = None,
    environment: Environment = "dev",
) -> None:
    """Write the variables that can be read into a new file in the form of ``.env``, or to stdout."""
    console = Console()
    found = session.client().send(calls.list_all(_where(project, environment)))
    text = "".join(f"{one.name}={_quoted(one.value)}\n" for one in found if not one.is_secret)
    if file is None:
        sys.stdout.write(text)
    else:
        _write(file, text)
    for secret in (one.name for one in found if one.is_secret):
        console.note(f"{secret} is a secret and was left out")


@app.command("push")
def push(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Such as .env.")
    ],
    *,
    override: Annotated[
        bool, typer.Option("--override", help="Write over those that exist.")
    ] = False,
    secret: Annotated[bool, typer.Option("--secret", help="Let nobody read them again.")] = False,
    project: Project = None,
    environment: Environment = "dev",
) -> None:
    """Write the variables of a file, all or none."""
    console = Console()
    values = dotenv_values(file, encoding="utf-8", interpolate=False)
    variables = {
        name: value
        for name, value in values.items()
        if value is not None and not name.startswith(_RESERVED)
    }
    given = ImportVariables(variables=variables, override=override, is_secret=secret)
    session.client().send(calls.import_variables(_where(project, environment), given))
    for name in values.keys() - variables.keys():
        console.note(f"{name} was left out")
    console.note(f"{len(variables)} variables are set; the next version of the code gets them")


def _where(project: str | None, environment: str) -> VariablesOf:
    return VariablesOf(project or session.project_ref(), environment)


def _read_value(name: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True))
    return sys.stdin.read().removesuffix("\n")


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as out:
            file.chmod(0o600)
            out.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{file} exists already", code="FILE_EXISTS", hint="name another file, or remove it"
        ) from error


def _quoted(value: str) -> str:
    """Write a value so that it is read back as it is."""
    if _PLAIN.match(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
