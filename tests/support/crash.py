"""A database whose process dies at a chosen commit, and an engine that is opened again afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import FrameType
from typing import Any, Literal, TypeVar

from support.engine import Engine
from support.transitions import FOLDER
from trigger_platform.store.database import Database, Tx

__all__ = ["Died", "Moment", "Mortal", "reopen"]

T = TypeVar("T")
Moment = Literal["before the commit", "after the commit"]


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
