"""Every function of the engine that changes who may do what, as calls in which a process can die."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.crash import Case, once
from support.engine import Engine
from trigger_core.errors import ApiError, ConflictError, NotFoundError, UnprocessableError
from trigger_platform.engine import (
    access_token,
    additional_key,
    authorization_code,
    branch,
    environment,
    identity,
    invitation,
    login_attempt,
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

__all__ = ["CASES"]

LOCAL = "user_local"
HOME = "org_local"
BOB = "bob@example.com"
DORA = identity.Identity("https://idp.example", "dora", "dora@corp.example", None)


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
        return organization.add_member(u, home, BOB, Role.DEVELOPER, Role.OWNER).person.id

    return str(engine.call(work))


def _invited(engine: Engine) -> tuple[str, str]:
    """Carol has an account, and is invited by another organisation than hers."""
    carol = engine.call(user.create, "carol@example.com").id
    return carol, str(engine.call(invitation.create, HOME, carol, Role.DEVELOPER))


def _invite_again(engine: Engine, invited: tuple[str, str]) -> bool:
    engine.call(invitation.create, HOME, invited[0], Role.ADMIN)
    return True


def _join(engine: Engine, invited: tuple[str, str]) -> None:
    carol, token = invited
    engine.call(organization.join, token, carol)
    assert engine.call(organization.role_of, HOME, carol) is Role.DEVELOPER


def _tried(engine: Engine) -> None:
    engine.call(login_attempt.begin, "192.0.2.1", BOB)


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


def _archived(engine: Engine) -> str:
    name = _branched(engine)
    engine.call(branch.archive, engine.environment, name)
    return name


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
        bob = user.by_email(u, BOB)
        assert bob is not None
        environment.of_developer(u, found, bob.id)

    engine.call(work)
    return True


def _approved(engine: Engine) -> str:
    code = str(engine.call(authorization_code.create, "a terminal"))
    engine.call(authorization_code.approve, code, LOCAL)
    return code


def _logged_in(engine: Engine) -> str:
    return str(engine.call(login_session.begin, _with_bob(engine)))


def _come_from_provider(engine: Engine, _state: Any) -> str | None:
    """Log in with a provider: asked again, it is the same user, known by the subject."""
    known = identity.Identity("https://id.example.com", "7", BOB, "Bob")
    person = engine.call(identity.user_of, known, {"example.com"})
    assert engine.call(user.by_email, BOB).external_id == known.external_id
    return str(person.email)


def _become_admin(engine: Engine, session: str | None) -> None:
    bob = engine.call(user.become_admin, BOB, "hash").id
    found = engine.call(user.by_id, bob)
    role = engine.call(organization.role_of, HOME, bob)
    assert (found.is_admin, found.password_hash, role) == (1, "hash", Role.OWNER)
    assert session is None or engine.call(login_session.user_of, session) is None


def _set_password(engine: Engine, session: str) -> None:
    bob = engine.call(user.by_email, BOB).id
    engine.call(user.set_password, bob, "hash")
    assert engine.call(user.by_id, bob).password_hash == "hash"
    assert engine.call(login_session.user_of, session) is None


def _log_out(engine: Engine, session: str) -> None:
    engine.call(login_session.end, session)
    assert engine.call(login_session.user_of, session) is None


CASES = [
    Case("access_token.create", _called(access_token.create, "ci", LOCAL), is_repeated=False),
    Case(
        "access_token.create_for_organization",
        _called(access_token.create_for_organization, "ci", HOME, Role.ADMIN),
        is_repeated=False,
    ),
    Case("access_token.revoke", once(_revoke, NotFoundError, "TOKEN_NOT_FOUND"), _token),
    Case("access_token.used", lambda e, t: bool(e.call(access_token.used, t)), _token),
    Case(
        "additional_key.create",
        _in_environment(additional_key.create, "ci", ["read:runs"]),
        is_repeated=False,
    ),
    Case(
        "additional_key.revoke",
        once(
            lambda e, made: e.call(additional_key.revoke, e.environment, made.row.id),
            NotFoundError,
            "KEY_NOT_FOUND",
        ),
        _key,
    ),
    Case("additional_key.used", lambda e, made: bool(e.call(additional_key.used, made.key)), _key),
    Case(
        "authorization_code.create",
        _called(authorization_code.create, "a terminal"),
        is_repeated=False,
    ),
    Case(
        "authorization_code.approve",
        once(
            lambda e, code: e.call(authorization_code.approve, code, LOCAL),
            ConflictError,
            "CODE_APPROVED",
        ),
        lambda e: e.call(authorization_code.create, "a terminal"),
    ),
    Case(
        "authorization_code.redeem",
        once(lambda e, code: e.call(authorization_code.redeem, code), ApiError, "CODE_UNKNOWN"),
        _approved,
    ),
    Case("branch.put", _in_environment(branch.put, "b", {"commitSha": "1"})),
    Case(
        "branch.archive",
        once(_in_environment(branch.archive), ApiError, "BRANCH_ARCHIVED"),
        _branched,
    ),
    Case("branch.put of an archived one", _in_environment(branch.put, None), _archived),
    Case("environment.of_developer", _come_back, _leave),
    Case("environment.shared", _on_project(environment.shared, "prod"), _project),
    Case("environment.replace_key", _in_environment(environment.replace_key), is_repeated=False),
    Case("environment.revoke_public_tokens", _in_environment(environment.revoke_public_tokens)),
    Case("identity.user_of somebody new", _come_from_provider),
    Case("identity.user_of a member", _come_from_provider, _with_bob),
    Case("login_session.begin", _called(login_session.begin, LOCAL), is_repeated=False),
    Case("login_session.end", _log_out, lambda e: e.call(login_session.begin, LOCAL)),
    Case(
        "one_time.use",
        once(_called(one_time.use, "t", 2**40), UnprocessableError, "ONE_TIME_TOKEN_USED"),
    ),
    Case("organization.create", _called(organization.create, "Other", LOCAL), is_repeated=False),
    Case(
        "organization.add_member",
        once(lambda e, _: _with_bob(e), ConflictError, "MEMBER_EXISTS"),
    ),
    Case(
        "organization.set_role",
        _about_bob(organization.set_role, Role.ADMIN, Role.OWNER),
        _with_bob,
    ),
    Case(
        "organization.dismiss",
        once(_about_bob(organization.dismiss, Role.OWNER), NotFoundError, "MEMBER_NOT_FOUND"),
        _with_bob,
    ),
    Case("invitation.create", _invite_again, _invited, is_repeated=False),
    Case("organization.join", once(_join, NotFoundError, "LINK_UNKNOWN"), _invited),
    Case(
        "invitation.withdraw",
        lambda e, invited: e.call(invitation.withdraw, HOME, invited[0]) is not None,
        _invited,
    ),
    Case("login_session.renew", _called(login_session.renew, "", LOCAL), is_repeated=False),
    Case("login_attempt.begin", _called(login_attempt.begin, "192.0.2.1", BOB), is_repeated=False),
    Case("login_attempt.succeeded", _called(login_attempt.succeeded, "192.0.2.1", BOB), _tried),
    Case("project.create", _called(project.create, HOME, "other"), is_repeated=False),
    Case("project.rename", _on_project(project.rename, "other"), _project),
    Case("project.initialize", _on_project(project.initialize), _project),
    Case("project.delete", _on_project(project.delete), _project),
    Case("secret_key.seal_plain_ones", _called(secret_key.seal_plain_ones), _in_plain),
    Case("user.create", _called(user.create, "carol@example.com"), is_repeated=False),
    Case("user.become_admin", _become_admin),
    Case("user.become_admin of a member", _become_admin, _logged_in),
    Case("user.set_password", _set_password, _logged_in),
    Case("one_time.spend", _called(one_time.spend, "spent", 10**15)),
    Case("identity.user_of", _called(identity.user_of, DORA, ("corp.example",))),
    Case(
        "worker_group.rotate",
        _called(worker_group.rotate, "group"),
        lambda e: e.call(worker_group.create, "group").group.id,
        is_repeated=False,
    ),
    Case(
        "worker_group.delete",
        once(_called(worker_group.delete, "group"), NotFoundError, "WORKER_GROUP_NOT_FOUND"),
        lambda e: e.call(worker_group.create, "group").group.id,
    ),
    Case(
        "worker_group.create",
        once(_called(worker_group.create, "group"), ConflictError, "WORKER_GROUP_EXISTS"),
    ),
    Case(
        "worker_group.seen",
        lambda e, group: bool(e.call(worker_group.seen, group)),
        lambda e: e.call(worker_group.create, "group").group.id,
    ),
]
"""A call that hands out a secret makes another one each time; the others may be asked for again."""
