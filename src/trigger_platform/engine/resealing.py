"""Encrypting anew what another key than the newest has sealed, a slice at a time.

Each slice is a transaction of its own, and a value is only replaced while it is still the one that was read:
a server may write the same variable meanwhile. What was done stays done: whoever is interrupted begins again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trigger_platform.engine import kept_answer, secret_key, variable
from trigger_platform.engine.unit import Unit
from trigger_platform.key_ring import span_of
from trigger_platform.store.rows import SealedKeyRow, SealedVariableRow

__all__ = ["START", "Place", "is_pending", "reseal"]

SLICE = 100


@dataclass(frozen=True, slots=True)
class Place:
    """How far a pass has come: through the environments' keys, then through the variables.

    Attributes:
        environment_id: the environment that was last.
        name: the variable that was last; ``None`` among the keys.
        changed: how many values this pass has encrypted anew.
    """

    environment_id: str = ""
    name: str | None = None
    changed: int = 0


START = Place()


def is_pending(u: Unit) -> bool:
    """Tell whether another key than the newest has sealed anything."""
    return bool(
        _keys(u, "", 1)
        or _variables(u, "", "", 1)
        or _retired(u)
        or kept_answer.is_pending(u, **_newest(u))
    )


def reseal(u: Unit, place: Place) -> Place | None:
    """Encrypt the next values anew; return how far that was, or ``None`` at the end.

    Raises:
        EncryptionError: a key is missing, or a value is damaged.
    """
    if place == START:
        place = replace(place, changed=_reseal_retired(u))
    return _reseal_keys(u, place) if place.name is None else _reseal_variables(u, place, place.name)


def _reseal_retired(u: Unit) -> int:
    """Keys that were replaced in the last day, and kept answers, are few: they go at once."""
    again = [
        {"before": row.secret_key_sealed, "sealed": secret_key.reseal(u.keys, row)}
        for row in _retired(u)
    ]
    changed = u.tx.many("retired_key_reseal", again) if again else 0
    return changed + kept_answer.reseal(u, **_newest(u))


def _retired(u: Unit) -> Sequence[SealedKeyRow]:
    return u.tx.all("retired_keys_to_reseal", SealedKeyRow, **_newest(u))


def _reseal_keys(u: Unit, place: Place) -> Place:
    found = _keys(u, place.environment_id, SLICE)
    changed = u.tx.many(
        "environment_reseal",
        [
            {
                "id": row.id,
                "before": row.secret_key_sealed,
                "sealed": secret_key.reseal(u.keys, row),
            }
            for row in found
        ],
    )
    done = place.changed + changed
    return Place(found[-1].id, None, done) if found else Place("", "", done)


def _reseal_variables(u: Unit, place: Place, name: str) -> Place | None:
    found = _variables(u, place.environment_id, name, SLICE)
    if not found:
        return None
    changed = u.tx.many(
        "variable_reseal",
        [
            {
                "environment_id": row.environment_id,
                "name": row.name,
                "before": row.sealed,
                "sealed": variable.reseal(u.keys, row),
            }
            for row in found
        ],
    )
    return Place(found[-1].environment_id, found[-1].name, place.changed + changed)


def _keys(u: Unit, after: str, limit: int) -> Sequence[SealedKeyRow]:
    return u.tx.all("environments_to_reseal", SealedKeyRow, after=after, limit=limit, **_newest(u))


def _variables(u: Unit, environment_id: str, name: str, limit: int) -> Sequence[SealedVariableRow]:
    return u.tx.all(
        "variables_to_reseal",
        SealedVariableRow,
        environment_id=environment_id,
        name=name,
        limit=limit,
        **_newest(u),
    )


def _newest(u: Unit) -> dict[str, str]:
    first, beyond = span_of(u.keys.current)
    return {"first": first, "beyond": beyond}
