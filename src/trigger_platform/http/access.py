"""The permission matrix: which credentials a route takes, and what they must allow. It is the only one.

Every route names one row (``access=Access.RUN_READER``); there is no route without. What a row does not
list is refused. Where the path names a project (``{project_ref}``), tokens of users and organisations act in
it with the role they have there, and find no project they have none in; where it names an environment too
(``{env}``), they act in that one. An environment's key acts in its own, and finds no other in a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trigger_platform.engine.role import Role

__all__ = ["Access", "Credential", "Need", "Rule"]


class Credential(Enum):
    """What a caller shows."""

    ROOT_KEY = "an environment's secret key"
    PUBLIC_TOKEN = "a public token"  # noqa: S105 - a name
    USER_TOKEN = "a personal access token"  # noqa: S105
    ORGANIZATION_TOKEN = "an organisation's access token"  # noqa: S105
    METRICS_TOKEN = "the token for metrics; where none is set, nothing on this machine"  # noqa: S105
    BROWSER = "a browser on this machine (the guard checks Host and Origin)"


@dataclass(frozen=True, slots=True)
class Need:
    """What a credential with scopes must allow: an action on what a parameter of path or query names."""

    action: str
    type: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the matrix.

    Attributes:
        says: the rule in words.
        takes: the credentials that may get in; none for a route that is open to anybody.
        role: the least role of a user or an organisation's token, in the project that the path names.
        need: what the scopes of a credential that has some must allow.
    """

    says: str
    takes: frozenset[Credential] = frozenset()
    role: Role = Role.OWNER
    need: Need | None = None


_KEY = frozenset({Credential.ROOT_KEY})
_SCOPED = _KEY | {Credential.PUBLIC_TOKEN}
_PERSON = frozenset({Credential.USER_TOKEN})
_TOKEN = _PERSON | {Credential.ORGANIZATION_TOKEN}


class Access(Enum):
    """Which credentials a route takes."""

    OPEN = Rule("anybody")
    LOCAL = Rule("a browser on this machine", frozenset({Credential.BROWSER}))

    ENVIRONMENT = Rule("an environment's secret key", _KEY)
    RUN_READER = Rule("who may read the run", _SCOPED, need=Need("read", "runs", "run_id"))
    RUN_WRITER = Rule("who may write the run", _SCOPED, need=Need("write", "runs", "run_id"))
    TASK_TRIGGER = Rule(
        "who may trigger the task", _SCOPED, need=Need("trigger", "tasks", "task_id")
    )
    BATCH_READER = Rule("who may read the batch", _SCOPED, need=Need("read", "batch", "batch_id"))
    TAG_READER = Rule(
        "who may read runs, or one of the tags", _SCOPED, need=Need("read", "tags", "tags")
    )
    INPUT_SENDER = Rule(
        "who may write the run's input", _SCOPED, need=Need("write", "inputStreams", "run_id")
    )
    WAITPOINT_COMPLETER = Rule(
        "who may complete the token", _SCOPED, need=Need("write", "waitpoints", "token_id")
    )

    METRICS = Rule("who has the token for metrics", frozenset({Credential.METRICS_TOKEN}))

    USER = Rule("a user, or an organisation", _TOKEN)
    PROJECT_VIEWER = Rule("a member of the project", _TOKEN, Role.VIEWER)
    PROJECT_DEVELOPER = Rule("a developer of the project", _TOKEN, Role.DEVELOPER)
    PROJECT_ADMIN = Rule("an admin of the project", _TOKEN, Role.ADMIN)
    ENVIRONMENT_OR_VIEWER = Rule(
        "an environment's secret key, or a member of the project", _KEY | _TOKEN, Role.VIEWER
    )
    ENVIRONMENT_OR_USER = Rule(
        "an environment's secret key, or a developer of the project", _KEY | _TOKEN, Role.DEVELOPER
    )
    ENVIRONMENT_OR_ADMIN = Rule(
        "an environment's secret key, or an admin of the project", _KEY | _TOKEN, Role.ADMIN
    )
