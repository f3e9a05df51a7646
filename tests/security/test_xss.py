"""XSS: what users write is shown as text; what they upload is no page; where a login leads is here."""

from __future__ import annotations

import pytest

from support.http import Platform
from support.login import ORIGIN, Site, log_in
from trigger_platform.dashboard import rendering
from trigger_platform.engine import project

NOBODY = {"authorization": ""}


MARKUP = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'\"><svg/onload=alert(1)>",
    "{{7*7}}{% include '/etc/passwd' %}", "\x1b]8;;javascript:alert(1)\x1b\\x\x1b]8;;\x1b\\",
]  # fmt: skip


@pytest.mark.parametrize("text", MARKUP, ids=range(len(MARKUP)))
async def test_xss_what_users_write_is_shown_as_text(platform: Platform, text: str) -> None:
    """In payloads, tags, metadata, errors and lines; a template in it is not filled in."""
    options = {"tags": [text[:60]], "metadata": {text: text}}
    await platform.trigger("task", {text: text}, **options)
    [run] = await platform.work("task")
    mark = {"runId": run["runId"], "lease": run["lease"]}
    record = {
        "time": "2026-01-01T00:00:00.000Z",
        "level": "INFO",
        "source": "stdout",
        "attempt": 1,
        "message": text,
    }
    await platform.report(
        started=[mark | {"at": platform.clock.now()}],
        logs=[{"runId": run["runId"], "record": record}],
    )
    error = {"type": "BUILT_IN_ERROR", "name": text, "message": text, "stackTrace": text}
    await platform.report(completions=[mark | {"ok": False, "error": error}])
    for path in (f"/runs/{run['runId']}", "/", "/?task=" + "%3Cscript%3E"):
        page = (await platform.http.get(path, headers=NOBODY)).text
        for bad in ("<script>alert", "<img src=x", "<svg/onload", '<script>"', "49{%"):
            assert bad not in page, path


@pytest.mark.parametrize("text", MARKUP, ids=range(len(MARKUP)))
async def test_xss_what_people_fill_in_is_shown_as_text(platform: Platform, text: str) -> None:
    """Names and values in the pages for who runs the server, and what these say when they refuse it."""
    await platform.server.units.write(project.rename, platform.server.local.project, text[:100])
    forms = {
        "/variables": {"name": "A", "value": text},
        "/keys": {"name": text[:100]},
        "/tokens": {"name": text[:100]},
        "/members": {"email": f"{text.replace(' ', '/')}@example.com", "role": "VIEWER"},
    }
    for path, fields in forms.items():
        given = {"csrf": "", **fields}
        sent = await platform.http.post(path, data=given, headers=NOBODY | ORIGIN)
        assert sent.status_code in {200, 303}, (path, sent.text)
        refused = {"csrf": "", "name": text, "scopes": text, "expires_in": text, "role": text}
        wrong = await platform.http.post(path, data=refused, headers=NOBODY | ORIGIN)
        assert wrong.status_code in {400, 422}, path
        page = await platform.http.get(path, headers=NOBODY)
        assert "alert(1)" in page.text or "7*7" in page.text or "javascript:" in page.text
        for shown in (sent.text, wrong.text, page.text):
            for bad in ("<script>alert", "<img src=x", "<svg/onload", '<script>"', "49{%"):
                assert bad not in shown, path


def test_xss_templates_escape_and_none_turns_that_off() -> None:
    """Neither by a filter nor by a block."""
    for name in rendering.templates().list_templates():
        source = (rendering._TEMPLATES / name).read_text()
        assert "|safe" not in source.replace(" ", ""), name
        assert "autoescape" not in source, name
        assert "<script>" not in source, name
        for handler in ("onclick=", "onload=", "onerror=", "style=", "javascript:"):
            assert handler not in source, (name, handler)
    assert "&lt;b&gt;" in rendering.templates().get_template("login.html").render(
        next="<b>", email="", problem="", has_provider=False
    )


PLACES = [
    "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
    "/%0d%0aset-cookie:%20a=b", "/\r\nset-cookie: a=b", "javascript:alert(1)", "/\x00/evil.example",
    " https://evil.example", "/%5cevil.example", "///evil.example", "/./\\evil.example",
]  # fmt: skip


async def test_xss_a_login_leads_to_a_place_of_this_server(site: Site) -> None:
    """As a browser reads the address: no other site, no header of somebody's own, no script."""
    for place in PLACES:
        answer = await log_in(site.platform, "owner@acme.example", place=place)
        target = answer.headers["location"]
        assert answer.status_code == 303, place
        assert target.startswith("/"), place
        assert target[1:2] not in {"/", "\\", "\t", "\n", "\r"}, place
        assert len(answer.headers.get_list("set-cookie")) == 1, place
        page = await site.platform.http.get("/login", params={"next": place})
        assert 'value="https:' not in page.text
        assert 'value="javascript:' not in page.text
