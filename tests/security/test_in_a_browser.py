"""What only a real browser can tell: another origin's page presses buttons, and markup of runs is shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from support.browser import NEEDED, Tab, chromium
from support.http import PROJECT
from support.login import PASSWORD
from support.server import Started

pytestmark = [pytest.mark.slow, NEEDED]

ADMIN = "admin@example.com"
EVIL = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>{{7*7}}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Started]:
    """A server with an admin."""
    started = Started(tmp_path / "t.db")
    form = {"email": ADMIN, "password": PASSWORD, "csrf": ""}
    made = httpx.post(started.ready["setupUrl"], data=form)
    assert made.status_code == 303, made.text
    yield started
    started.end()


def _log_in(context: BrowserContext, url: str) -> None:
    page = context.new_page()
    page.goto(f"{url}/login")
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button").click()
    page.wait_for_url(f"{url}/")


@contextmanager
def _site(folder: Path) -> Iterator[str]:
    """Another origin, of the same site: the browser sends it the same cookies."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    serving = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}"
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


def test_a_page_of_another_origin_presses_the_buttons_in_vain(
    server: Started, tmp_path: Path
) -> None:
    """With forms, with scripts that send cookies along, and in a frame; the cookie is there all the time."""
    url = server.ready["url"]
    key = {"authorization": f"Bearer {server.ready['secretKey']}"}
    run = httpx.post(f"{url}/api/v1/tasks/t/trigger", json={}, headers=key).json()["id"]
    site = tmp_path / "site"
    site.mkdir()
    forms = [f"/runs/{run}/cancel", f"/runs/{run}/replay", "/environments", "/logout"]
    buttons = "".join(
        f'<form method="post" action="{url}{path}" target="f{n}"><input name="csrf" value="">'
        f'<button id="b{n}">go</button></form><iframe name="f{n}"></iframe>'
        for n, path in enumerate(forms)
    )
    (site / "index.html").write_text(f'<title>evil</title>{buttons}<iframe src="{url}/"></iframe>')
    with chromium() as browser, _site(site) as elsewhere:
        context = browser.new_context()
        _log_in(context, url)
        page = context.new_page()
        statuses: list[tuple[str, int]] = []
        page.on(
            "response",
            lambda answer: (
                statuses.append((answer.request.url, answer.status))
                if answer.request.method == "POST"
                else None
            ),
        )
        page.goto(elsewhere)
        for n, path in enumerate(forms):
            with page.expect_response(f"{url}{path}") as pressed:
                page.locator(f"#b{n}").click()
            sent = pressed.value.request.all_headers()
            assert "trigger_session=" in sent.get("cookie", ""), path
            assert pressed.value.status == 403, path
        told = page.evaluate(
            """url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include',
                   headers: {'content-type': 'text/plain'}, body: 'csrf='}).then(r => r.type)""",
            f"{url}/logout",
        )
        read = page.evaluate(
            "url => fetch(url, {credentials: 'include'}).then(r => r.text(), () => 'unread')", url
        )
        assert (told, read) == ("opaque", "unread")
        assert {status for _, status in statuses} == {403}

        page.goto(f"{url}/environments")
        expect(page.get_by_role("heading", name="Environments")).to_be_visible()
    shown = httpx.get(f"{url}/api/v3/runs/{run}", headers=key).json()
    assert shown["status"] in {"QUEUED", "PENDING_VERSION"}


def test_what_a_run_wrote_runs_in_no_page(server: Started) -> None:
    """Task names, tags, metadata, payloads, lines and errors are text, and the policy is never broken."""
    url = server.ready["url"]
    with httpx.Client(base_url=url) as http:
        run = _run_with_markup(http, server.ready["secretKey"])
    with chromium() as browser:
        context = browser.new_context()
        _log_in(context, url)
        for path in ("/", f"/runs/{run}"):
            tab = Tab(context, f"{url}{path}", url)
            expect(tab.page.get_by_text("<img src=x").first).to_be_visible()
            tab.page.wait_for_timeout(300)
            assert tab.page.evaluate("window.pwned") is None
            assert tab.page.locator("img").count() == 0
            assert tab.complaints == []


def _run_with_markup(http: httpx.Client, key: str) -> str:
    http.headers["authorization"] = f"Bearer {key}"

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = http.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    tasks = [{"id": EVIL, "filePath": "a.py"}]
    metadata = {"packageVersion": "0", "contentHash": "x", "tasks": tasks}
    worker = post(
        f"/api/v1/projects/{PROJECT}/background-workers", localOnly=True, metadata=metadata
    )
    items = [
        {
            "task": EVIL,
            "payload": {EVIL: EVIL},
            "options": {"tags": [EVIL[:100]], "metadata": {"m": EVIL}},
        }
    ]
    run = str(post("/api/v1/tasks/batch", items=items)["runs"][0]["id"])
    post("/engine/v1/worker/connect", instance="x", bootId="b1")
    [taken] = post(
        "/engine/v1/worker/poll", bootId="b1", workers=[worker["id"]], limit=1, waitMs=0
    )["runs"]
    mark = {"runId": run, "lease": taken["lease"]}
    line = {"time": "2026-01-01T00:00:00.000Z", "level": "INFO", "source": "stdout", "attempt": 1}
    error = {"type": "BUILT_IN_ERROR", "name": EVIL, "message": EVIL, "stackTrace": EVIL}
    logs = [{"runId": run, "record": line | {"message": EVIL}}]
    post("/engine/v1/worker/report", bootId="b1", started=[mark | {"at": 0}], logs=logs)
    post(
        "/engine/v1/worker/report", bootId="b1", completions=[mark | {"ok": False, "error": error}]
    )
    return run
