"""Environment variables: what the tasks of an environment find in their process environment.

A branch has the variables of its parent, and its own before those. Values are sealed. One that is marked
secret is given to workers and to nobody else, and stays secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from trigger_core.errors import ConflictError, NotFoundError, UsageError
from trigger_platform.engine import environment as locking
from trigger_platform.engine.unit import Unit
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import EnvironmentRow, SealedVariableRow, VariableRow, as_params

__all__ = [
    "RESERVED",
    "Changes",
    "VariablesError",
    "all_of",
    "create",
    "delete",
    "find",
    "put",
    "read",
    "reseal",
    "rows",
    "update",
]

RESERVED = "TRIGGER_"
"""How the names begin that the platform gives to tasks itself."""

LONGEST = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_]{1,255}\Z")


class VariablesError(UsageError):
    """Variables cannot be written; ``problems`` says of each what is wrong."""

    code = "VARIABLES_REFUSED"

    def __init__(self, what: str, problems: Mapping[str, str]) -> None:
        super().__init__(what, because="; ".join(f"{key}: {why}" for key, why in problems.items()))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Changes:
    """Variables to write.

    Attributes:
        variables: values by name.
        override: whether those that exist are written over; else they are refused.
        is_secret: whether they are secrets.
        source: who writes them, as JSON.
    """

    variables: Mapping[str, str]
    override: bool = True
    is_secret: bool = False
    source: str | None = None


def rows(u: Unit, environment: EnvironmentRow) -> list[VariableRow]:
    """Return the variables of an environment in the order of their names, with those it inherits."""
    found = all_of(u, environment.id, environment.parent_id)
    own = {row.name for row in found if row.environment_id == environment.id}
    return [row for row in found if row.environment_id == environment.id or row.name not in own]


def all_of(u: Unit, environment_id: str, parent_id: str | None) -> list[VariableRow]:
    """Return the variables of an environment and of its parent, those too that it has instead."""
    return u.tx.all(
        "variables_of",
        VariableRow,
        environment_id=environment_id,
        parent_id=parent_id or environment_id,
    )


def find(u: Unit, environment: EnvironmentRow, name: str) -> VariableRow:
    """Return a variable of an environment, or the one that it inherits.

    Raises:
        NotFoundError: it has none of this name.
    """
    for row in rows(u, environment):
        if row.name == name:
            return row
    raise _unknown(name)


def read(keys: KeyRing, row: VariableRow) -> str:
    """Return a variable's value.

    Raises:
        EncryptionError: the ring lacks the key that sealed it.
    """
    where = place(row.environment_id, row.name)
    return keys.open(row.sealed, where, hide=bool(row.is_secret))


def reseal(keys: KeyRing, row: SealedVariableRow) -> str:
    """Return a sealed value as the newest key seals it."""
    where = place(row.environment_id, row.name)
    return keys.seal(keys.open(row.sealed, where), where)


def create(
    u: Unit, environment: EnvironmentRow, name: str, value: str, *, is_secret: bool = False
) -> None:
    """Write a variable, whether there is one of the name or not.

    Raises:
        VariablesError: the name or the value cannot be.
    """
    if name.startswith(RESERVED):
        raise VariablesError("The name is reserved", {name: f"{RESERVED}… is the platform's own"})
    put(u, environment, Changes({name: value}, is_secret=is_secret))


def update(u: Unit, environment: EnvironmentRow, name: str, value: str) -> None:
    """Give a variable another value; a branch that inherits it has its own from now on.

    Raises:
        NotFoundError: there is none of this name.
        VariablesError: the value cannot be.
    """
    known = find(u, environment, name)
    put(u, environment, Changes({name: value}, is_secret=bool(known.is_secret)))


def put(u: Unit, environment: EnvironmentRow, changes: Changes) -> None:
    """Write variables, all or none; those with reserved names are left out.

    Raises:
        VariablesError: a name or a value cannot be, or one exists that must not.
    """
    locking.lock(u, environment.id)
    wanted = {
        name: value for name, value in changes.variables.items() if not name.startswith(RESERVED)
    }
    _refuse(dict(_problems(wanted)), "Some variables cannot be written")
    known = {row.name: row for row in rows(u, environment) if row.environment_id == environment.id}
    if not changes.override:
        taken = {name: "it is set already" for name in wanted if name in known}
        _refuse(taken, "Some of the variables are already set")
    written = [_row(u, environment, name, changes, known.get(name)) for name in wanted]
    u.insert("variable_insert", [row for row in written if row.version == 1])
    for row in written:
        if row.version > 1:
            u.tx.run("variable_update", **as_params(row))
    _tell(u, environment, written)


def delete(u: Unit, environment: EnvironmentRow, name: str) -> None:
    """Remove a variable; a branch has its parent's again, if that has one.

    Raises:
        NotFoundError: there is none of this name.
        ConflictError: it is the parent's.
    """
    known = find(u, environment, name)
    if known.environment_id != environment.id:
        raise ConflictError(
            f"{name} is inherited",
            status=400,
            code="VARIABLE_INHERITED",
            because="the branch has it from its parent",
            hint="delete it there, or give the branch a value of its own",
        )
    u.tx.run("variable_delete", environment_id=environment.id, name=name)
    _tell(u, environment, [known])


def place(environment_id: str, name: str) -> str:
    """Return where a value is sealed for."""
    return f"environment/{environment_id}/variable/{name}"


def _row(
    u: Unit,
    environment: EnvironmentRow,
    name: str,
    changes: Changes,
    known: VariableRow | None,
) -> VariableRow:
    made = VariableRow(
        environment_id=environment.id,
        name=name,
        sealed=u.keys.seal(
            changes.variables[name], place(environment.id, name), hide=changes.is_secret
        ),
        is_secret=int(changes.is_secret),
        version=1,
        source=changes.source,
        created_at=u.now,
        updated_at=u.now,
    )
    if known is None:
        return made
    return replace(
        made,
        is_secret=max(made.is_secret, known.is_secret),
        version=known.version + 1,
        created_at=known.created_at,
    )


def _tell(u: Unit, environment: EnvironmentRow, changed: Iterable[VariableRow]) -> None:
    if any(row.is_secret for row in changed):
        u.tx.run("environment_secrets_changed", id=environment.id)


def _problems(wanted: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for name, value in wanted.items():
        if not _NAME.match(name):
            yield name, "a name has letters, digits and underscores, 255 at most"
        elif "\0" in value:
            yield name, "a value cannot have a NUL character"
        elif len(value.encode()) > LONGEST:
            yield name, f"a value has {LONGEST:,} bytes at most"


def _refuse(problems: Mapping[str, str], what: str) -> None:
    if problems:
        raise VariablesError(what, problems)


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        "Environment variable not found",
        status=404,
        code="VARIABLE_NOT_FOUND",
        because=f"the environment has no {name}",
    )
