"""Every function of the engine that writes streams, as calls in which a process can die."""

from __future__ import annotations

from support.crash import Case
from support.engine import Engine
from trigger_core.schemas.workers import Assignment
from trigger_platform.engine import stream, token
from trigger_platform.engine.stream import Writer
from trigger_platform.engine.unit import Unit

__all__ = ["CASES"]

TERMINAL = Writer("terminal", 0)


def _started(engine: Engine) -> Assignment:
    return engine.started()


def _declare(engine: Engine, one: Assignment) -> str:
    declared = engine.call(stream.declare, engine.environment, one.run_id, "self", "out")
    return str(declared.execution_status)


def _append(engine: Engine, one: Assignment, writer: Writer | None = None) -> None:
    engine.call(
        stream.append, engine.environment, one.run_id, "out", ["1", "2", "3"], writer=writer
    )
    assert _values(engine, one, "out") == ["1", "2", "3"]


def _values(engine: Engine, one: Assignment, name: str) -> list[str]:
    return [row.data for row in engine.call(stream.page, one.run_id, name, 0, 100)]


def _sent_in_part(engine: Engine) -> Assignment:
    one = engine.started()
    engine.call(stream.append, engine.environment, one.run_id, "out", ["1", "2"], writer=TERMINAL)
    return one


def _await(engine: Engine, one: Assignment) -> str:
    """Return the status of a token that stands for the first value; asked again, it is the same token."""

    def work(u: Unit) -> str:
        made = token.create(u, engine.environment, key="k")
        if not made.is_cached:
            stream.await_input(
                u, engine.environment, one.run_id, "in", after=-1, token_id=made.token.id
            )
        return made.token.id

    token_id = engine.call(work)
    return str(engine.call(token.find, engine.environment, token_id).status)


def _send(engine: Engine, one: Assignment) -> None:
    engine.call(stream.send, engine.environment, one.run_id, "in", '"hello"')
    assert _values(engine, one, stream.input_name("in")) == ['"hello"']


def _waiting(engine: Engine) -> Assignment:
    one = engine.started()
    made: token.Made = engine.call(token.create, engine.environment)
    engine.call(
        stream.await_input,
        engine.environment,
        one.run_id,
        "in",
        after=-1,
        token_id=made.token.id,
    )
    engine.wait_for_token(one, made.token.id)
    return one


def _sent(engine: Engine) -> Assignment:
    one = engine.started()
    _send(engine, one)
    return one


CASES: list[Case] = [
    Case("stream.declare", _declare, _started),
    Case("stream.append", _append, _started, is_repeated=False),
    Case("stream.append of a numbering writer", lambda e, one: _append(e, one, TERMINAL), _started),
    Case(
        "stream.append of values that came in part",
        lambda e, one: _append(e, one, TERMINAL),
        _sent_in_part,
    ),
    Case("stream.await_input", _await, _started),
    Case("stream.await_input of what came already", _await, _sent),
    Case("stream.send", _send, _started, is_repeated=False),
    Case("stream.send to a run that waits", _send, _waiting, is_repeated=False),
]
