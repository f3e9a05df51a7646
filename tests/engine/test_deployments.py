"""Deployments: from the wish to build one until it serves runs, and what may not happen on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.errors import ConflictError, NotFoundError, UnprocessableError
from trigger_core.schemas.deployments import DeploymentError, DeploymentProgress, GitMeta
from trigger_platform.engine import deployment
from trigger_platform.store.rows import QueueRow

BROKEN = DeploymentError(name="E", message="m")


@pytest.fixture
def prod() -> Iterator[Engine]:
    """A production environment with nothing in it."""
    opened = open_engine()
    yield opened.in_production()
    opened.db.close()


def _act(engine: Engine, function: Any, deployment_id: str, *args: Any) -> Any:
    return engine.call(function, engine.environment, deployment_id, *args)


def _status(engine: Engine, deployment_id: str) -> str:
    return str(_act(engine, deployment.find, deployment_id).status)


def test_a_deployment_goes_its_way_until_it_is_current(prod: Engine) -> None:
    """Each step is seen."""
    begun = prod.begin_deployment()
    assert (begun.status, begun.version[-2:]) == ("PENDING", ".1")
    assert _act(prod, deployment.progress, begun.id, DeploymentProgress()).status == "INSTALLING"
    known = DeploymentProgress(git_meta=GitMeta(commit_sha="abc"))
    assert _act(prod, deployment.progress, begun.id, known).status == "BUILDING"
    worker = prod.index(begun.id, task())
    assert _status(prod, begun.id) == "DEPLOYING"
    assert prod.environment.current_worker_id is None

    done = prod.finalize(begun.id, image_digest="sha256:1")

    tag = f"registry.example.com/trigger/proj_abcdefghijklmnopqrst:{begun.version}.prod"
    assert (done.status, done.git) == ("DEPLOYED", '{"commitSha": "abc"}')
    assert done.image_reference == f"{tag}.{begun.short_code}@sha256:1"
    assert prod.environment.current_worker_id == worker
    assert prod.call(deployment.current, prod.environment).id == begun.id


def test_versions_are_numbered_by_day_and_environment_whoever_makes_them() -> None:
    """Registrations of a dev session and deployments share the numbers of their environment."""
    engine = open_engine()
    assert engine.register(task(), content_hash="a").endswith(".1")
    assert engine.begin_deployment().version.endswith(".2")
    assert engine.register(task(), content_hash="b").endswith(".3")
    assert engine.in_production().begin_deployment().version.endswith(".1")
    engine.clock.advance(86_400_000)
    assert engine.begin_deployment().version.endswith(".1")
    engine.db.close()


def test_a_deployment_that_was_never_indexed_cannot_serve(prod: Engine) -> None:
    """There is nothing to execute."""
    begun = prod.begin_deployment()

    with pytest.raises(ConflictError, match="cannot be finalized"):
        prod.finalize(begun.id)


def test_finalizing_and_indexing_again_change_nothing(prod: Engine) -> None:
    """Answers get lost."""
    begun = prod.begin_deployment()
    assert prod.index(begun.id, task()) == prod.index(begun.id, task())
    first = prod.finalize(begun.id)
    prod.clock.advance(5)

    assert prod.finalize(begun.id) == first


def test_a_deployment_is_indexed_with_one_code_only(prod: Engine) -> None:
    """It is immutable."""
    begun = prod.begin_deployment()
    prod.index(begun.id, task())

    with pytest.raises(ConflictError):
        prod.index(begun.id, task("other"), content_hash="v2")


@pytest.mark.parametrize("end", ["fail", "cancel", "time out"])
def test_a_deployment_that_ended_before_it_served_never_serves(prod: Engine, end: str) -> None:
    """And is not heard of again."""
    begun = prod.begin_deployment()
    if end == "fail":
        _act(prod, deployment.fail, begun.id, BROKEN)
    elif end == "cancel":
        _act(prod, deployment.cancel, begun.id, "no need")
    else:
        prod.advance(3_600_000)
    assert _status(prod, begun.id) == {
        "fail": "FAILED",
        "cancel": "CANCELED",
        "time out": "TIMED_OUT",
    }.get(end)

    with pytest.raises(ConflictError):
        prod.index(begun.id, task())
    with pytest.raises(ConflictError):
        _act(prod, deployment.progress, begun.id, DeploymentProgress())


def test_a_deployment_that_serves_does_not_time_out_or_fail(prod: Engine) -> None:
    """Its build is over."""
    begun = prod.begin_deployment()
    prod.index(begun.id, task())
    prod.finalize(begun.id)
    prod.advance(7_200_000)
    _act(prod, deployment.fail, begun.id, BROKEN)

    assert _status(prod, begun.id) == "DEPLOYED"
    with pytest.raises(ConflictError):
        _act(prod, deployment.cancel, begun.id)


def test_going_back_needs_to_be_allowed(prod: Engine) -> None:
    """A rollback is no accident."""
    old = prod.deploy(task())
    new = prod.deploy(task())
    with pytest.raises(ConflictError, match="is older than the current one") as refused:
        prod.promote(old)
    assert refused.value.status == 400

    prod.promote(old, allow_rollbacks=True)
    assert prod.call(deployment.current, prod.environment).version == old
    prod.promote(new)
    assert prod.call(deployment.current, prod.environment).version == new


def test_a_build_that_ends_late_does_not_replace_a_newer_one(prod: Engine) -> None:
    """It serves those who ask for it by name."""
    late = prod.begin_deployment()
    prod.index(late.id, task())
    new = prod.deploy(task())

    assert prod.finalize(late.id).status == "DEPLOYED"
    assert prod.call(deployment.current, prod.environment).version == new


def test_what_is_not_deployed_cannot_be_promoted(prod: Engine) -> None:
    """Nor what does not exist."""
    begun = prod.begin_deployment()

    with pytest.raises(ConflictError, match="cannot be promoted"):
        prod.promote(begun.version)
    with pytest.raises(NotFoundError):
        prod.promote("20200101.1")


def test_limits_of_a_version_count_once_it_is_current(prod: Engine) -> None:
    """Not while it is being built, and again when it comes back."""

    def limit() -> int | None:
        def read(u: Any) -> int | None:
            return {row.name: row.concurrency_limit for row in _queues(u, prod)}.get("task/task")

        return prod.call(read)  # type: ignore[no-any-return]

    old = prod.deploy(task(limit=5))
    prod.deploy(task(limit=1), promoted=False)
    assert limit() == 5
    prod.deploy(task(limit=2))
    assert limit() == 2
    prod.promote(old, allow_rollbacks=True)
    assert limit() == 5


def _queues(u: Any, engine: Engine) -> Any:
    names = '["task/task"]'
    return u.tx.all("queues_by_name", QueueRow, environment_id=engine.environment.id, names=names)


def test_what_is_deployed_under_an_external_id_is_not_built_again(prod: Engine) -> None:
    """Unless that is asked for."""
    prod.deploy(task(), external_id="sha-1")

    again = prod.initialize(external_id="sha-1")
    other = prod.initialize("v2", external_id="sha-1")
    forced = prod.initialize(external_id="sha-1", force=True)

    assert (again.is_existing, other.is_existing, forced.is_existing) == (True, False, False)


def test_two_builds_under_one_external_id_are_not_under_way_at_once(prod: Engine) -> None:
    """The second is refused; forced, it ends the first."""
    first = prod.begin_deployment(external_id="sha-1")
    with pytest.raises(ConflictError, match="being deployed already"):
        prod.initialize(external_id="sha-1")

    forced = prod.initialize(external_id="sha-1", force=True)

    assert [one.id for one in forced.canceled] == [first.id]
    assert _status(prod, first.id) == "CANCELED"
    assert _status(prod, forced.deployment.id) == "PENDING"
    with pytest.raises(UnprocessableError, match="forced"):
        prod.initialize(force=True)


def test_a_blank_external_id_is_none(prod: Engine) -> None:
    """As if it had not been given."""
    assert prod.begin_deployment(external_id="  ").external_id is None
