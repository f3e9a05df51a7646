"""Every function of the engine that writes variables or seals keys, as calls in which a process can die."""

from __future__ import annotations

from typing import Any

from support import keys
from support.crash import Case, once
from support.engine import Engine
from trigger_core.errors import NotFoundError
from trigger_platform.engine import branch, environment, resealing, secret_key, variable
from trigger_platform.engine.resealing import START, Place
from trigger_platform.engine.unit import Unit
from trigger_platform.engine.variable import Changes, VariablesError
from trigger_platform.key_ring import Key, KeyRing
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["CASES"]

OLD = Key("old", bytes(32))
BEGUN = {"A": "1", "B": "2"}


def _values(engine: Engine) -> dict[str, tuple[str, int]]:
    """Return the variables of the environment, and which of them are secret."""

    def read(u: Unit) -> dict[str, tuple[str, int]]:
        found = variable.rows(u, engine.environment)
        return {row.name: (variable.read(u.keys, row), row.is_secret) for row in found}

    return engine.call(read)  # type: ignore[no-any-return]


def _begun(engine: Engine) -> None:
    engine.call(variable.put, engine.environment, Changes(BEGUN))


def _secret(engine: Engine) -> None:
    engine.call(variable.put, engine.environment, Changes(BEGUN, is_secret=True))


def _put(engine: Engine, _state: Any) -> dict[str, tuple[str, int]]:
    changes = Changes({"B": "3", "C": "4"}, is_secret=True)
    engine.call(variable.put, engine.environment, changes)
    return _values(engine)


def _put_new_ones(engine: Engine, _state: Any) -> None:
    engine.call(variable.put, engine.environment, Changes({"C": "3", "D": "4"}, override=False))


def _create(engine: Engine, _state: Any) -> dict[str, tuple[str, int]]:
    engine.call(variable.create, engine.environment, "A", "1", is_secret=True)
    return _values(engine)


def _update(engine: Engine, _state: Any) -> dict[str, tuple[str, int]]:
    engine.call(variable.update, engine.environment, "A", "3")
    return _values(engine)


def _delete(engine: Engine, _state: Any) -> None:
    engine.call(variable.delete, engine.environment, "A")


def _inherited(engine: Engine) -> EnvironmentRow:
    _secret(engine)
    return engine.call(branch.put, engine.environment, "b", None)  # type: ignore[no-any-return]


def _own(engine: Engine, of_branch: EnvironmentRow) -> list[tuple[str, str]]:
    engine.call(variable.update, of_branch, "A", "3")

    def read(u: Unit) -> list[tuple[str, str]]:
        return [(row.name, variable.read(u.keys, row)) for row in variable.rows(u, of_branch)]

    return engine.call(read)  # type: ignore[no-any-return]


def _with_another_key(engine: Engine) -> set[str]:
    """Everything was sealed with a key that is the newest no more; return the secret keys that hold."""
    engine.units.keys = KeyRing((OLD, *keys.KEYS))
    _secret(engine)
    for _ in range(2):
        engine.environment = engine.call(environment.replace_key, engine.environment)
    engine.units.keys = KeyRing((*keys.KEYS, OLD))
    assert engine.call(resealing.is_pending)
    return engine.call(_secret_keys, engine.environment.id)  # type: ignore[no-any-return]


def _reseal(engine: Engine, held: set[str], place: Place | None) -> None:
    """Seal everything anew from a place on: nothing is left, and all of it opens with the newest key."""
    while place is not None:
        place = engine.call(resealing.reseal, place)
    assert not engine.call(resealing.is_pending)
    engine.units.keys = keys.ring()
    assert {name: value for name, (value, _) in _values(engine).items()} == BEGUN
    assert engine.call(_secret_keys, engine.environment.id) == held


def _secret_keys(u: Unit, environment_id: str) -> set[str]:
    return {secret_key.read(u.keys, one) for one in environment.signers(u, environment_id)}


def _with_variables_left(engine: Engine) -> set[str]:
    held = _with_another_key(engine)
    engine.call(resealing.reseal, START)
    return held


CASES = [
    Case("variable.create", _create),
    Case("variable.put", _put, _begun),
    Case("variable.put over secrets", _put, _secret),
    Case(
        "variable.put of new ones", once(_put_new_ones, VariablesError, "VARIABLES_REFUSED"), _begun
    ),
    Case("variable.update", _update, _secret),
    Case("variable.update in a branch", _own, _inherited),
    Case("variable.delete", once(_delete, NotFoundError, "VARIABLE_NOT_FOUND"), _secret),
    Case("resealing.reseal: keys", lambda e, held: _reseal(e, held, START), _with_another_key),
    Case(
        "resealing.reseal: variables",
        lambda e, held: _reseal(e, held, Place("", "")),
        _with_variables_left,
    ),
]
