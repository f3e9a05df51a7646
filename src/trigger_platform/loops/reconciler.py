"""The reconciler: look for what breaks an invariant, slice by slice, for ever; mend what can be mended."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from trigger_core.errors import TriggerError
from trigger_platform.engine import invariants
from trigger_platform.engine.invariants import CHECKS, Check, Violation
from trigger_platform.engine.unit import Unit, Units

__all__ = ["Reconciler"]

_log = logging.getLogger(__name__)
_PAUSE_S = 60.0
_SLICE = 500
_SLICES_AT_ONCE = 20


class Reconciler:
    """Checks up to 10,000 subjects of each invariant a minute, on a reader, then goes on where it stopped.

    Attributes:
        found: how many violations were seen, by invariant.
        mended: how many of them were mended.
    """

    def __init__(self, units: Units) -> None:
        self._units = units
        self.passed_at: int | None = None
        self._after: dict[str, str] = {}
        self.found: Counter[str] = Counter()
        self.mended: Counter[str] = Counter()

    async def run(self) -> None:
        """Check for ever."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            try:
                await self.run_once()
            except Exception:  # noqa: BLE001 - a loop outlives its errors
                _log.exception("checking the invariants failed")

    async def run_once(self) -> list[Violation]:
        """Check the next slices of every invariant; return what was found and could not be mended."""
        left: list[Violation] = []
        for check in CHECKS:
            for _ in range(_SLICES_AT_ONCE):
                violations, is_last = await self._units.read(self._slice, check)
                left += [one for one in violations if not await self._mend(one)]
                if is_last:
                    break
        self.passed_at = self._units.clock.now()
        return left

    def _slice(self, u: Unit, check: Check) -> tuple[list[Violation], bool]:
        """Check one slice; at the end of the table the next one is the first again."""
        span = invariants.next_span(u, check.over, self._after.get(check.name, ""), _SLICE)
        self._after[check.name] = span.high if span else ""
        return ([], True) if span is None else (invariants.find(u, check, span), False)

    async def _mend(self, violation: Violation) -> bool:
        name = violation.check.name
        self.found[name] += 1
        try:
            is_mended = await self._units.write(invariants.mend, violation)
        except TriggerError as error:
            _log.warning("mending %s of %s was refused: %s", name, violation.subject, error)
            return False
        outcome = "mended" if is_mended else "not mended"
        level = logging.INFO if violation.check.is_advisory else logging.ERROR
        _log.log(level, "%s %s: %s: %s", name, outcome, violation.subject, violation.what)
        self.mended[name] += is_mended
        return is_mended
