"""Ids, durations, retry arithmetic, versions, moments."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_core import clock, duration, errors, ids, version
from trigger_core.errors import InvalidDurationError, TriggerError
from trigger_core.retry import RetryPolicy


@given(st.lists(st.integers(0, 2**47), min_size=2, unique=True), st.integers())
def test_ids_sort_by_time_and_have_one_underscore(moments: list[int], seed: int) -> None:
    """Protocol G."""
    rng = random.Random(seed)
    made = [ids.run_id(moment, rng) for moment in sorted(moments)]

    assert made == sorted(made)
    assert all(one.count("_") == 1 and len(one) == 30 and ids.is_run_id(one) for one in made)


@given(st.integers(1, 10**7))
def test_a_snapshot_id_carries_its_sequence(sequence: int) -> None:
    """And sorts by it."""
    made = ids.snapshot_id("run_abc", sequence)

    assert ids.sequence_of_snapshot(made) == sequence
    assert made < ids.snapshot_id("run_abc", sequence + 1)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("30s", 30_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        ("1hr", 3_600_000),
        ("250ms", 250),
        (timedelta(minutes=5), 300_000),
    ],
)
def test_durations_are_read(text: str | timedelta, ms: int) -> None:
    """As people write them."""
    assert duration.parse_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "m5", "-1s", "1.5h", "soon", "1y", timedelta(-1)])
def test_what_is_no_duration_is_refused(text: str | timedelta) -> None:
    """Never read as something else."""
    with pytest.raises(InvalidDurationError):
        duration.parse_ms(text)


@given(st.integers(0, 10**11))
def test_a_duration_survives_its_own_text(ms: int) -> None:
    """Described and read again."""
    assert duration.parse_ms(duration.describe(ms)) == ms


def test_a_delay_may_be_a_moment() -> None:
    """ISO text or a datetime; without an offset a text is UTC."""
    moment = datetime(2026, 1, 31, 9, tzinfo=UTC)
    ms = round(moment.timestamp() * 1000)

    assert duration.resolve_delay(moment, 0) == ms
    assert duration.resolve_delay("2026-01-31T09:00:00Z", 0) == ms
    assert duration.resolve_delay("2026-01-31T10:00:00+01:00", 0) == ms
    assert duration.resolve_delay("1m", 5) == 60_005


@given(st.integers(1, 20), st.integers(0, 5_000), st.floats(1, 4), st.integers())
def test_the_retry_delay_follows_the_formula(
    attempt: int, least: int, factor: float, seed: int
) -> None:
    """round(min(max, r * min * factor ** (attempt - 1))), r from [1, 2) when randomised."""
    plain = RetryPolicy(30, factor, least, 60_000, randomize=False)
    spread = RetryPolicy(30, factor, least, 60_000, randomize=True)
    base = least * factor ** (attempt - 1)

    assert plain.next_delay_ms(attempt, random.Random(seed)) == round(min(60_000, base))
    delay = spread.next_delay_ms(attempt, random.Random(seed))
    assert delay is not None
    assert round(min(60_000, base)) <= delay <= round(min(60_000, base * 2))


def test_there_is_no_delay_after_the_last_attempt() -> None:
    """Nor beyond 250 attempts, whatever the policy says."""
    rng = random.Random(1)

    assert RetryPolicy(max_attempts=3).next_delay_ms(3, rng) is None
    assert RetryPolicy(max_attempts=9_999).next_delay_ms(250, rng) is None
    assert RetryPolicy(max_attempts=9_999, min_delay_ms=1).next_delay_ms(249, rng) is not None


def test_a_policy_survives_the_wire() -> None:
    """With the protocol's names."""
    policy = RetryPolicy(5, 1.5, 10, 20, randomize=False)

    assert RetryPolicy.from_wire(policy.to_wire()) == policy
    assert policy.to_wire()["minTimeoutInMs"] == 10


def test_versions_count_within_a_day() -> None:
    """And compare as numbers."""
    assert version.next_version(None, "20261124") == "20261124.1"
    assert version.next_version("20261124.9", "20261124") == "20261124.10"
    assert version.next_version("20261123.9", "20261124") == "20261124.1"
    assert version.sort_key("20261124.10") > version.sort_key("20261124.9")


@given(st.integers(0, 4 * 10**12))
def test_a_moment_survives_its_text(ms: int) -> None:
    """To the millisecond."""
    assert clock.from_iso(clock.to_iso(ms)) == ms


def test_every_error_has_a_code_of_its_own() -> None:
    """And shows what, because, fix and docs."""
    found = [getattr(errors, name) for name in errors.__all__]
    kinds = [one for one in found if isinstance(one, type) and issubclass(one, TriggerError)]
    codes = [kind.code for kind in kinds]

    assert len(set(codes)) == len(codes)
    shown = TriggerError("it broke", code="X", because="y", at="f:1", hint="z").report()
    assert list(shown) == ["code", "what", "because", "at", "fix", "docs"]
