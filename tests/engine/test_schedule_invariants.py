"""Whatever happens in whatever order, a nominal tick makes at most one run (invariant I10 of engine 9.5)."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support import keys
from support.engine import Engine, open_engine, scheduled
from trigger_platform.engine import schedule, schedule_instance
from trigger_platform.engine.unit import Units
from trigger_platform.store.rows import ScheduleInstanceRow
from trigger_platform.store.sqlite import open_database

KEYS = st.sampled_from(["a", "b"])
SECONDS = st.sampled_from([0, 1, 7, 30, 59, 60, 61, 600, 3_599, 3_600, 86_400, 40 * 86_400])
RULES = st.sampled_from(
    [
        {"cron": "* * * * *"},
        {"cron": "*/20 * * * *"},
        {"cron": "30 2 * * *"},
        {"cron": "@hourly"},
        {"every": "7s"},
        {"every": "1h"},
    ]
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
WINDOWS = st.sampled_from([None, "none", "10m", "100%"])
POLICIES = st.sampled_from(["none", "last", "all"])


class SchedulesUnderFire(RuleBasedStateMachine):
    """Servers that sweep late and twice, a clock that jumps both ways, users who change their minds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "schedules.db"
        opened = open_engine(open_database(self.path, durable=False))
        self.engine: Engine = opened.production()
        self.newest: dict[str, int] = {}

    @initialize(change=RULES)
    def begin(self, change: dict[str, str]) -> None:
        """One schedule is there."""
        self.engine.register(scheduled())
        self.engine.schedule(key="a", **change)

    @rule(key=KEYS, when=RULES, zone=ZONES, window=WINDOWS, policy=POLICIES)
    def say(self, key: str, when: dict[str, str], zone: str, **options: Any) -> None:
        """A user creates or changes a schedule."""
        fields = when | {"window": options["window"], "catch_up": options["policy"]}
        self.engine.schedule(key=key, timezone=zone, **fields)

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: int) -> None:
        """Time passes, and nobody looks."""
        self.engine.clock.advance(seconds * 1000)

    @rule(seconds=SECONDS)
    def jump_back(self, seconds: int) -> None:
        """Somebody sets the clock."""
        self.engine.clock.advance(-seconds * 1000)

    @rule(late=st.sampled_from([0, 1, 59_000, 61_000, 7_200_000]), servers=st.integers(1, 3))
    def come_due(self, late: int, servers: int) -> None:
        """The next tick comes; several servers read the rows before the first of them writes."""
        rows = [row for row in self._instances() if row.next_fire_at is not None]
        if not rows:
            return
        due = min(row.next_fire_at or 0 for row in rows) + late
        self.engine.clock.advance(max(0, due - self.engine.clock.now()))
        for _ in range(servers):
            for row in rows:
                if (row.next_fire_at or 0) <= self.engine.clock.now():
                    self.engine.call(schedule_instance._come, row)
        self.engine.call(schedule_instance.sweep)

    @rule(key=KEYS, when=RULES, back=SECONDS)
    def change_after_a_jump(self, key: str, when: dict[str, str], back: int) -> None:
        """The clock is set back, the schedule is changed, and time passes again."""
        self.jump_back(back)
        self.engine.schedule(key=key, window="none", catch_up="all", **when)
        self.engine.clock.advance(back * 1000)
        self.engine.call(schedule_instance.sweep)

    @rule()
    def sweep(self) -> None:
        """A server looks."""
        self.engine.call(schedule_instance.sweep)

    @rule()
    def restart(self) -> None:
        """The server ends and begins again; all it knew is in the database."""
        self.engine.db.close()
        self.engine.db = open_database(self.path, durable=False)
        self.engine.units = Units(self.engine.db, self.engine.clock, random.Random(), keys.ring())

    @rule(key=KEYS, active=st.booleans())
    def switch(self, key: str, *, active: bool) -> None:
        """A user switches a schedule."""
        if self._known(key):
            self.engine.call(schedule.activate, self.engine.environment, key, active=active)

    @rule(moment=st.sampled_from([None, 1]))
    def archive(self, moment: int | None) -> None:
        """The environment goes out of service, or comes back and registers again."""
        self.engine.call(lambda u: u.tx.run("environment_archive", id="prod", archived_at=moment))
        if moment is None:
            self.engine.register(scheduled())

    @invariant()
    def each_tick_once_and_only_forwards(self) -> None:
        """In the order in which runs were made, the ticks of an instance strictly increase."""
        runs = self.engine.fired()
        ticks = {(run.schedule_instance_id, run.nominal_at) for run in runs}
        assert len(ticks) == len(runs)
        made = {run.schedule_instance_id: run.nominal_at or 0 for run in runs}
        for instance, newest in made.items():
            assert newest >= self.newest.get(instance or "", 0)
        self.newest = {instance or "": newest for instance, newest in made.items()}

    @invariant()
    def what_comes_next_is_later_than_what_was(self) -> None:
        """And never fires before its nominal time."""
        for row in self._instances():
            if row.next_nominal_at is not None and row.next_fire_at is not None:
                assert row.next_fire_at >= row.next_nominal_at
                assert row.last_nominal_at is None or row.next_nominal_at > row.last_nominal_at

    def _known(self, key: str) -> bool:
        return bool(self.engine.call(schedule._by_key, self.engine.environment, key))

    def _instances(self) -> list[ScheduleInstanceRow]:
        found = [
            self.engine.call(schedule._by_key, self.engine.environment, key) for key in ("a", "b")
        ]
        return [self.engine.instance(one.id) for one in found if one is not None]

    def teardown(self) -> None:
        """Close the database."""
        self.engine.db.close()
        self.folder.cleanup()


TestSchedulesUnderFire = SchedulesUnderFire.TestCase
TestSchedulesUnderFire.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
