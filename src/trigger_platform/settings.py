"""How a server is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trigger_core.errors import UsageError
from trigger_platform.engine.retention import Periods
from trigger_platform.key_ring import Key

__all__ = ["LOOPBACK", "Settings"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the embedded platform.

    Attributes:
        data_dir: folder of the database.
        project_ref: the project it serves.
        host: a loopback address; the dashboard has no login.
        port: 0 picks a free one.
        durable: whether acknowledged writes survive a power cut, and not only a crash.
        database: ``postgresql://…`` or a path; ``None`` is a SQLite file in ``data_dir``.
        periods: for how long what has ended is kept.
        encryption_keys: what secrets are encrypted with, newest first.
        key_file: where those keys stand when none are given; made when it is missing.
    """

    data_dir: Path
    project_ref: str
    host: str = "127.0.0.1"
    port: int = 0
    durable: bool = False
    database: str | None = None
    periods: Periods = Periods()  # noqa: RUF009 - frozen
    encryption_keys: tuple[Key, ...] = ()
    key_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse to be reachable from other machines."""
        if self.host not in LOOPBACK:
            raise UsageError(
                f"the embedded platform does not listen on {self.host}",
                code="NOT_LOOPBACK",
                because="its dashboard has no login, it is for this machine only",
                hint="use 127.0.0.1",
            )
