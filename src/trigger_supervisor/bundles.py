"""Bundles: unpacked builds, one folder for each deployment, named like its image.

The image ``registry.example.com/trigger/proj_x:20261126.1.prod.k3m9q2xa`` lies in
``proj_x/20261126.1.prod.k3m9q2xa``. Its ``bundle.json`` says what an image's configuration would say:
``{"command": ["node", "controller.mjs"], "env": {"NODE_ENV": "production"}}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trigger_core.errors import ConfigError, TriggerError

__all__ = ["Bundle", "Bundles"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class _Description(BaseModel):
    """The content of ``bundle.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: list[str] = Field(min_length=1)
    env: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A build that can be started: the command runs in the folder."""

    folder: Path
    command: tuple[str, ...]
    env: dict[str, str]


class Bundles:
    """The folder they lie in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, image: str) -> Bundle:
        """Return the build of an image.

        Raises:
            TriggerError: it is not there.
            ConfigError: its description cannot be read.
        """
        place = _place(image)
        folder = self._folder.joinpath(*place)
        file = folder / "bundle.json"
        if not place or not file.is_file():
            raise TriggerError(
                f"the build of {image or 'the deployment'} is not here",
                code="BUNDLE_NOT_FOUND",
                because=f"there is no {file}" if place else "the deployment names no image",
                hint="unpack the build there, on the machine of every supervisor of the group",
            )
        try:
            said = _Description.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise ConfigError(
                f"{file} cannot be read",
                code="BUNDLE_INVALID",
                because="; ".join(str(one["msg"]) for one in error.errors()),
                at=str(file),
                hint='it says {"command": ["…"], "env": {"NAME": "value"}}',
            ) from error
        return Bundle(folder, tuple(said.command), said.env)


def _place(image: str) -> tuple[str, ...]:
    """Return the folders that an image's name means; none for one that could lead elsewhere."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return (name, tag) if _NAME.fullmatch(name) and _NAME.fullmatch(tag) else ()
