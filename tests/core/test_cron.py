"""Cron expressions, intervals, windows: what is read, what is refused, when it is."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from trigger_core import spread, timetable
from trigger_core.errors import InvalidScheduleError

DAY_MS = 86_400_000
START = 1_764_000_000_000


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    # croniter takes a range of one number, like 1-1, for all of them.
    ends = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    steps = st.integers(2, high - low)  # for croniter, */1 is a restriction
    one = st.one_of(
        number.map(str),
        ends.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(ends, steps).map(lambda found: f"{found[0][0]}-{found[0][1]}/{found[1]}"),
        steps.map(lambda step: f"*/{step}"),
    )
    some = st.lists(one, min_size=1, max_size=3).filter(lambda terms: not _is_all(terms, low, high))
    return st.one_of(st.just("*"), some.map(",".join))


def _is_all(terms: list[str], low: int, high: int) -> bool:
    """For croniter, a list of everything is no restriction, like a star; for us it is one."""
    named: set[int] = set()
    for term in terms:
        ends, _, step = term.replace("*", f"{low}-{high}").partition("/")
        first, _, last = ends.partition("-")
        named |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return len(named) == high - low + 1


EXPRESSIONS = st.tuples(
    _field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 6)
).map(" ".join)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def ticks(expression: str, zone: str, after: str, count: int) -> list[str]:
    found = timetable.upcoming(timetable.read(expression, zone), ms(after), count)
    there = timetable.zone(zone)
    return [datetime.fromtimestamp(tick / 1000, there).isoformat()[:-9] for tick in found]


@pytest.mark.parametrize(
    ("expression", "first", "words"),
    [
        ("0 9 * * 1-5", "2026-01-01T09:00", "At 09:00 on Monday through Friday"),
        ("0 9 */2 * 1", "2026-01-01T09:00", "At 09:00 on every second day of month and on Monday"),
        ("*/15 * * * *", "2026-01-01T00:15", "Every 15th minute of every hour"),
        ("0 0 L * *", "2026-01-31T00:00", "At 00:00 on the last day of every month"),
        ("0 0 L 2 ?", "2026-02-28T00:00", "At 00:00 on the last day of February"),
        ("0 0 LW * *", "2026-01-30T00:00", "At 00:00 on the last weekday of every month"),
        ("0 0 * * 1L", "2026-01-26T00:00", "At 00:00 on the last Monday of the month"),
        ("0 0 ? * MON#2", "2026-01-12T00:00", "At 00:00 on the second Monday of the month"),
        ("0 0 * * 0", "2026-01-04T00:00", "At 00:00 on Sunday"),
        ("0 0 * * 7", "2026-01-04T00:00", "At 00:00 on Sunday"),
        ("0 0 * feb-mar sun", "2026-02-01T00:00", "At 00:00 on Sunday in February and March"),
        ("@daily", "2026-01-02T00:00", "At 00:00 every day"),
        ("@Weekly", "2026-01-04T00:00", "At 00:00 on Sunday"),
        ("  0   9 * * * ", "2026-01-01T09:00", "At 09:00 every day"),
    ],
)
def test_an_expression_is_read(expression: str, first: str, words: str) -> None:
    """Names, lists, steps, ``L``, ``#``, macros; and it is said in words."""
    assert ticks(expression, "UTC", "2026-01-01T00:00:00+00:00", 1) == [first]
    assert timetable.read(expression).describe() == words


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 13 * 5", [2, 9, 13, 16, 23, 30]),
        ("0 0 13 * *", [13]),
        ("0 0 * * 5", [2, 9, 16, 23, 30]),
        ("0 0 */15 * 5", [1, 2, 9, 16, 23, 30, 31]),
        ("0 0 */1 * 5", [2, 9, 16, 23, 30]),
    ],
)
def test_either_day_is_enough_when_both_are_restricted(expression: str, days: list[int]) -> None:
    """Steps over a star are a restriction, a bare star is none."""
    table = timetable.read(expression)
    found = table.newest(ms("2025-12-31T23:59:00Z"), ms("2026-01-31T23:59:00Z"), 99)

    assert [datetime.fromtimestamp(tick / 1000, UTC).day for tick in found] == days


@pytest.mark.parametrize(
    ("expression", "because", "hint"),
    [
        ("", "it is empty", "five fields"),
        ("0 9 * *", "4 fields", "minute, hour, day of month, month, day of week"),
        ("0 0 9 * * *", "6 fields", 'every="30s"'),
        ("60 * * * *", "'60' is no minute", "0 to 59"),
        ("* 24 * * *", "'24' is no hour", "0 to 23"),
        ("* * 32 * *", "'32' is no day of month", "1 to 31"),
        ("* * * FOO *", "'FOO' is no month", "JAN"),
        ("* * * * 8", "'8' is no day of week", "0 to 6"),
        ("* * * * MON#6", "'MON#6' is no day of week", "1#2"),
        ("30-10 * * * *", "'30-10' is no minute", "0 to 59"),
        ("*/0 * * * *", "'*/0' is no minute", "0 to 59"),
        ("*/90 * * * *", "the step 90", "0 to 59"),
        ("0 0 30 2 *", "no month has such a day", "choose a day"),
        ("@fortnightly", "no such macro", "@weekly"),
    ],
)
def test_a_wrong_expression_is_refused_by_its_field(
    expression: str, because: str, hint: str
) -> None:
    """With what the field may be."""
    with pytest.raises(InvalidScheduleError) as caught:
        timetable.read(expression)

    assert caught.value.code == "INVALID_CRON"
    assert because in (caught.value.because or "")
    assert hint in (caught.value.hint or "")


def test_a_time_that_clocks_always_skip_is_refused() -> None:
    """It would never fire."""
    with pytest.raises(InvalidScheduleError, match="never comes in Europe/Berlin"):
        timetable.read("30 2 * 3 7L", "Europe/Berlin")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America", "europe/nowhere"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    """Folders and paths are no zones."""
    with pytest.raises(InvalidScheduleError) as caught:
        timetable.read("@daily", name)

    assert caught.value.code == "INVALID_TIMEZONE"


def test_intervals_tick_at_multiples_since_the_epoch() -> None:
    """The same on every machine, whatever the moment it began."""
    table = timetable.read("@every 30s")

    assert timetable.upcoming(table, 61_000, 3) == [90_000, 120_000, 150_000]
    assert table.next_after(90_000) == 120_000
    assert table.newest(0, 95_000, 2) == [60_000, 90_000]
    assert table.newest(60_000, 95_000, 9) == [90_000]
    assert (table.expression, table.describe()) == ("@every 30s", "Every 30 seconds")
    assert timetable.every("1h").describe() == "Every hour"
    assert timetable.every("90s").describe() == "Every 90 seconds"


@pytest.mark.parametrize("interval", ["0s", "999ms", "2000d", "soon", ""])
def test_an_interval_is_a_duration_of_at_least_a_second(interval: str) -> None:
    """And of at most a leap year."""
    with pytest.raises(InvalidScheduleError) as caught:
        timetable.every(interval)

    assert caught.value.code == "INVALID_INTERVAL"


@given(EXPRESSIONS, st.integers(START, START + 3 * 366 * DAY_MS))
def test_two_libraries_agree_on_any_expression(expression: str, after: int) -> None:
    """Croniter is the second; in UTC there is nothing to disagree about."""
    other = croniter(expression, datetime.fromtimestamp(after // 1000, UTC))
    expected = [round(other.get_next(float) * 1000) for _ in range(3)]

    table = timetable.read(expression)
    assert timetable.upcoming(table, after // 1000 * 1000, 3) == expected
    assert table.describe()


@given(
    st.one_of(EXPRESSIONS, st.sampled_from(["@every 7s", "@every 1h", "* * * * *"])),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Beirut"]),
    st.integers(START, START + 2 * 366 * DAY_MS),
    st.integers(1, 5),
)
def test_looking_back_finds_what_looking_ahead_would(
    expression: str, zone: str, after: int, count: int
) -> None:
    """Ticks strictly increase, and the newest of a stretch are the last of those."""
    table = timetable.read(expression, zone)
    ahead = timetable.upcoming(table, after, 12)

    assert all(earlier < later for earlier, later in itertools.pairwise(ahead))
    assert ahead[0] > after
    assert table.newest(after, ahead[-1], count) == ahead[-count:]
    assert table.newest(ahead[-2], ahead[-1] + 1, 50)[0] == ahead[-1]


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("30m", spread.Window(1_800_000)),
        ("2h", spread.Window(7_200_000)),
        ("24h", spread.Window(DAY_MS)),
        ("0m", spread.OFF),
        ("none", spread.OFF),
        ("10%", spread.Window(percent=10)),
        ("100%", spread.Window(percent=100)),
    ],
)
def test_a_window_is_a_length_or_a_share(text: str, window: spread.Window) -> None:
    """Protocol A.9."""
    assert spread.parse(text) == window


@pytest.mark.behaviour(220)
@pytest.mark.parametrize("text", ["25h", "30s", "101%", "-1m", "1.5h", "soon", ""])
def test_another_window_is_refused(text: str) -> None:
    """Behaviour 220."""
    with pytest.raises(InvalidScheduleError) as caught:
        spread.parse(text)

    assert caught.value.code == "INVALID_WINDOW"


@pytest.mark.behaviour(219, 220)
@given(st.integers(0, 2**31 - 1), st.integers(1, 400 * DAY_MS))
def test_an_offset_never_reaches_the_next_tick(phase: int, interval: int) -> None:
    """Behaviours 219 and 220: a share of 100 %, and a window longer than the interval."""
    for window in (spread.Window(percent=100), spread.Window(DAY_MS), spread.DEFAULT):
        assert 0 <= window.offset(phase, interval) < interval
    assert spread.OFF.offset(phase, interval) == 0
    assert spread.Window(percent=0).offset(phase, interval) == 0


@pytest.mark.behaviour(221)
def test_a_phase_is_for_ever() -> None:
    """Behaviour 221: the same for the same environment and key, 31 bits, another elsewhere."""
    assert spread.phase("env", "nightly") == spread.phase("env", "nightly") == 470_882_832
    assert spread.phase("env", "other") != spread.phase("env", "nightly")
    assert spread.phase("other", "nightly") != spread.phase("env", "nightly")
    assert all(0 <= spread.phase("env", str(n)) < 2**31 for n in range(100))
    with pytest.raises(ValueError, match="environment"):
        spread.phase("", "nightly")
