"""Metadata and tags of runs, changed from inside and outside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.engine import Engine
from trigger_core.errors import NotFoundError, PayloadTooLargeError, UnprocessableError, UsageError
from trigger_core.metadata import Operation
from trigger_core.schemas.metadata import MetadataFlush, MetadataUpdate
from trigger_core.schemas.workers import Assignment, Succeeded
from trigger_platform.engine import metadata, tags


def _update(engine: Engine, run_id: str, **change: Any) -> dict[str, Any]:
    request = MetadataUpdate(**change)
    after: dict[str, Any] = engine.call(metadata.update, engine.environment, run_id, request)
    return after


def _of(engine: Engine, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.call(metadata.read, engine.environment, run_id)
    return found


def _family(engine: Engine) -> tuple[str, str, str]:
    """Root, parent and child."""
    root = engine.trigger(metadata={"who": "root"})
    parent = engine.trigger(parent_run_id=root)
    return root, parent, engine.trigger(parent_run_id=parent)


def _flush(assignment: Assignment, number: int = 1, **change: Any) -> MetadataFlush:
    return MetadataFlush(run_id=assignment.run_id, lease=assignment.lease, number=number, **change)


def test_operations_change_the_metadata_in_order(engine: Engine) -> None:
    """And count the change."""
    run_id = engine.trigger(metadata={"n": 1})
    steps = [Operation("increment", "n", 2), Operation("append", "log", "a")]

    assert _update(engine, run_id, operations=steps) == {"n": 3, "log": ["a"]}
    assert _of(engine, run_id) == {"n": 3, "log": ["a"]}
    assert engine.run(run_id).metadata_version == 1
    assert json.loads(engine.run(run_id).seed_metadata or "") == {"n": 1}


def test_a_whole_object_replaces_what_was_there(engine: Engine) -> None:
    """Operations of the same request follow it."""
    run_id = engine.trigger(metadata={"old": 1})
    after = _update(engine, run_id, metadata={"a": 1}, operations=[Operation("set", "b", 2)])

    assert after == {"a": 1, "b": 2}


def test_a_run_without_metadata_has_an_empty_object(engine: Engine) -> None:
    """Clients expect one."""
    assert _of(engine, engine.trigger()) == {}


def test_a_change_reaches_parent_and_root(engine: Engine) -> None:
    """All in one transaction."""
    root, parent, child = _family(engine)
    _update(
        engine,
        child,
        operations=[Operation("set", "who", "child")],
        parent_operations=[Operation("set", "who", "parent")],
        root_operations=[Operation("increment", "done", 1)],
    )

    assert _of(engine, child) == {"who": "child"}
    assert _of(engine, parent) == {"who": "parent"}
    assert _of(engine, root) == {"who": "root", "done": 1}


def test_the_root_may_be_the_parent(engine: Engine) -> None:
    """Both kinds of operation reach it."""
    root = engine.trigger()
    child = engine.trigger(parent_run_id=root)
    _update(
        engine,
        child,
        parent_operations=[Operation("increment", "n", 1)],
        root_operations=[Operation("increment", "n", 1)],
    )

    assert _of(engine, root) == {"n": 2}


def test_on_a_root_run_they_apply_to_itself(engine: Engine) -> None:
    """As in the original."""
    run_id = engine.trigger()
    _update(
        engine,
        run_id,
        parent_operations=[Operation("set", "a", 1)],
        root_operations=[Operation("set", "b", 2)],
    )

    assert _of(engine, run_id) == {"a": 1, "b": 2}


def test_a_refused_change_leaves_all_of_them_as_they_were(engine: Engine) -> None:
    """Even those it could have made."""
    root, _, child = _family(engine)
    with pytest.raises(UsageError):
        _update(
            engine,
            child,
            operations=[Operation("set", "a", 1)],
            root_operations=[Operation("set", "__proto__", 1)],
        )
    with pytest.raises(PayloadTooLargeError):
        _update(engine, root, operations=[Operation("set", "a", "x" * 300_000)])

    assert (_of(engine, child), _of(engine, root)) == ({}, {"who": "root"})


def test_metadata_of_a_trigger_has_the_same_limit(engine: Engine) -> None:
    """The run is not made."""
    with pytest.raises(PayloadTooLargeError):
        engine.trigger(metadata={"a": "x" * 300_000})


def test_an_unknown_run_has_none(engine: Engine) -> None:
    """Neither to read nor to write."""
    with pytest.raises(NotFoundError):
        _of(engine, "run_x")
    with pytest.raises(NotFoundError):
        _update(engine, "run_x")


def test_a_worker_flushes_what_the_code_did(engine: Engine) -> None:
    """Together with the completion, or before."""
    root = engine.trigger()
    [outer] = engine.claim()
    run_id = engine.trigger(parent_run_id=root)
    [assignment] = engine.claim()
    change = {
        "operations": [Operation("set", "a", 1)],
        "root_operations": [Operation("increment", "n", 1)],
    }
    engine.report(
        metadata=[_flush(assignment, **change)],
        completions=[Succeeded(run_id=run_id, lease=assignment.lease)],
    )

    assert (_of(engine, run_id), _of(engine, root)) == ({"a": 1}, {"n": 1})
    assert engine.run(run_id).status == "COMPLETED_SUCCESSFULLY"
    assert engine.run(outer.run_id).status == "DEQUEUED"


def test_a_worker_that_lost_the_run_changes_nothing(engine: Engine) -> None:
    """Its lease is stale."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    stale = MetadataFlush(
        run_id=run_id, lease=assignment.lease + 1, number=1, operations=[Operation("set", "a", 1)]
    )
    engine.report(metadata=[stale])

    assert _of(engine, run_id) == {}


def test_a_flush_that_comes_twice_is_applied_once(engine: Engine) -> None:
    """The answer to the first may have been lost; both are answered."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    flush = _flush(assignment, operations=[Operation("increment", "n", 1)], refs=["w1"])
    answers = [engine.report(metadata=[flush]).metadata for _ in range(2)]

    assert _of(engine, run_id) == {"n": 1}
    assert [[one.refs for one in answer] for answer in answers] == [[["w1"]], [["w1"]]]
    engine.report(metadata=[_flush(assignment, 2, operations=flush.operations)])
    assert _of(engine, run_id) == {"n": 2}


def test_who_waits_for_a_flush_hears_that_it_was_refused(engine: Engine) -> None:
    """With the code of the refusal."""
    engine.trigger()
    [assignment] = engine.claim()
    bad = _flush(assignment, operations=[Operation("set", "__proto__", 1)], refs=["w1"])
    [answer] = engine.report(metadata=[bad]).metadata

    assert answer.error is not None
    assert answer.error.code == "INVALID_METADATA"


@pytest.mark.behaviour(141)
def test_invalid_metadata_does_not_spoil_a_completion(engine: Engine) -> None:
    """It leaves a line in the log (behaviour 141)."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    bad = _flush(assignment, operations=[Operation("set", "__proto__", 1)])
    engine.report(metadata=[bad], completions=[Succeeded(run_id=run_id, lease=assignment.lease)])

    assert engine.run(run_id).status == "COMPLETED_SUCCESSFULLY"
    assert engine.log(run_id) == [
        "WARNING The metadata was not changed: '__proto__' cannot be a key of metadata"
    ]


def test_metadata_and_tags_are_not_inherited(engine: Engine) -> None:
    """A child has its own."""
    parent = engine.trigger(metadata={"a": 1}, tags=["a"])
    child = engine.run(engine.trigger(parent_run_id=parent))

    assert (child.metadata, child.tags) == (None, None)


def test_tags_are_added_once(engine: Engine) -> None:
    """Blank ones are dropped; what is new is told."""
    run_id = engine.trigger(tags=["a"])

    assert engine.call(tags.add, engine.environment, run_id, ["b", "a", " ", "b"]) == ["b"]
    assert engine.call(tags.add, engine.environment, run_id, ["b"]) == []
    assert engine.run(run_id).tags == '["a", "b"]'


@pytest.mark.behaviour(10)
def test_a_run_has_ten_tags_at_most(engine: Engine) -> None:
    """Too many add none (behaviour 10)."""
    run_id = engine.trigger(tags=[str(n) for n in range(9)])
    with pytest.raises(UnprocessableError) as refused:
        engine.call(tags.add, engine.environment, run_id, ["x", "y"])

    assert refused.value.code == "TOO_MANY_TAGS"
    assert len(json.loads(engine.run(run_id).tags or "")) == 9
