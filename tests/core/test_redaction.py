"""Secrets are found in texts by their values, whole or cut in two."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_core.redaction import MASK, Hidden, Redactor

SECRET = 'sk_live_"ä/51H\\x'
VALUES = st.text("abcdefgh", min_size=6, max_size=40)


@pytest.mark.parametrize(
    "spelled",
    [SECRET, json.dumps(SECRET), json.dumps({"k": SECRET}), repr(SECRET), quote(SECRET, safe="")],
)
def test_a_value_is_found_however_it_is_spelled(spelled: str) -> None:
    """As JSON, Python and URLs write it."""
    told = Redactor([SECRET]).line(f"before {spelled} after")

    assert "51H" not in told
    assert told.startswith("before ")
    assert told.endswith(" after")


@given(value=VALUES, before=st.text("0123 "), after=st.text("0123 "), data=st.data())
def test_of_a_value_that_was_cut_in_two_no_six_characters_are_told(
    value: str, before: str, after: str, data: st.DataObject
) -> None:
    """Wherever it was cut."""
    at = data.draw(st.integers(0, len(value)))
    hide = Redactor([value])
    lines = [hide.line(before + value[:at]), hide.line(value[at:] + after)]
    told = "\n".join(lines).replace(MASK, "*")

    assert not any(value[i : i + 6] in told for i in range(len(value) - 5))
    assert lines[0].startswith(before)
    assert lines[1].endswith(after)


def test_a_piece_from_the_middle_is_hidden_when_it_is_the_line() -> None:
    """Of a value in three lines."""
    hide = Redactor(["abcdef-ghijkl-mnopqr"])

    assert hide.line(" ghijkl\t") == MASK
    assert hide.line("ghijkl and more") == "ghijkl and more"


def test_every_line_of_a_value_with_several_is_hidden() -> None:
    """As of a private key."""
    value = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
    hide = Redactor([value])

    assert [hide.line(line) for line in value.splitlines()] == [MASK] * 4
    assert hide.line("x MIIEvQIBADANBg y") == f"x {MASK} y"


def test_short_values_are_left_alone() -> None:
    """They would be found everywhere."""
    hide = Redactor(["12345", ""])

    assert not hide
    assert hide.line("12345") == "12345"


def test_of_two_values_the_longer_is_hidden_whole() -> None:
    """Though the other is a part of it."""
    assert Redactor(["secret", "secret-and-more"]).text("secret-and-more") == MASK


def test_data_stays_data() -> None:
    """Keys, numbers and what is nested are looked at; JSON stays JSON."""
    hide = Redactor(["hunter2hunter2", "123456"])
    data = {"hunter2hunter2": [1, True, None, {"n": 123456, "t": "x hunter2hunter2"}]}
    hidden = {MASK: [1, True, None, {"n": MASK, "t": f"x {MASK}"}]}

    assert hide.data(data) == hidden
    assert json.loads(hide.json(json.dumps(data))) == hidden
    assert hide.json('{"a":  1}') == '{"a":  1}'


def test_keys_and_tokens_of_the_platform_are_known_by_their_form() -> None:
    """Without being told of each."""
    hidden = Hidden()
    key = "tr_dev_" + "aB3" * 8

    assert hidden.text(f"Bearer {key}, tr_dev_short") == f"Bearer {MASK}, tr_dev_short"
    assert hidden.text("hunter2hunter2") == "hunter2hunter2"
    hidden.add("hunter2hunter2")
    assert hidden.text("hunter2hunter2") == MASK
