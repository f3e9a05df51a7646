"""Environment variables of an environment of the platform: what its tasks find in ``os.environ``.

>>> from trigger_sdk import envvars
>>> await envvars.upload({"STRIPE_KEY": "sk_live_…"}, is_secret=True, override=True)
>>> [one.name for one in await envvars.list()]
['STRIPE_KEY']

Without a ``project`` and an ``environment`` they are those of the key: in a task, the run's own. The value of
a secret is given to tasks, and cannot be read here.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING

from trigger_sdk import _lazy

if TYPE_CHECKING:
    from trigger_core.schemas.envvars import Variable

__all__ = [
    "create",
    "create_sync",
    "delete",
    "delete_sync",
    "list",
    "list_sync",
    "retrieve",
    "retrieve_sync",
    "update",
    "update_sync",
    "upload",
    "upload_sync",
]


async def list(  # noqa: A001 - the word users know
    *, project: str | None = None, environment: str | None = None
) -> builtins.list[Variable]:
    """Return the variables in the order of their names, those of a branch's parent too.

    Args:
        project: ``proj_…``.
        environment: ``dev``, ``staging``, ``prod`` or ``preview``.
    """
    return await _lazy.envvars()().list_all(project, environment)


def list_sync(
    *, project: str | None = None, environment: str | None = None
) -> builtins.list[Variable]:
    """Return the variables, blocking."""
    return _lazy.envvars()().list_all_sync(project, environment)


async def retrieve(
    name: str, *, project: str | None = None, environment: str | None = None
) -> Variable:
    """Read a variable.

    Raises:
        NotFoundError: there is none of this name.
    """
    return await _lazy.envvars()().read(name, project, environment)


def retrieve_sync(
    name: str, *, project: str | None = None, environment: str | None = None
) -> Variable:
    """Read a variable, blocking."""
    return _lazy.envvars()().read_sync(name, project, environment)


async def create(
    name: str,
    value: str,
    *,
    is_secret: bool = False,
    project: str | None = None,
    environment: str | None = None,
) -> None:
    """Write a variable, whether it exists or not; a secret stays one."""
    remote = _lazy.envvars()
    made = remote.creation(name, value, is_secret=is_secret)
    await remote().create(made, project, environment)


def create_sync(
    name: str,
    value: str,
    *,
    is_secret: bool = False,
    project: str | None = None,
    environment: str | None = None,
) -> None:
    """Write a variable, blocking."""
    remote = _lazy.envvars()
    made = remote.creation(name, value, is_secret=is_secret)
    remote().create_sync(made, project, environment)


async def update(
    name: str, value: str, *, project: str | None = None, environment: str | None = None
) -> None:
    """Give a variable another value.

    Raises:
        NotFoundError: there is none of this name.
    """
    await _lazy.envvars()().update(name, value, project, environment)


def update_sync(
    name: str, value: str, *, project: str | None = None, environment: str | None = None
) -> None:
    """Give a variable another value, blocking."""
    _lazy.envvars()().update_sync(name, value, project, environment)


async def delete(name: str, *, project: str | None = None, environment: str | None = None) -> None:
    """Remove a variable; a branch has its parent's again, if that has one."""
    await _lazy.envvars()().delete(name, project, environment)


def delete_sync(name: str, *, project: str | None = None, environment: str | None = None) -> None:
    """Remove a variable, blocking."""
    _lazy.envvars()().delete_sync(name, project, environment)


async def upload(
    variables: Mapping[str, str],
    *,
    parent_variables: Mapping[str, str] | None = None,
    override: bool = False,
    is_secret: bool = False,
    project: str | None = None,
    environment: str | None = None,
) -> None:
    """Write several variables, all or none; names that begin with ``TRIGGER_`` are left out.

    Args:
        variables: values by name.
        parent_variables: likewise, for the parent of a preview branch.
        override: whether those that exist are written over.
        is_secret: whether they are secrets.
        project: ``proj_…``.
        environment: ``dev``, ``staging``, ``prod`` or ``preview``.

    Raises:
        ApiError: a name cannot be, or one exists and ``override`` is not given.
    """
    remote = _lazy.envvars()
    given = remote.importing(variables, parent_variables, override=override, is_secret=is_secret)
    await remote().upload(given, project, environment)


def upload_sync(
    variables: Mapping[str, str],
    *,
    parent_variables: Mapping[str, str] | None = None,
    override: bool = False,
    is_secret: bool = False,
    project: str | None = None,
    environment: str | None = None,
) -> None:
    """Write several variables, blocking."""
    remote = _lazy.envvars()
    given = remote.importing(variables, parent_variables, override=override, is_secret=is_secret)
    remote().upload_sync(given, project, environment)
