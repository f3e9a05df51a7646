"""A real Chromium, and what a page in it shows, asks for and complains about."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect
from playwright.sync_api import sync_playwright as _playwright

__all__ = ["NEEDED", "Tab", "chromium"]

_CHROMIUM = Path("/usr/bin/chromium")
_IS_REQUIRED = os.environ.get("TRIGGER_REQUIRE_BROWSER") == "1"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
_PATIENCE_MS = 20_000

NEEDED = pytest.mark.skipif(
    not _CHROMIUM.exists() and not _IS_REQUIRED,
    reason="BROWSER TESTS SKIPPED: there is no /usr/bin/chromium (Debian package chromium)",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, while in this block; it has an event loop of its own, so no test of another kind may run."""
    with _playwright() as play:
        browser = play.chromium.launch(executable_path=str(_CHROMIUM), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """An open page.

    Attributes:
        complaints: what the console was told that is no mere note, and errors that nobody caught.
        requests: what it asked of the platform.
    """

    def __init__(self, context: BrowserContext, address: str, platform: str) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self._platform = platform
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(address)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.text} {message.location.get('url', '')}".strip())

    def _asked(self, request: Request) -> None:
        if request.url.startswith(self._platform):
            self.requests.append(request)

    def shows(self, **values: Any) -> None:
        """Wait until the document has these values."""
        for name, value in values.items():
            text = json.dumps(value, separators=(",", ":"), sort_keys=True)
            expect(self.page.locator(f"#{name}")).to_have_text(text, timeout=_PATIENCE_MS)

    def alerts(self, text: str) -> None:
        """Wait until the document shows an error."""
        expect(self.page.get_by_role("alert")).to_contain_text(text, timeout=_PATIENCE_MS)

    def value(self, name: str) -> Any:
        """Return what the document has now."""
        return json.loads(self.page.locator(f"#{name}").inner_text() or "null")

    def press(self) -> None:
        """Press the button."""
        self.page.get_by_role("button").click()

    def asked_within(self, milliseconds: float) -> int:
        """Count what is asked of the platform in a time that is spent looking."""
        before = len(self.requests)
        self.page.wait_for_timeout(milliseconds)
        return len(self.requests) - before
