"""What a schedule says, and what its runs are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from trigger_core import duration
from trigger_core.duration import Duration
from trigger_core.errors import ConfigError, InvalidDurationError, InvalidScheduleError
from trigger_sdk import _lazy

__all__ = ["CatchUp", "Schedule", "ScheduledPayload", "every_text"]

CatchUp = Literal["none", "last", "all"]
_ENVIRONMENTS = ("DEVELOPMENT", "STAGING", "PREVIEW", "PRODUCTION")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledPayload:
    """The payload of a run that a schedule triggers.

    Attributes:
        timestamp: the moment the run is for, whenever it really began; aware, in UTC.
        last_timestamp: the moment of the run before; ``None`` for the first.
        schedule_id: which schedule; ``sched_1234`` unless said otherwise, for runs triggered by hand.
        type: whether code or the API made the schedule.
        external_id: what the schedule was created with, such as a customer's id.
        timezone: the zone its times are read in; ``timestamp.astimezone(ZoneInfo(timezone))``.
        upcoming: the next ten moments.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "alias_generator": _camel,
        "populate_by_name": True,
    }

    timestamp: datetime
    last_timestamp: datetime | None = None
    schedule_id: str = "sched_1234"
    type: Literal["DECLARATIVE", "IMPERATIVE"] = "DECLARATIVE"
    external_id: str | None = None
    timezone: str = "UTC"
    upcoming: list[datetime] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a task runs by itself, with more than a cron expression: ``cron=Schedule("0 9 * * *", …)``.

    Attributes:
        cron: five fields (minute, hour, day of month, month, day of week) or a macro such as ``@daily``.
        every: an interval of at least a second instead; its ticks are multiples since the epoch.
        timezone: an IANA name; a time that is skipped in spring is skipped, one that comes twice counts once.
        environments: types of environments it is for, such as ``"PRODUCTION"``; all unless given.
        window: runs are spread over this time after each tick: ``"30m"``, ``"10%"`` of the interval or
            ``"none"``; 30 s unless given, nothing in development.
        catch_up: which ticks are made up for when the platform was away: none, the last, or all.

    Raises:
        ConfigError: one of them cannot be.
    """

    cron: str | None = None
    every: Duration | None = None
    timezone: str = "UTC"
    environments: Sequence[str] | None = None
    window: str | None = None
    catch_up: CatchUp = "none"

    def __post_init__(self) -> None:
        """Refuse what the platform would refuse, while the line is known."""
        try:
            self._check()
        except InvalidScheduleError as error:
            raise ConfigError(
                error.what, code=error.code, because=error.because, hint=error.hint
            ) from None

    def _check(self) -> None:
        _lazy.check_schedule()(self.cron, every_text(self.every), self.timezone, self.window)
        if self.catch_up not in {"none", "last", "all"}:
            raise InvalidScheduleError(
                f"catch_up is 'none', 'last' or 'all', not {self.catch_up!r}"
            )
        unknown = set(self._environments() or ()) - set(_ENVIRONMENTS)
        if unknown:
            raise InvalidScheduleError(
                f"there is no type of environment {min(unknown)!r}",
                hint=f"the types are {', '.join(_ENVIRONMENTS)}",
            )

    def to_wire(self) -> dict[str, Any]:
        """Return the schedule as it is registered (protocol D.5)."""
        wire = {
            "cron": self.cron,
            "every": every_text(self.every),
            "timezone": self.timezone,
            "environments": self._environments(),
            "window": self.window,
            "catchUp": self.catch_up,
        }
        return {name: value for name, value in wire.items() if value is not None}

    def _environments(self) -> list[str] | None:
        if self.environments is None:
            return None
        given = [self.environments] if isinstance(self.environments, str) else self.environments
        return [name.upper() for name in given]


def every_text(every: Duration | None) -> str | None:
    """Return an interval as it is sent.

    Raises:
        InvalidScheduleError: it is no duration.
    """
    try:
        return None if every is None else duration.to_text(every)
    except InvalidDurationError as error:
        raise InvalidScheduleError(error.what, code="INVALID_INTERVAL", hint=error.hint) from None
