"""How a task is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core.duration import Duration, parse_ms
from trigger_core.errors import ConfigError
from trigger_core.machines import PRESETS, MachineName
from trigger_core.retry import RetryPolicy

__all__ = ["Retry"]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently failed attempts are repeated.

    The delay after attempt *n* is ``min_delay * factor ** (n - 1)``, at most ``max_delay``; ``randomize``
    spreads it by up to twice. An attempt that ran out of memory is not repeated, unless
    ``out_of_memory_machine`` names a larger preset: then it is, once, on that.
    """

    max_attempts: int = 3
    factor: float = 2.0
    min_delay: Duration = "1s"
    max_delay: Duration = "60s"
    randomize: bool = True
    out_of_memory_machine: MachineName | None = None

    def policy(self) -> RetryPolicy:
        """Return the policy in milliseconds.

        Raises:
            ConfigError: fewer than one attempt, a factor below one, or an unknown preset.
            InvalidDurationError: a delay cannot be read.
        """
        if self.max_attempts < 1:
            raise ConfigError(f"max_attempts must be at least 1, not {self.max_attempts}")
        if self.factor < 1:
            raise ConfigError(f"factor must be at least 1, not {self.factor}")
        machine = self.out_of_memory_machine
        if machine is not None and machine not in PRESETS:
            raise ConfigError(f"there is no machine preset {machine!r}", hint=", ".join(PRESETS))
        return RetryPolicy(
            max_attempts=self.max_attempts,
            factor=self.factor,
            min_delay_ms=parse_ms(self.min_delay),
            max_delay_ms=parse_ms(self.max_delay),
            randomize=self.randomize,
            out_of_memory_machine=machine,
        )
