"""An admin sets a platform up in a real browser, without a command line."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from support.browser import NEEDED, Tab, chromium
from support.server import Started

pytestmark = [NEEDED, pytest.mark.slow, pytest.mark.xdist_group("settings-pages")]
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A server of which nobody is the admin yet."""
    started = Started(tmp_path_factory.mktemp("server") / "platform.db")
    yield started
    started.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def admin(server: Started, browser: Browser) -> Iterator[Tab]:
    """The first admin, who has chosen a password; nothing may break the policy of the pages."""
    tab = Tab(browser.new_context(), server.ready["setupUrl"], server.ready["url"])
    tab.page.get_by_label("E-mail").fill("ada@example.com")
    _choose_password(tab)
    yield tab
    assert tab.complaints == []


def _choose_password(tab: Tab) -> None:
    tab.page.get_by_label("Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Go on").click()


def _shown_once(tab: Tab) -> str:
    expect(tab.page.get_by_role("status")).to_contain_text("not shown again")
    return tab.page.get_by_role("status").locator("code").inner_text()


def _get(server: Started, path: str, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(server.ready["url"] + path, headers=headers)


def test_a_secret_variable_is_set_and_removed(admin: Tab) -> None:
    """Its value is shown to nobody."""
    page = admin.page
    page.get_by_role("link", name="Variables").click()
    page.get_by_label("Name").fill("API_TOKEN")
    page.get_by_label("Value").fill("hush-hush")
    page.get_by_label("Secret").check()
    page.get_by_role("button", name="Set").click()
    row = page.get_by_role("row", name="API_TOKEN")
    expect(row).to_contain_text("secret")
    assert "hush-hush" not in page.content()

    row.get_by_text("Delete", exact=True).click()
    row.get_by_role("button", name="Delete API_TOKEN").click()
    expect(page.get_by_text("There are none yet")).to_be_visible()


def test_the_secret_key_is_replaced(admin: Tab, server: Started) -> None:
    """After one is asked whether one means it."""
    page = admin.page
    page.get_by_role("link", name="Keys").click()
    expect(page.get_by_role("button", name="Replace the secret key")).to_be_hidden()
    page.get_by_text("Replace it").click()
    page.get_by_role("button", name="Replace the secret key").click()

    key = _shown_once(admin)
    assert _get(server, "/api/v1/runs", key).status_code == 200
    page.reload()
    page.get_by_role("link", name="Keys").click()
    assert key not in page.content()


def test_a_token_is_created_and_revoked(admin: Tab, server: Started) -> None:
    """It acts for the admin until then."""
    page = admin.page
    page.get_by_role("link", name="Tokens").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create").click()
    token = _shown_once(admin)
    assert _get(server, "/api/v2/whoami", token).json()["email"] == "ada@example.com"

    row = page.get_by_role("row", name="laptop")
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_role("button", name="Revoke laptop").click()
    expect(row).to_have_count(0)
    assert _get(server, "/api/v2/whoami", token).status_code == 401


def test_a_member_is_added_and_given_another_role(admin: Tab, browser: Browser) -> None:
    """The new member chooses a password at the address that the admin was shown."""
    page = admin.page
    page.get_by_role("link", name="Members").click()
    page.get_by_label("E-mail").fill("grace@example.com")
    page.get_by_role("button", name="Add").click()
    guest = Tab(browser.new_context(), _shown_once(admin), "")
    _choose_password(guest)
    expect(guest.page.get_by_role("heading", name="Environments")).to_be_visible()
    expect(guest.page.get_by_text("There are none yet")).to_be_visible()

    row = page.get_by_role("row", name="grace@example.com")
    row.get_by_role("combobox").select_option("ADMIN")
    row.get_by_role("button", name="Change").click()
    expect(row.get_by_role("combobox")).to_have_value("ADMIN")
    guest.page.get_by_role("link", name="Runs").click()
    guest.page.get_by_role("link", name="Members").click()
    expect(guest.page.get_by_role("button", name="Add")).to_be_visible()
    assert guest.complaints == []
