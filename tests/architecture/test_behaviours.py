"""The catalogue of behaviours is complete, its marks are right, and its page is up to date."""

from __future__ import annotations

import re

from support import behaviours
from support.behaviours import REASONS

ALL = behaviours.behaviours()
PROVED = {proof.number for proof in behaviours.proofs()}


def test_the_catalogue_has_every_item_once() -> None:
    """244 of them."""
    assert [one.number for one in ALL] == list(range(1, 245))


def test_every_item_is_a_sentence_of_its_own() -> None:
    """In words that fit into a table."""
    assert [one.number for one in ALL if not re.fullmatch(r"[A-Z][^|]+\.", one.promise)] == []
    assert len({one.promise for one in ALL}) == len(ALL)


def test_every_item_has_a_test_or_a_reason() -> None:
    """One reason at most, and none that a test contradicts."""
    bare = [one.number for one in ALL if one.number not in PROVED and one.reason is None]
    proved = [one.number for one in ALL if one.number in PROVED and one.is_without_tests]
    assert (bare, proved) == ([], [])
    assert [one.number for one in ALL if sum(bool(getattr(one, key)) for key in REASONS) > 1] == []


def test_marks_name_items_of_the_catalogue() -> None:
    """Every number exists."""
    assert {one.number for one in ALL} >= PROVED


def test_the_page_is_up_to_date() -> None:
    """Write it anew with ``make docs``."""
    assert behaviours.PAGE.read_text(encoding="utf-8") == behaviours.page()
