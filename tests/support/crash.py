"""A database whose process dies at a chosen commit, and an engine that is opened again afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, TypeVar

from support.engine import Engine
from support.transitions import FOLDER
from trigger_core.errors import TriggerError
from trigger_platform.store.database import Database, Tx

__all__ = ["Act", "Case", "Died", "Moment", "Mortal", "once", "reopen"]

T = TypeVar("T")
Act = Callable[[Engine, Any], Any]
Moment = Literal["before the commit", "after the commit"]


@dataclass(frozen=True, slots=True)
class Case:
    """One call.

    Attributes:
        name: the function of the engine that is called.
        prepare: makes what the call needs; its value is given to ``act``.
        act: makes the call; its value is the same when the call is repeated.
        is_repeated: whether the caller may ask again: false where each call makes something new on purpose.
        mends: whether the call mends a database that is broken before it.
        grows: the table in which each repetition leaves something more, on purpose.
    """

    name: str
    act: Act
    prepare: Callable[[Engine], Any] = lambda _engine: None
    is_repeated: bool = True
    mends: bool = False
    grows: str | None = None


def once(act: Act, refusal: type[TriggerError], code: str) -> Act:
    """Make a call that is refused when it is repeated: what it asks for is done already, and says so."""

    def asked(engine: Engine, state: Any) -> bool:
        try:
            act(engine, state)
        except refusal as error:
            if error.code != code:
                raise
        return True

    return asked


class Died(Exception):  # noqa: N818 - what happened to the process
    """The process is gone; whoever waited for its answer gets none."""


class Mortal:
    """A database that dies at the next write, once :meth:`die` was called.

    Attributes:
        reached: engine functions that were executed in the write at which it died.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._moment: Moment | None = None
        self.reached: set[str] = set()

    def die(self, moment: Moment) -> None:
        """Die at the next write."""
        self._moment = moment

    def submit(
        self, work: Callable[[Tx], T], on_commit: Callable[[T], None] | None = None
    ) -> Future[T]:
        """Write, or die."""
        moment, self._moment = self._moment, None
        if moment is None:
            return self._db.submit(work, on_commit)
        dies_early = moment == "before the commit"
        self._db.submit(lambda tx: self._trace(work, tx, dies_early=dies_early)).exception()
        lost: Future[T] = Future()
        lost.set_exception(Died())
        return lost

    def close(self) -> None:
        """Close the files."""
        self._db.close()

    def _trace(self, work: Callable[[Tx], T], tx: Tx, *, dies_early: bool) -> T:
        sys.setprofile(self._note)
        try:
            result = work(tx)
        finally:
            sys.setprofile(None)
        if dies_early:
            raise Died
        return result

    def _note(self, frame: FrameType, event: str, _arg: Any) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.parent == FOLDER:
            self.reached.add(f"{file.stem}.{frame.f_code.co_qualname}")


def reopen(engine: Engine, address: str, seed: int) -> Engine:
    """Open the database anew; of the engine's memory only what its clients know remains."""
    engine.db.close()
    return engine.beside(address, seed)
