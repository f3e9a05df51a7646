"""Two platforms on one database restart one after the other under those who follow and those who execute."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import postgres
from support.balancer import Balancer
from support.dev import Session, until
from support.http import PROJECT
from support.npm import VERSIONS, Official
from support.server import Started, keys_of
from support.typescript import TypeScript
from trigger_core.api.call import Call
from trigger_core.api.calls import tokens
from trigger_core.schemas.tokens import CreateToken

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("compat-rolling"),
    pytest.mark.timeout(300),
]

FOLLOWER = """
const note = (entry) => console.log(JSON.stringify(entry));
const real = globalThis.fetch;
globalThis.fetch = async (...args) => {
  const what = String(args[0]?.url ?? args[0]);
  try {
    const answer = await real(...args);
    if (!answer.ok) note({failure: `${answer.status} ${what}`});
    return answer;
  } catch (error) {
    if (error.name !== "AbortError") note({failure: `${error} (${error.cause}) ${what}`});
    throw error;
  }
};
const follow = async (name, changes) => {
  for await (const run of changes) note({name, step: run.metadata?.step, status: run.status});
};
const tag = `followed by ${given.version}`;
const made = await batch.trigger([{id: "followed", payload: {}, options: {tags: [tag]}}]);
const [id] = (await batch.retrieve(made.batchId)).runs;
note({run: id});
follow("run", runs.subscribeToRun(id));
follow("tag", runs.subscribeToRunsWithTag(tag));
follow("batch", runs.subscribeToBatch(made.batchId));
let ending = false;
process.stdin.on("end", () => { ending = true; }).resume();
while (!ending) { await runs.retrieve(id); await tasks.trigger("other", {}); }
"""


class Pair(Session):
    """Two platforms on one database, behind one address."""

    def __init__(self, database: str, stack: ExitStack) -> None:
        super().__init__()
        self._database = database
        self._keys = keys_of(database)
        self.started = [Started(database) for _ in range(2)]
        self._balancer = stack.enter_context(Balancer([one.address for one in self.started]))

    @property
    def session(self) -> dict[str, Any]:
        """Where a command line finds them."""
        return {
            "apiUrl": self._balancer.url,
            "secretKey": self.started[0].ready["secretKey"],
            "accessToken": self._keys.person,
            "projectRef": PROJECT,
        }

    def restart(self) -> Iterator[None]:
        """Restart one, then the other; something may be done while one is away, and once it is back."""
        for n, one in enumerate(self.started):
            code, lines = one.stop()
            assert code == 0, lines
            yield
            self.started[n] = Started(self._database, port=one.address[1])
            yield


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two platforms on PostgreSQL."""
    with ExitStack() as stack:
        found = Pair(postgres.empty_database(), stack)
        yield found
        found.close()
    for one in found.started:
        one.end()


@dataclass
class Followers:
    """The official client follows a run, its tag and its batch, and asks other things all the time."""

    process: subprocess.Popen[str]
    heard: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.heard.extend(json.loads(line) or {} for line in self.process.stdout)

    @property
    def run_id(self) -> str:
        """The run that is followed."""
        found = until(lambda: [one for one in self.heard if "run" in one], what="a run")
        return str(found[0]["run"])

    def seen(self, **what: Any) -> set[str]:
        """Return who has heard of something."""
        return {one["name"] for one in self.heard if "name" in one and what.items() <= one.items()}

    def hear(self, **what: Any) -> None:
        """Wait until all three have."""
        until(lambda: len(self.seen(**what)) == 3, 60, f"{what}: {self.seen(**what)}")

    def finish(self) -> None:
        """Let it end the call that is under way."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0

    def end(self) -> None:
        """Let go of the process; it has ended, or is killed."""
        with self.process:
            self.process.kill()
        self._reader.join(10)


def test_the_followers_of_runs_miss_nothing_and_no_request_fails(pair: Pair) -> None:
    """They are let go with an answer, and go on at the other platform."""
    url, key = pair.session["apiUrl"], pair.session["secretKey"]
    with ExitStack() as stack:
        all_of_them = [
            Followers(Official(version, url, key).start(FOLLOWER, version=version))
            for version in VERSIONS
        ]
        for follower in all_of_them:
            stack.callback(follower.end)
        for step, _ in enumerate([None, *pair.restart()]):
            _change(pair, all_of_them, step)
        for follower in all_of_them:
            pair.cancel(follower.run_id)
        for follower in all_of_them:
            follower.hear(status="CANCELED")
            follower.finish()
            assert [one for one in follower.heard if "failure" in one] == []


def _change(pair: Pair, followers: list[Followers], step: int) -> None:
    for follower in followers:
        path, body = f"/api/v1/runs/{follower.run_id}/metadata", {"metadata": {"step": step}}
        pair.client.send(Call("PUT", path, lambda answer: answer, body=body))
    for follower in followers:
        follower.hear(step=step)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_of_the_official_command_line_goes_on(
    pair: Pair, version: str, tmp_path: Path
) -> None:
    """Runs that wait, runs that are triggered meanwhile, and the socket that tells of their ends."""
    ts = TypeScript(version, pair, tmp_path / "project")
    try:
        token = pair.client.send(tokens.create(CreateToken())).id
        waiting = pair.trigger("ts-approval", {"token": token})
        until(lambda: pair.get(waiting).status == "WAITING", what="the wait")
        done = [pair.trigger("ts-double", {"n": n}) for n, _ in enumerate([None, *pair.restart()])]
        pair.client.send(tokens.complete(token, {"answer": "yes"}))

        assert [pair.result(one).output for one in done] == [2 * n for n in range(len(done))]
        assert pair.result(waiting).output["first"] == {"answer": "yes"}
        assert {pair.get(one).attempt_count for one in (*done, waiting)} == {1}
        assert ts.process.poll() is None
    finally:
        ts.end()
