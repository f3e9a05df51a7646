"""What operations do to metadata."""

from __future__ import annotations

from typing import Any

import pytest

from trigger_core.errors import PayloadTooLargeError, UsageError
from trigger_core.metadata import MAX_BYTES, Operation, apply, checked


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        ({}, Operation("set", "a", 1), {"a": 1}),
        ({"a": 1}, Operation("set", "a", None), {"a": None}),
        ({}, Operation("set", "a.b", 1), {"a.b": 1}),
        ({}, Operation("set", "$.a.b", 1), {"a": {"b": 1}}),
        ({"a": 5}, Operation("set", "$.a.b", 1), {"a": {"b": 1}}),
        ({"a": [1, 2]}, Operation("set", "$.a[1]", 9), {"a": [1, 9]}),
        ({"a": [1, 2]}, Operation("set", "$.a.2", 9), {"a": [1, 2, 9]}),
        ({"a": [{"b": 1}]}, Operation("set", "$.a[0].b", 2), {"a": [{"b": 2}]}),
        ({}, Operation("set", '$["x.y"]', 1), {'$["x.y"]': 1}),
        ({}, Operation("set", '$.a["x.y"]', 1), {"a": {"x.y": 1}}),
        ({"a": 1, "b": 2}, Operation("delete", "a"), {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, Operation("delete", "$.a.b"), {"a": {"c": 2}}),
        ({"a": [1, 2]}, Operation("delete", "$.a[0]"), {"a": [2]}),
        ({"a": 1}, Operation("delete", "$.x.y"), {"a": 1}),
        ({}, Operation("append", "a", 1), {"a": [1]}),
        ({"a": [1]}, Operation("append", "a", [2]), {"a": [1, [2]]}),
        ({"a": 1}, Operation("append", "a", 2), {"a": [1, 2]}),
        ({"a": [1, True, 1]}, Operation("remove", "a", 1), {"a": [True]}),
        ({"a": [{"b": 1}]}, Operation("remove", "a", {"b": 1}), {"a": []}),
        ({"a": "text"}, Operation("remove", "a", "text"), {"a": "text"}),
        ({}, Operation("increment", "a", 2), {"a": 2}),
        ({"a": 1}, Operation("increment", "a", -0.5), {"a": 0.5}),
        ({"a": "text"}, Operation("increment", "a", 1), {"a": 1}),
        ({"a": {"n": 1}}, Operation("increment", "$.a.n", 1), {"a": {"n": 2}}),
        ({"a": 1}, Operation("update", value={"b": 2}), {"b": 2}),
    ],
)
def test_an_operation_changes_what_it_names(
    before: dict[str, Any], operation: Operation, after: dict[str, Any]
) -> None:
    """And leaves what it was given as it was."""
    original = repr(before)

    assert apply(before, [operation]) == after
    assert repr(before) == original


@pytest.mark.parametrize(
    "key",
    [
        "__proto__",
        "constructor",
        "prototype",
        "$.a.__proto__",
        "$.constructor.x",
        "$.",
        "$.a[",
        "$.a[x]",
    ],
)
def test_a_key_that_is_dangerous_or_no_path_is_refused(key: str) -> None:
    """Such names reach into the objects of JavaScript clients."""
    with pytest.raises(UsageError) as refused:
        apply({}, [Operation("set", key, 1)])

    assert refused.value.code == "INVALID_METADATA"


def test_a_place_beyond_the_end_of_a_list_is_refused() -> None:
    """Nobody wants a list of a billion nothings."""
    with pytest.raises(UsageError):
        apply({"a": []}, [Operation("set", "$.a[1000000000]", 1)])


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("increment", "a", "1"),
        ("increment", "a", True),
        ("increment", "a", float("inf")),
        ("update", "", [1]),
        ("set", "", 1),
    ],
)
def test_a_value_that_does_not_fit_is_refused(kind: Any, key: str, value: Any) -> None:
    """Before it is sent or applied."""
    with pytest.raises(ValueError, match=kind):
        Operation(kind, key, value)


def test_metadata_has_a_limit() -> None:
    """In bytes, not in letters."""
    checked({"a": "x" * (MAX_BYTES - 8)})
    with pytest.raises(PayloadTooLargeError) as refused:
        checked({"a": "ä" * (MAX_BYTES // 2)})

    assert (refused.value.code, refused.value.status) == ("METADATA_TOO_LARGE", 413)
