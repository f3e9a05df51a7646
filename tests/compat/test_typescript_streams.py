"""TypeScript tasks write streams and receive input, executed by the official ``trigger.dev dev``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dev import Dev, until, write_project
from support.npm import VERSIONS
from support.typescript import TypeScript
from trigger_sdk import runs, streams

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compat-streams"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=VERSIONS)
def ts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TypeScript]:
    """A session of the official command line on a platform of ours."""
    folder = tmp_path_factory.mktemp("streams")
    session = Dev(write_project(folder / "python", "from trigger_sdk import *\n"))
    started = TypeScript(request.param, session, folder / "project")
    yield started
    started.end()
    assert session.stop() == 0


@pytest.fixture(autouse=True)
def credentials(ts: TypeScript, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let our SDK find the platform."""
    monkeypatch.setenv("TRIGGER_API_URL", ts.session.session["apiUrl"])
    monkeypatch.setenv("TRIGGER_SECRET_KEY", ts.session.session["secretKey"])


def test_what_a_typescript_task_streams_is_read_in_python(ts: TypeScript) -> None:
    """Piped values, an appended text, and a stream of metadata."""
    run_id = ts.session.trigger("ts-piping", {"count": 50})

    assert list(streams.define("parts").read_sync(run_id)) == [{"n": n} for n in range(50)]
    assert list(streams.define("texts").read_sync(run_id)) == ["a text"]
    assert list(streams.define("older").read_sync(run_id)) == [{"n": 0}, {"n": 1}]
    assert [run.status for run in runs.subscribe_sync(run_id)] == ["COMPLETED"]


def test_a_typescript_task_receives_what_python_sends(ts: TypeScript) -> None:
    """While it listens, and while it waits without holding a slot."""
    run_id = ts.session.trigger("ts-asking", {})
    approval = streams.input("approval")
    approval.send_sync(run_id, {"approved": True, "by": "Ada"})
    until(lambda: ts.session.get(run_id).status == "WAITING", what="the wait")
    approval.send_sync(run_id, {"approved": False, "by": "Bob"})

    assert ts.session.result(run_id).output == {
        "first": {"approved": True, "by": "Ada"},
        "second": {"approved": False, "by": "Bob"},
    }
