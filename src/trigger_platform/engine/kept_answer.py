"""Answers to requests that make something outside any environment, kept for whom repeats the request.

What :mod:`~trigger_platform.engine.request` does for an environment this does for a user or an organisation:
the answer is kept in the transaction that acts. One that shows a secret is shown once, and once must be
heard: it is kept sealed, and for no longer than somebody who heard nothing goes on asking. A copy of the
database opens none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from trigger_core.errors import ConflictingWriteError
from trigger_core.schemas.base import WireModel
from trigger_platform.engine.request import RequestKey
from trigger_platform.engine.unit import Unit
from trigger_platform.key_ring import KeyRing, is_sealed
from trigger_platform.store.rows import KeptAnswerRow, as_params

__all__ = ["Asked", "is_pending", "once", "reseal"]

M = TypeVar("M", bound=WireModel)

_LIFE_MS = 86_400_000
_SECRET_LIFE_MS = 600_000
"""Clients repeat themselves for two minutes at most; the rest is for people who do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, for what, and whether the answer shows a secret."""

    owner: str
    request: RequestKey
    shows_secret: bool = False


def once(u: Unit, asked: Asked | None, kind: type[M], act: Callable[[Unit], M]) -> M:
    """Act, unless the same request was answered a short while ago: then return that answer.

    Raises:
        TriggerError: ``act`` does; nothing is kept then.
        ConflictingWriteError: the same request was answered meanwhile.
    """
    if asked is None:
        return act(u)
    owner, scope, token = asked.owner, asked.request.scope, asked.request.token
    known: str | None = u.tx.scalar(
        "kept_answer_get", owner=owner, scope=scope, token=token, now=u.now
    )
    if known is not None:
        is_secret = is_sealed(known)
        place = _place(owner, scope, token)
        return kind.model_validate_json(u.keys.open(known, place) if is_secret else known)
    answer = act(u)
    _keep(u, asked, answer.model_dump_json(by_alias=True, exclude_none=True))
    return answer


def is_pending(u: Unit, first: str, beyond: str) -> bool:
    """Tell whether another key than the newest, whose values sort in this span, has sealed any."""
    return bool(_of_others(u, first, beyond))


def reseal(u: Unit, first: str, beyond: str) -> int:
    """Seal those anew: they are few, and go at once."""
    again = [
        {"owner": row.owner, "scope": row.scope, "token": row.token, "before": row.answer}
        | {"answer": _sealed_anew(u.keys, row)}
        for row in _of_others(u, first, beyond)
    ]
    return u.tx.many("kept_answer_reseal", again) if again else 0


def _of_others(u: Unit, first: str, beyond: str) -> list[KeptAnswerRow]:
    return u.tx.all("kept_answers_to_reseal", KeptAnswerRow, first=first, beyond=beyond)


def _keep(u: Unit, asked: Asked, answer: str) -> None:
    owner, scope, token = asked.owner, asked.request.scope, asked.request.token
    life_ms = _SECRET_LIFE_MS if asked.shows_secret else _LIFE_MS
    if asked.shows_secret:
        answer = u.keys.seal(answer, _place(owner, scope, token))
    row = KeptAnswerRow(owner, scope, token, answer, u.now + life_ms)
    if u.tx.run("kept_answer_put", **as_params(row), now=u.now) == 0:
        raise ConflictingWriteError("the request was answered by somebody else")


def _sealed_anew(keys: KeyRing, row: KeptAnswerRow) -> str:
    place = _place(row.owner, row.scope, row.token)
    return keys.seal(keys.open(row.answer, place), place)


def _place(owner: str, scope: str, token: str) -> str:
    return f"answer/{owner}/{scope}/{token}"
