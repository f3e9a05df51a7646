"""The primary is killed while two platforms write, and its standby takes over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
import pytest

from support import postgres
from support.balancer import Balancer
from support.dev import until
from support.kept import looking_into
from support.postgres import Server
from support.server import Started
from trigger_core.api.calls import tasks
from trigger_core.api.client import Client
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerTask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CALLERS = 8
BEFORE = 30


@dataclass
class Cluster:
    """A primary, a standby that has every commit before it is acknowledged, and their common address."""

    primary: Server
    standby: Server
    url: str
    balancer: Balancer

    def fail_over(self) -> None:
        """Kill the primary; the standby takes over."""
        self.primary.kill()
        self.standby.promote()
        self.balancer.addresses[:] = [_place(self.standby)]


def _place(server: Server) -> tuple[str, int]:
    parts = urlsplit(server.url)
    return parts.hostname or "", parts.port or 0


@pytest.fixture(params=["an address with both hosts", "an address that moves"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two servers; commits are on the disks of both."""
    primary = postgres.launch(settings={})
    database = urlsplit(primary.database()).path
    standby = primary.standby()
    both = ",".join(f"{host}:{port}" for host, port in map(_place, (standby, primary)))
    with Balancer([_place(primary)]) as balancer:
        moving = balancer.url.removeprefix("http://")
        hosts = both if request.param.endswith("both hosts") else moving
        yield Cluster(primary, standby, f"postgresql://postgres@{hosts}{database}", balancer)
    for one in (primary, standby):
        one.stop()


class Caller(threading.Thread):
    """Triggers one run, then three at once, for ever; keeps what was acknowledged."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._ending = threading.Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        """Until it is told to end."""
        three = TriggerBatch(items=[BatchItem(task="t")] * 3)
        while not self._ending.is_set():
            self.acknowledged.append(self._client.send(tasks.trigger("t", TriggerTask())).id)
            made = self._client.send(tasks.batch_trigger(three))
            self.acknowledged += [one.id for one in made.runs]

    def end(self) -> None:
        """End after the call under way."""
        self._ending.set()
        self.join(60)
        self._client.close()


def test_platforms_find_the_new_primary_by_themselves_and_nothing_acknowledged_is_lost(
    cluster: Cluster,
) -> None:
    """No call fails: it waits. Each hears of the other's commits again, and statements are prepared anew."""
    platforms = [Started(cluster.url) for _ in range(2)]
    callers = [Caller(platforms[n % 2].client) for n in range(CALLERS)]
    try:
        for caller in callers:
            caller.start()
        _wait_for_more(callers)
        cluster.fail_over()
        _wait_for_more(callers)
        listening = "select count(*) from pg_stat_activity where query like 'listen %'"
        until(lambda: _count(cluster, listening) == len(platforms), 30, "listening")
        for caller in callers:
            caller.end()
        for one in platforms:
            assert one.stop()[0] == 0
    finally:
        for one in platforms:
            one.end()

    acknowledged = [run_id for caller in callers for run_id in caller.acknowledged]
    with looking_into(cluster.url) as kept:
        assert sorted(run.id for run in kept.runs()) == sorted(acknowledged)
        assert kept.violations() == []


def _wait_for_more(callers: list[Caller]) -> None:
    """Let every caller be answered often."""
    wanted = [len(caller.acknowledged) + BEFORE for caller in callers]
    until(
        lambda: all(
            len(caller.acknowledged) >= count for caller, count in zip(callers, wanted, strict=True)
        ),
        90,
        "more triggers",
    )


def _count(cluster: Cluster, query: str) -> int:
    with closing(psycopg.connect(cluster.standby.url)) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
    return int(row[0]) if row else 0
