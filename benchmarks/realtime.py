"""Two thousand followers that wait: what they cost a platform process, and how soon a change reaches them.

Each follows a run of its own over a connection of its own, as a browser does. Delivery is timed from the
request that changes a run until its follower has the answer; CPU while nothing happens covers the rounds in
which every held request is answered and sent again.

With ``--postgres`` the same is measured on PostgreSQL (a server that is started for it, or the one at the
address that is given) with one platform, and with two: half of the followers are at each, and every change is
made at the first. So half of the changes go through the notices of the database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench import keep, quantile, show

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import postgres

FOLLOWERS = 2_000
CHANGES = 400
IDLE_S = 30.0
AT_ONCE = 50
TICKS = os.sysconf("SC_CLK_TCK")
PROJECT = "proj_abcdefghijklmnopqrst"
KEY = "0f" * 32
SENT = {
    "x-trigger-api-version": "2025-07-16",
    "x-trigger-electric-version": "1.0.0-beta.1",
    "content-type": "application/json",
}


@dataclass
class Answer:
    """An answer as it came over a connection."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Platform:
    """A platform process."""

    pid: int
    url: str
    key: str

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        [line] = [
            line
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        ]
        return int(line.split()[1]) * 1024

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


class Connection:
    """HTTP/1.1 over a connection that stays; nothing but what a benchmark needs."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        address = urlsplit(self._platform.url)
        self._reader, self._writer = await asyncio.open_connection(address.hostname, address.port)

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request and read its answer."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"host: {urlsplit(self._platform.url).netloc}"]
        lines += [f"{name}: {value}" for name, value in SENT.items()]
        lines += [f"authorization: Bearer {self._platform.key}", f"content-length: {len(content)}"]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2] if ": " in line)
        received = await self._reader.readexactly(int(headers.get("content-length", "0")))
        assert head[0].split()[1] in {"200", "202"}, (head[0], received)
        return Answer(headers, received)

    def close(self) -> None:
        """Close."""
        self._writer.close()


@dataclass
class Follower:
    """Follows one run: a request is always under way."""

    connection: Connection
    run_id: str
    told: dict[int, float]
    state: dict[str, str] = field(default_factory=lambda: {"log": "full", "offset": "-1"})

    async def begin(self) -> None:
        """Read the run as it is."""
        await self.connection.open()
        await self._ask()
        self.state["live"] = "true"

    async def follow(self) -> None:
        """Wait for changes for ever; each names its number."""
        while True:
            answer = await self._ask()
            now = time.perf_counter()
            for message in json.loads(answer.body):
                metadata = message.get("value", {}).get("metadata")
                if metadata:
                    self.told[json.loads(metadata)["n"]] = now

    async def _ask(self) -> Answer:
        path = f"/realtime/v1/runs/{self.run_id}?{urlencode(self.state)}"
        answer = await self.connection.ask("GET", path)
        headers = answer.headers
        self.state |= {
            "handle": headers["electric-handle"],
            "offset": headers["electric-offset"],
            "cursor": headers.get("electric-cursor", ""),
        }
        return answer


@contextmanager
def running(database: str) -> Iterator[Platform]:
    """Run a platform in a process of its own."""
    command = [sys.executable, "-m", "trigger_cli.app", "server", "start", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database", database, "--project", PROJECT, "--show-key", "--json"],
        env=os.environ | {"TRIGGER_ENCRYPTION_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    try:
        yield Platform(process.pid, said["url"], said["secretKey"])
    finally:
        process.terminate()
        process.wait()


def _memory(platforms: Sequence[Platform]) -> int:
    return sum(platform.memory for platform in platforms)


def _cpu_s(platforms: Sequence[Platform]) -> float:
    return sum(platform.cpu_s for platform in platforms)


async def measure(platforms: Sequence[Platform], followers: int) -> dict[str, float]:
    """Return what the followers cost and how soon they are told."""
    caller = Connection(platforms[0])
    await caller.open()
    run_ids: list[str] = []
    while len(run_ids) < followers:
        items = [{"task": "bench", "options": {"ttl": "1d"}}] * min(500, followers - len(run_ids))
        made = json.loads((await caller.ask("POST", "/api/v1/tasks/batch", {"items": items})).body)
        run_ids += [run["id"] for run in made["runs"]]
    for platform in platforms:
        await _warm(platform, run_ids[:20])
    before = _memory(platforms)
    told: dict[int, float] = {}
    homes = [platforms[n % len(platforms)] for n in range(followers)]
    all_of_them = [
        Follower(Connection(home), run_id, told)
        for home, run_id in zip(homes, run_ids, strict=True)
    ]
    for start in range(0, followers, AT_ONCE):
        await asyncio.gather(*(one.begin() for one in all_of_them[start : start + AT_ONCE]))
    following = [asyncio.create_task(one.follow()) for one in all_of_them]
    await asyncio.sleep(2)
    memory = _memory(platforms) - before
    cpu_s = _cpu_s(platforms)
    await asyncio.sleep(IDLE_S)
    cpu_share = (_cpu_s(platforms) - cpu_s) / IDLE_S
    here = [run_id for home, run_id in zip(homes, run_ids, strict=True) if home is platforms[0]]
    elsewhere = sorted(set(run_ids) - set(here))
    chance = random.Random(1)
    delays = await _changes(caller, chance.sample(here, min(CHANGES, len(here))), told)
    far = await _changes(caller, chance.sample(elsewhere, min(CHANGES, len(elsewhere))), told)
    for one in following:
        one.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    for follower in all_of_them:
        follower.connection.close()
    caller.close()
    found = {"bytes_each": memory / followers, "idle_cpu_share": cpu_share}
    return found | _quantiles("", delays) | _quantiles("far_", far)


def _quantiles(prefix: str, delays: Sequence[float]) -> dict[str, float]:
    if not delays:
        return {}
    return {f"{prefix}p50_s": quantile(delays, 0.5), f"{prefix}p99_s": quantile(delays, 0.99)}


async def _warm(platform: Platform, run_ids: Sequence[str]) -> None:
    """Let a platform load what it loads at its first requests."""
    connection = Connection(platform)
    await connection.open()
    for run_id in run_ids:
        await connection.ask("GET", f"/api/v3/runs/{run_id}")
    connection.close()


async def _changes(
    caller: Connection, run_ids: Sequence[str], told: dict[int, float]
) -> list[float]:
    """Change runs one after the other; return how long each change was on its way."""
    delays: list[float] = []
    for number, run_id in enumerate(run_ids, start=len(told)):
        began = time.perf_counter()
        body = {"metadata": {"n": number}}
        await caller.ask("PUT", f"/api/v1/runs/{run_id}/metadata", body)
        while number not in told:
            await asyncio.sleep(0.0005)
            assert time.perf_counter() - began < 10, f"change {number} did not arrive"
        delays.append(told[number] - began)
        await asyncio.sleep(0.01)
    return delays


def _measured(database: str, count: int, followers: int) -> dict[str, float]:
    """Measure with so many platforms on a database."""
    with ExitStack() as stack:
        platforms = [stack.enter_context(running(database)) for _ in range(count)]
        found = asyncio.run(measure(platforms, followers))
    many = "one platform" if count == 1 else f"{count} platforms"
    where = "PostgreSQL" if database.startswith("postgres") else "SQLite"
    rows = [
        ("memory for each, with its connection", f"{found['bytes_each'] / 1024:.1f} KiB", ""),
        ("CPU of the platform meanwhile", f"{found['idle_cpu_share']:.1%} of a core", ""),
        ("from a change to its follower, median", f"{found['p50_s'] * 1000:.0f} ms", ""),
        ("from a change to its follower, p99", f"{found['p99_s'] * 1000:.0f} ms", ""),
    ]
    if "far_p50_s" in found:
        rows += [
            ("to a follower at the other, median", f"{found['far_p50_s'] * 1000:.0f} ms", ""),
            ("to a follower at the other, p99", f"{found['far_p99_s'] * 1000:.0f} ms", ""),
        ]
    show(f"{followers:,} followers that wait: {where}, {many}", rows)
    return found


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--postgres",
        nargs="?",
        const="",
        help="on PostgreSQL too; the address of a server's database",
    )
    parser.add_argument("--followers", type=int, default=FOLLOWERS)
    given, _ = parser.parse_known_args()
    wanted = given.followers * 2 + 200
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    with tempfile.TemporaryDirectory() as folder:
        found = _measured(str(Path(folder) / "bench.db"), 1, given.followers)
    values: dict[str, Any] = {"followers": given.followers, **found}
    if given.postgres is not None:
        server = None if given.postgres else postgres.launch(settings={})
        for count in (1, 2):
            database = server.database() if server else given.postgres
            values[f"postgres_{count}"] = _measured(database, count, given.followers)
        if server:
            server.stop()
    keep("realtime", values)


if __name__ == "__main__":
    main()
