"""The dashboard in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from support.browser import NEEDED, chromium
from support.dev import Dev

TASKS = """
from trigger_sdk import task, wait

@task
async def greet(name: str) -> str:
    print("<b>bold</b>", name)
    return f"hello {name}"

@task
async def patient() -> None:
    await wait.for_(minutes=5)
"""

pytestmark = [NEEDED, pytest.mark.slow]


def test_runs_appear_and_change_without_a_reload(start: Callable[..., Dev]) -> None:
    """The list and one run are live; a run can be canceled from its page; nothing breaks the CSP."""
    dev = start(TASKS)
    with chromium() as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(dev.session["dashboardUrl"])
        expect(page.get_by_text("No runs here")).to_be_visible()

        done = dev.run("greet", "you")
        expect(page.get_by_role("link", name=done.id)).to_be_visible()
        page.get_by_role("link", name=done.id).click()
        expect(page.get_by_role("heading", name="greet")).to_contain_text("completed")
        expect(page.locator(".logs")).to_contain_text("<b>bold</b> you")
        expect(page.get_by_text('"hello you"')).to_be_visible()

        waiting = dev.trigger("patient")
        page.goto(f"{dev.session['dashboardUrl']}/runs/{waiting}")
        expect(page.get_by_role("heading", name="patient")).to_contain_text("waiting")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("heading", name="patient")).to_contain_text("canceled")
    assert complaints == []
