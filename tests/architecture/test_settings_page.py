"""The page of settings says what the code says."""

from __future__ import annotations

from support.settings_page import PAGE, page


def test_the_page_of_settings_is_up_to_date() -> None:
    """``make docs`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()
