"""Disclosure: who finds something knows where to say so, and when there is an answer."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_disclosure_says_how_to_report_and_when_there_is_an_answer() -> None:
    """Privately; within the times that others of this kind promise, or better."""
    text = (ROOT / "SECURITY.md").read_text()
    for words in ("Report a vulnerability", "three working days", "within 7 days", "within 30"):
        assert words in text.replace("\n", " "), words
    assert "latest release" in text
    assert "SECURITY.md" in (ROOT / "README.md").read_text()


def test_disclosure_names_no_address_that_nobody_reads() -> None:
    """No mailbox, no site and no key: the repository's host takes reports."""
    text = (ROOT / "SECURITY.md").read_text() + (ROOT / "docs" / "security.md").read_text()
    assert re.findall(r"\S+@\S+\.\w+|https?://\S+", text) == []
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "SECURITY.md").read_text()):
        assert (ROOT / target).exists(), target
