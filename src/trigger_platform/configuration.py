"""Where settings come from: options, then ``TRIGGER_*`` variables, then a TOML file, then defaults.

A secret may also stand in a file that ``TRIGGER_<NAME>_FILE`` names, as orchestrators mount them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trigger_core.errors import UsageError
from trigger_platform.settings import Settings, variable_of

__all__ = ["DEFAULT", "Configuration", "Shown", "load", "names"]

DEFAULT = "default"
_FILE = "TRIGGER_CONFIG"


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as people may see it.

    Attributes:
        name: how it is called in the file.
        variable: how it is called in the environment.
        value: its value; secrets are masked.
        origin: where the value comes from.
        meaning: what it is for.
    """

    name: str
    variable: str
    value: Any
    origin: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and where each of them comes from."""

    settings: Settings
    origins: Mapping[str, str]

    def shown(self) -> list[Shown]:
        """Return every setting, without secrets."""
        values = self.settings.model_dump(mode="json")
        fields = Settings.model_fields
        return [
            Shown(
                name,
                variable_of(name),
                values[name],
                self.origins.get(name, DEFAULT),
                str(fields[name].description),
            )
            for name in names()
        ]


def names() -> list[str]:
    """Return the names of the settings that people can give."""
    return [name for name, field in Settings.model_fields.items() if field.description]


def load(
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    file: Path | None = None,
    *,
    durable: bool = True,
) -> Configuration:
    """Put the settings of a server together.

    Args:
        options: what was given on the command line; ``None`` was not.
        environ: the environment.
        file: the TOML file; else the one that ``TRIGGER_CONFIG`` names, if any.
        durable: whether acknowledged writes survive a power cut.

    Raises:
        UsageError: a value is wrong, or the file cannot be read or has an unknown setting.
    """
    given = environ.get(_FILE)
    path = file or (Path(given) if given else None)
    found: dict[str, tuple[Any, str]] = {}
    if path is not None:
        found |= {name: (value, f"file {path}") for name, value in _read(path).items()}
    found |= dict(_variables(environ))
    found |= {
        name: (value, "--" + name.removesuffix("_ref").replace("_", "-"))
        for name, value in options.items()
        if value is not None
    }
    origins = {name: origin for name, (_, origin) in found.items()}
    try:
        values = {name: value for name, (value, _) in found.items()}
        settings = Settings.model_validate(values | {"durable": durable})
    except ValidationError as error:
        raise _invalid(error, origins) from error
    return Configuration(settings, origins)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the file of settings {path} cannot be read",
            code="SETTINGS_UNREADABLE",
            because=str(error),
            hint="write settings one a line, such as `port = 8030`; `trigger server config` lists them",
        ) from error
    for name in content:
        if name not in names():
            raise _unknown(path, name)
    return content


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for name in names():
        variable = variable_of(name)
        if environ.get(variable):
            yield name, (environ[variable], variable)
        elif environ.get(f"{variable}_FILE"):
            yield name, (_mounted(Path(environ[f"{variable}_FILE"])), f"{variable}_FILE")


def _mounted(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the file {path} cannot be read", code="SETTINGS_UNREADABLE", because=str(error)
        ) from error


def _unknown(path: Path, name: str) -> UsageError:
    close = get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]}?" if close else "`trigger server config` lists the settings"
    return UsageError(
        f"there is no setting {name!r}", code="SETTING_UNKNOWN", because=f"{path} has it", hint=hint
    )


def _invalid(error: ValidationError, origins: Mapping[str, str]) -> UsageError:
    """Say which setting is wrong and where it comes from; the value itself may be a secret."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0])
    return UsageError(
        f"the setting {name} is wrong",
        code="SETTING_INVALID",
        because=first["msg"].removeprefix("Value error, "),
        at=origins.get(name),
        hint=str(Settings.model_fields[name].description),
    )
