"""What the engine may expect of a database, whichever it is.

A write is a function over a transaction. Writes may be committed in groups, but each is atomic by itself: one
that raises leaves nothing behind and does not disturb its neighbours. A caller is answered after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from trigger_core.clock import Clock
from trigger_platform.store.group_writer import Tally
from trigger_platform.store.notice import Notice

__all__ = ["Database", "Tx"]

R = TypeVar("R")
T = TypeVar("T")


class Tx(Protocol):
    """An open transaction; statements are called by the name they have in the ``.sql`` files."""

    def one(self, name: str, row: type[R], /, **params: Any) -> R:
        """Return the only row.

        Raises:
            LookupError: there is none.
        """
        ...

    def maybe(self, name: str, row: type[R], /, **params: Any) -> R | None:
        """Return the first row, or ``None``."""
        ...

    def all(self, name: str, row: type[R], /, **params: Any) -> list[R]:
        """Return every row."""
        ...

    def scalar(self, name: str, /, **params: Any) -> Any:
        """Return the first column of the first row, or ``None``."""
        ...

    def run(self, name: str, /, **params: Any) -> int:
        """Execute a statement; return how many rows it touched."""
        ...

    def many(self, name: str, rows: Sequence[Any], /) -> int:
        """Execute a statement once per row; return how many rows were touched in all.

        The rows are mappings by parameter, or all of one row type whose fields are the parameters.
        """
        ...

    def later(self, name: str, rows: Sequence[Any], /) -> None:
        """Write rows before this commits, perhaps with those of other writes; who reads them finds them."""
        ...

    def tell(self, notice: Notice) -> None:
        """Let the other processes on this database hear of something, once this is committed."""
        ...


class Database(Protocol):
    """A database that lives as long as its server."""

    @property
    def clock(self) -> Clock:
        """The clock that every process on this database goes by."""
        ...

    @property
    def look_every_s(self) -> float:
        """How long whoever waits to be told may go without looking: what others tell may get lost."""
        ...

    @property
    def tally(self) -> Tally:
        """What was committed since it was opened."""
        ...

    def listen(self, hear: Callable[[Notice], None]) -> None:
        """Have ``hear`` called, on some thread, with what other processes on this database tell."""
        ...

    def submit(
        self, work: Callable[[Tx], T], on_commit: Callable[[T], None] | None = None
    ) -> Future[T]:
        """Queue a write; the future holds its result once it is committed.

        ``on_commit`` is called with the result on the writer's thread, before the future is resolved.
        """
        ...

    async def write(
        self, work: Callable[[Tx], T], on_commit: Callable[[T], None] | None = None
    ) -> T:
        """Run a write and wait for its commit; ``on_commit`` is called on the caller's event loop.

        It is called even when the caller has stopped waiting.
        """
        ...

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run reads on one consistent snapshot, beside the writer."""
        ...

    def close(self) -> None:
        """Finish the writes that were accepted and let go of the files."""
        ...
