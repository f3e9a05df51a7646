"""Every function of the engine that changes who may do what, as calls in which a process can die."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.engine import Engine
from trigger_platform.engine import (
    access_token,
    additional_key,
    authorization_code,
    branch,
    environment,
    login_session,
    one_time,
    organization,
    project,
    secret_key,
    user,
    worker_group,
)
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import ProjectRow

__all__ = ["CALLS"]

LOCAL = "user_local"
HOME = "org_local"
Call = tuple[str, Callable[[Engine, Any], Any], Callable[[Engine], Any]]


def _nothing(_engine: Engine) -> None:
    return None


def _called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., bool]:
    """Call a function of the engine; what it made is different each time, so the answer is that it did."""

    def act(engine: Engine, _state: Any) -> bool:
        engine.call(function, *args, **kwargs)
        return True

    return act


def _project(engine: Engine) -> ProjectRow:
    return engine.call(  # type: ignore[no-any-return]
        lambda u: u.tx.one("project_by_id", ProjectRow, id=engine.environment.project_id)
    )


def _on_project(function: Callable[..., Any], *args: Any) -> Callable[..., bool]:
    def act(engine: Engine, state: Any) -> bool:
        engine.call(function, state, *args)
        return True

    return act


def _in_environment(function: Callable[..., Any], *args: Any) -> Callable[..., bool]:
    def act(engine: Engine, state: Any) -> bool:
        given = () if state is None else (state,)
        engine.call(function, engine.environment, *given, *args)
        return True

    return act


def _with_bob(engine: Engine) -> str:
    def work(u: Unit) -> str:
        home = organization.by_id(u, HOME)
        return organization.add_member(u, home, "bob@example.com", Role.DEVELOPER, Role.OWNER).id

    return str(engine.call(work))


def _about_bob(function: Callable[..., Any], *args: Any) -> Callable[..., bool]:
    def act(engine: Engine, bob: str) -> bool:
        engine.call(lambda u: function(u, organization.by_id(u, HOME), bob, *args))
        return True

    return act


def _token(engine: Engine) -> str:
    return str(engine.call(access_token.create, "ci", LOCAL).row.id)


def _revoke(engine: Engine, token_id: str) -> bool:
    engine.call(access_token.revoke, token_id, user_id=LOCAL)
    return True


def _key(engine: Engine) -> Any:
    return engine.call(additional_key.create, engine.environment, "ci", None)


def _branched(engine: Engine) -> str:
    engine.call(branch.put, engine.environment, "b", None)
    return "b"


def _in_plain(engine: Engine) -> None:
    engine.sql("update environment set secret_key_hash = 'tr_dev_plain', secret_key_sealed = null")


def _leave(engine: Engine) -> ProjectRow:
    bob = _with_bob(engine)
    found = _project(engine)
    engine.call(environment.of_developer, found, bob)
    engine.call(lambda u: organization.dismiss(u, organization.by_id(u, HOME), bob, Role.OWNER))
    return found


def _come_back(engine: Engine, found: ProjectRow) -> bool:
    def work(u: Unit) -> None:
        bob = user.by_email(u, "bob@example.com")
        assert bob is not None
        environment.of_developer(u, found, bob.id)

    engine.call(work)
    return True


def _asked(engine: Engine) -> str:
    return str(engine.call(authorization_code.create, "here"))


def _approve(engine: Engine, code: str) -> bool:
    engine.call(authorization_code.approve, code, LOCAL)
    return True


def _approved(engine: Engine) -> str:
    code = _asked(engine)
    _approve(engine, code)
    return code


CALLS: list[Call] = [
    ("access_token.create", _called(access_token.create, "ci", LOCAL), _nothing),
    (
        "access_token.create_for_organization",
        _called(access_token.create_for_organization, "ci", HOME, Role.ADMIN),
        _nothing,
    ),
    ("access_token.revoke", _revoke, _token),
    ("access_token.used", lambda e, t: bool(e.call(access_token.used, t)), _token),
    (
        "additional_key.create",
        _in_environment(additional_key.create, "ci", ["read:runs"]),
        _nothing,
    ),
    (
        "additional_key.revoke",
        lambda e, made: bool(e.call(additional_key.revoke, e.environment, made.row.id)),
        _key,
    ),
    ("additional_key.used", lambda e, made: bool(e.call(additional_key.used, made.key)), _key),
    ("branch.put", _in_environment(branch.put, "b", {"commitSha": "1"}), _nothing),
    ("branch.archive", _in_environment(branch.archive), _branched),
    ("environment.of_developer", _come_back, _leave),
    ("environment.shared", _on_project(environment.shared, "prod"), _project),
    ("environment.replace_key", _in_environment(environment.replace_key), _nothing),
    (
        "environment.revoke_public_tokens",
        _in_environment(environment.revoke_public_tokens),
        _nothing,
    ),
    ("one_time.use", _called(one_time.use, "t", 2**40), _nothing),
    ("organization.create", _called(organization.create, "Other", LOCAL), _nothing),
    ("organization.add_member", lambda e, _: bool(_with_bob(e)), _nothing),
    ("organization.set_role", _about_bob(organization.set_role, Role.ADMIN, Role.OWNER), _with_bob),
    ("organization.dismiss", _about_bob(organization.dismiss, Role.OWNER), _with_bob),
    ("project.create", _called(project.create, HOME, "other"), _nothing),
    ("project.rename", _on_project(project.rename, "other"), _project),
    ("project.initialize", _on_project(project.initialize), _project),
    ("project.delete", _on_project(project.delete), _project),
    ("secret_key.seal_plain_ones", _called(secret_key.seal_plain_ones), _in_plain),
    ("login_session.begin", _called(login_session.begin, LOCAL), _nothing),
    (
        "login_session.end",
        lambda e, token: e.call(login_session.end, token) is None,
        lambda e: e.call(login_session.begin, LOCAL),
    ),
    ("authorization_code.create", _called(authorization_code.create, "here"), _nothing),
    ("authorization_code.approve", _approve, _asked),
    (
        "authorization_code.redeem",
        lambda e, code: bool(e.call(authorization_code.redeem, code)),
        _approved,
    ),
    ("user.set_password", _called(user.set_password, LOCAL, "hash"), _nothing),
    ("user.become_admin", _called(user.become_admin, "chief@example.com", "hash"), _nothing),
    ("user.create", _called(user.create, "carol@example.com"), _nothing),
    ("worker_group.create", _called(worker_group.create, "group"), _nothing),
    (
        "worker_group.seen",
        lambda e, group: bool(e.call(worker_group.seen, group)),
        lambda e: e.call(worker_group.create, "group").group.id,
    ),
]
"""Name, call, and what makes what the call needs; each makes something new, so none is repeated."""
