"""Sessions of two languages serve one development environment: whose run is it, which version is current."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from support.engine import Engine, scheduled, task
from support.session import Session
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.workers import Assignment

RETRIED = RetryPolicy(max_attempts=3, min_delay_ms=1_000, randomize=False)


@dataclass
class Mixed:
    """A Python session with a task ``py`` and a TypeScript session with a task ``ts``."""

    python: Engine
    typescript: Session

    @property
    def engine(self) -> Engine:
        """Where both are."""
        return self.python


def _typescript(engine: Engine, *tasks: str, content_hash: str = "ts-1") -> Session:
    """Register a version of the other language, beside that of the engine's own worker."""
    other = replace(engine, workers=[], _told=[], _published=[])
    declared = [task(name, retry=RETRIED) for name in tasks]
    other.register(*declared, content_hash=content_hash, runtime="node-22")
    engine.environment = other.environment
    return Session(other)


@pytest.fixture
def mixed(engine: Engine) -> Mixed:
    """Both sessions, each with its task."""
    engine.register(task("py", retry=RETRIED), content_hash="py-1")
    return Mixed(engine, _typescript(engine, "ts"))


def _names(found: list[Assignment]) -> list[str]:
    return [one.task for one in found]


def test_each_session_is_given_the_runs_of_its_own_tasks(mixed: Mixed) -> None:
    """Whichever asks first, whatever stands before."""
    for name in ("py", "ts", "py", "ts"):
        mixed.engine.trigger(name)
    first = mixed.typescript.next_run()
    assert first is not None
    assert first.task == "ts"
    assert _names(mixed.python.claim()) == ["py", "py"]
    second = mixed.typescript.next_run()

    assert second is not None
    assert second.task == "ts"
    assert mixed.typescript.next_run() is None


def test_many_runs_of_a_language_whose_session_is_away_stop_nobody(mixed: Mixed) -> None:
    """They wait in a place of their own, and are there when it comes back."""
    for _ in range(50):
        mixed.engine.trigger("py")
    mixed.engine.trigger("ts")
    found = mixed.typescript.next_run()

    assert found is not None
    assert len(mixed.python.claim(200)) == 50


def test_runs_from_before_the_second_language_came_go_to_their_own(engine: Engine) -> None:
    """None is put aside, though the version that was registered last does not have their task."""
    engine.register(task("py"), content_hash="py-1")
    early = [engine.trigger("py") for _ in range(3)]
    delayed = engine.trigger("py", delay="10s")
    session = _typescript(engine, "ts")
    engine.trigger("ts")
    found = session.next_run()
    assert found is not None
    assert found.task == "ts"
    engine.advance(10_000)

    assert {run.run_id for run in engine.claim()} == {*early, delayed}


def test_a_run_of_a_task_that_nobody_has_waits_for_whoever_gets_it(mixed: Mixed) -> None:
    """Either language may be the one."""
    run_id = mixed.engine.trigger("later")
    assert mixed.python.claim() == []
    assert mixed.typescript.next_run() is None
    assert mixed.engine.run(run_id).status == "PENDING_VERSION"
    mixed.python.register(task("py"), task("later"), content_hash="py-2")

    assert _names(mixed.python.claim()) == ["later"]


def test_a_new_version_of_one_language_leaves_the_other_alone(mixed: Mixed) -> None:
    """Its version stays current, its queued runs stay, and its session is behind nobody."""
    waiting = mixed.engine.trigger("ts")
    mixed.python.register(task("py"), content_hash="py-2")
    mixed.engine.trigger("py")

    assert _names(mixed.python.claim()) == ["py"]
    found = mixed.typescript.next_run()
    assert found is not None
    assert found.run_id == waiting


def test_unchanged_code_keeps_its_version_though_the_other_language_registered_since(
    mixed: Mixed,
) -> None:
    before = mixed.python.workers[-1]
    mixed.python.register(task("py", retry=RETRIED), content_hash="py-1")

    assert mixed.python.workers[-1] == before


def test_a_task_that_moves_to_the_other_language_takes_its_runs_along(mixed: Mixed) -> None:
    """Those that had begun go on there as well, when they are tried again."""
    begun = mixed.engine.trigger("py")
    [assignment] = mixed.python.claim()
    mixed.python.start(assignment)
    mixed.python.fail(assignment, retry_ms=60_000)
    fresh = mixed.engine.trigger("py")
    mixed.python.register(task("other"), content_hash="py-2")
    del mixed.python.workers[:-1]
    session = _typescript(mixed.engine, "ts", "py", content_hash="ts-2")
    found = session.next_run()
    assert found is not None
    assert found.run_id == fresh
    session.succeed(fresh, session.start(fresh, found.lease).run.sequence)
    mixed.engine.advance(60_000)
    assert mixed.python.claim() == []
    again = session.next_run()

    assert again is not None
    assert (again.run_id, again.attempt) == (begun, 2)


def test_a_child_in_the_other_language_is_locked_to_what_is_current_there(mixed: Mixed) -> None:
    """Both ways: the parent's version does not have the task."""
    engine = mixed.engine
    parent = engine.trigger("py")
    [assignment] = mixed.python.claim()
    mixed.python.start(assignment)
    started = mixed.python.trigger_and_wait(assignment, "ts")
    assert started.error is None
    child = mixed.typescript.next_run()
    assert child is not None
    child_run = mixed.typescript.start(child.run_id, child.lease).run
    grandchild = mixed.typescript.trigger_and_wait(
        child.run_id, "py", lock_to_version=child_run.version
    )
    [last] = mixed.python.claim()
    assert last.run_id == grandchild
    mixed.python.start(last)
    mixed.python.succeed(last, 1)
    [over] = mixed.typescript.latest(child.run_id).waits
    assert over.result.output == "1"
    sequence = mixed.typescript.latest(child.run_id).run.sequence
    mixed.typescript.succeed(child.run_id, sequence, output=2)

    [told] = [signal for signal in mixed.python.told() if signal.kind == "resume"]
    assert (told.run_id, told.result and told.result.output) == (parent, "2")
    assert engine.violations(advisory=False) == []


def test_declared_schedules_of_both_languages_stay(mixed: Mixed) -> None:
    """Each goes with the version that declares it."""
    engine = mixed.engine
    tick = {"cron": "*/5 * * * *", "window": "none"}
    engine.register(task("py"), scheduled("py-tick", schedule=tick), content_hash="py-2")
    other = mixed.typescript.engine
    other.register(scheduled("ts-tick", schedule=tick), content_hash="ts-2", runtime="node-22")
    engine.environment = other.environment
    engine.poll(0)
    mixed.typescript.sit()
    engine.clock.advance(300_000)
    engine.poll(0)
    mixed.typescript.sit()
    engine.sweep()
    assert sorted(run.task for run in engine.fired()) == ["py-tick", "ts-tick"]
    engine.register(task("py"), content_hash="py-3")
    engine.clock.advance(300_000)
    engine.poll(0)
    mixed.typescript.sit()
    engine.sweep()

    assert sorted(run.task for run in engine.fired()) == ["py-tick", "ts-tick", "ts-tick"]


def test_a_schedule_fires_only_while_a_session_of_its_language_is_there(mixed: Mixed) -> None:
    engine = mixed.engine
    tick = {"cron": "*/5 * * * *", "window": "none"}
    engine.register(task("py"), scheduled("py-tick", schedule=tick), content_hash="py-2")
    engine.clock.advance(300_000)
    mixed.typescript.sit()
    engine.sweep()
    assert engine.fired() == []
    engine.clock.advance(300_000)
    engine.poll(0)
    engine.sweep()

    assert [run.task for run in engine.fired()] == ["py-tick"]
