"""The guide to React: what it tells people to write, together, in a browser."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support import react
from support.browser import NEEDED, Tab, chromium
from support.dev import Dev, clean_env, write_project
from support.npm import VERSIONS

pytestmark = [
    NEEDED,
    pytest.mark.slow,
    pytest.mark.xdist_group("compat-browser"),
    pytest.mark.timeout(120),
]
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "react.md"
ADDRESS = "http://127.0.0.1:8030"


def _files() -> dict[str, str]:
    text = GUIDE.read_text(encoding="utf-8")
    found = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(found)


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """Run the guide's server; it finds the session by its folder."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "server:app", "--fd", str(listener.fileno())],
            cwd=folder,
            env=clean_env(),
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def test_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    """A story is told word by word, published from the page, and stands in the list with others."""
    files = _files()
    write_project(tmp_path, files.pop("tasks/story.py"))
    (tmp_path / "tasks" / "main.py").rename(tmp_path / "tasks" / "story.py")
    dev = Dev(tmp_path)
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        assert name != "src/main.tsx" or ADDRESS in text
        file.write_text(text.replace(ADDRESS, dev.session["apiUrl"]))
    dist = tmp_path / "dist"
    dist.mkdir()
    react.bundle(VERSIONS[-1], tmp_path / "src" / "main.tsx", dist, "index")

    with _serving(tmp_path) as address, chromium() as browser:
        tab = Tab(browser.new_context(), address, dev.session["apiUrl"])
        page = tab.page
        page.get_by_role("button", name="Tell me a story").click()
        expect(page.get_by_text("Once upon a time there was a fox.")).to_be_visible()
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_text("Published: Once upon a time there was a fox.")).to_be_visible()
        expect(page.get_by_text("a fox: COMPLETED")).to_be_visible()

        page.get_by_role("button", name="Another").click()
        expect(page.get_by_text("a bear: WAITING")).to_be_visible()
        assert tab.complaints == []
        page.get_by_role("button", name="Another").click()
        expect(page.get_by_role("alert")).to_have_text("this token has triggered its run already")
    assert dev.stop() == 0


def test_the_links_of_the_guide_lead_somewhere() -> None:
    """To files that are there."""
    links = re.findall(r"\]\(([^)#]+)", GUIDE.read_text(encoding="utf-8"))
    assert [link for link in links if not (GUIDE.parent / link).resolve().exists()] == []
