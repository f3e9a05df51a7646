"""The permission matrix: which credentials a route takes, and what they must allow. It is the only one.

Every route names one row (``access=Access.RUN_READER``); there is no route without. What a row does not
list is refused.

- Where the path names a project (``{project_ref}``) or an organisation (``{organization}``), tokens of
  users and organisations act in it with the role they have there, and find none they have no role in.
  Where it names an environment too (``{env}``), they act in that one: ``call.environment_id``.
- An environment's key acts in its own environment, and finds no other in a path.
- A browser acts for who is logged in, in the environment that was chosen. Under ``trigger dev`` nobody has to
  log in: the server is reached from this machine alone.
- A run's token speaks for the run ``{run_id}`` alone, while its attempt lasts, and for none of its relatives
  (``{target}``).
- The proof in an export address opens the routes below that address, and says whose telemetry they take.
- What has scopes (public tokens, restricted keys) gets in where the row has a ``need``, and only so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trigger_platform.engine.role import Role

__all__ = ["Access", "Credential", "Need", "Rule"]


class Credential(Enum):
    """What a caller shows."""

    KEY = "an environment's secret key"
    PUBLIC_TOKEN = "a public token"  # noqa: S105 - a name
    RUN_TOKEN = "the token of a run's attempt"  # noqa: S105
    USER_TOKEN = "a personal access token"  # noqa: S105
    ORGANIZATION_TOKEN = "an organisation's access token"  # noqa: S105
    WORKER_TOKEN = "a worker group's token"  # noqa: S105
    EXPORT_PROOF = "the proof in the address at which a run exports"
    METRICS_TOKEN = "the token for metrics; where none is set, nothing on this machine"  # noqa: S105
    BROWSER = "a browser"


@dataclass(frozen=True, slots=True)
class Need:
    """What a credential with scopes must allow: an action on things of a type.

    Attributes:
        action: what is done.
        type: to what.
        parameter: what names the thing, in the path or the query; without it it is the whole collection.
        is_narrowed: whether the query narrows it to tasks or tags, which a scope may name instead.
        is_packet: whether the parameter names a packet, for which a run that has it will do.
    """

    action: str
    type: str
    parameter: str | None = None
    is_narrowed: bool = False
    is_packet: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the matrix.

    Attributes:
        says: who gets in, in words.
        takes: the credentials that may get in; none for a route that is open to anybody.
        role: the least role of a user or an organisation's token in what the path names.
        own_role: the least role where that is the user's own environment of development, if it is another.
        need: what the scopes of a credential that has some must allow; without it none gets in.
        is_asked_later: whether the handler asks for what a credential needs, because the body says it.
        is_admins: whether the user must be an admin of this server.
    """

    says: str
    takes: frozenset[Credential] = frozenset()
    role: Role = Role.OWNER
    own_role: Role | None = None
    need: Need | None = None
    is_asked_later: bool = False
    is_admins: bool = False

    def least_role(self, word: str | None) -> Role:
        """Return the least role in a project, and in the environment of it that a path names."""
        return self.role if self.own_role is None or word != "dev" else self.own_role


_KEY = frozenset({Credential.KEY})
_SCOPED = _KEY | {Credential.PUBLIC_TOKEN}
_ITSELF = frozenset({Credential.RUN_TOKEN})
_PERSON = frozenset({Credential.USER_TOKEN})
_TOKEN = _PERSON | {Credential.ORGANIZATION_TOKEN}
_BROWSER = frozenset({Credential.BROWSER})


class Access(Enum):
    """Who may call a route."""

    OPEN = Rule("anybody")
    DASHBOARD_USER = Rule("who is logged in", _BROWSER)
    DASHBOARD_READER = Rule("a member who is logged in", _BROWSER, Role.VIEWER)
    DASHBOARD_WRITER = Rule("a developer who is logged in", _BROWSER, Role.DEVELOPER)
    DASHBOARD_ADMIN = Rule("an admin who is logged in", _BROWSER, Role.ADMIN)
    DASHBOARD_KEY_REPLACER = Rule(
        "an admin who is logged in, or a developer whose own environment it is",
        _BROWSER,
        Role.ADMIN,
        own_role=Role.DEVELOPER,
    )

    ENVIRONMENT = Rule("an environment's secret key", _KEY)
    RUN_READER = Rule(
        "who may read the run, or the run itself",
        _SCOPED | _ITSELF,
        need=Need("read", "runs", "run_id"),
    )
    RUN_WRITER = Rule("who may write the run", _SCOPED, need=Need("write", "runs", "run_id"))
    RUNS_READER = Rule("who may read runs", _SCOPED, need=Need("read", "runs", is_narrowed=True))
    TASK_TRIGGER = Rule(
        "who may trigger the task", _SCOPED, need=Need("trigger", "tasks", "task_id")
    )
    RUN_EDITOR = Rule("a key that may write the run", _KEY, need=Need("write", "runs", "run_id"))
    RUN_CHANGER = Rule(
        "a key that may write the run, or the run itself",
        _KEY | _ITSELF,
        need=Need("write", "runs", "run_id"),
    )
    RUN_WAITER = Rule("an environment's secret key, or the run itself", _KEY | _ITSELF)
    STREAM_READER = Rule(
        "a key that may read all runs, or the run itself", _KEY | _ITSELF, need=Need("read", "runs")
    )
    STREAM_WRITER = Rule(
        "a key that may write all runs, or the run itself",
        _KEY | _ITSELF,
        need=Need("write", "runs"),
    )
    ALL_RUNS_READER = Rule("a key that may read all runs", _KEY, need=Need("read", "runs"))
    ALL_RUNS_EDITOR = Rule("a key that may write all runs", _KEY, need=Need("write", "runs"))
    PACKET_READER = Rule(
        "who may read a run that has the packet",
        _SCOPED,
        need=Need("read", "runs", "name", is_packet=True),
    )
    KEY_RESETTER = Rule("who may write all runs", _SCOPED, need=Need("write", "runs"))
    PAYLOAD_WRITER = Rule("a key that may trigger all tasks", _KEY, need=Need("trigger", "tasks"))
    INPUT_READER = Rule(
        "a key that may read the run's input, or the run itself",
        _KEY | _ITSELF,
        need=Need("read", "inputStreams", "run_id"),
    )
    SCHEDULE_READER = Rule("who may read schedules", _KEY, need=Need("read", "schedules"))
    SCHEDULE_WRITER = Rule("who may change schedules", _KEY, need=Need("write", "schedules"))
    BATCH_TRIGGER = Rule(
        "who may trigger batches of the tasks",
        _SCOPED,
        need=Need("batchTrigger", "tasks"),
        is_asked_later=True,
    )
    BATCH_READER = Rule("who may read the batch", _SCOPED, need=Need("read", "batch", "batch_id"))
    TAG_READER = Rule(
        "who may read runs, or one of the tags", _SCOPED, need=Need("read", "tags", "tags")
    )
    INPUT_SENDER = Rule(
        "who may write the run's input, or the run itself",
        _SCOPED | _ITSELF,
        need=Need("write", "inputStreams", "run_id"),
    )
    WAITPOINT_COMPLETER = Rule(
        "who may complete the token", _SCOPED, need=Need("write", "waitpoints", "token_id")
    )
    WAITPOINT_READER = Rule("who may read waitpoints", _KEY, need=Need("read", "waitpoints"))
    WAITPOINT_WRITER = Rule("who may make waitpoints", _KEY, need=Need("write", "waitpoints"))
    QUEUE_READER = Rule("who may read queues", _KEY, need=Need("read", "queues"))
    QUEUE_WRITER = Rule("who may change queues", _KEY, need=Need("write", "queues"))
    DEPLOYMENT_READER = Rule("who may read deployments", _KEY, need=Need("read", "deployments"))
    DEPLOYMENT_WRITER = Rule("who may deploy", _KEY, need=Need("write", "deployments"))
    VARIABLE_LOADER = Rule(
        "a key that may read environment variables", _KEY, need=Need("read", "envvars")
    )
    VARIABLE_READER = Rule(
        "a key that may read environment variables, or a developer",
        _KEY | _TOKEN,
        Role.DEVELOPER,
        need=Need("read", "envvars"),
    )
    VARIABLE_WRITER = Rule(
        "a key that may write environment variables, or a developer",
        _KEY | _TOKEN,
        Role.DEVELOPER,
        need=Need("write", "envvars"),
    )
    TOKEN_MINTER = Rule("an environment's secret key, within its scopes", _KEY, is_asked_later=True)

    EXPORTER = Rule(
        "code of a deployed run, at the address it was given", frozenset({Credential.EXPORT_PROOF})
    )
    METRICS = Rule("who has the token for metrics", frozenset({Credential.METRICS_TOKEN}))

    USER = Rule("a user, or an organisation", _TOKEN)
    PERSON = Rule("a user", _PERSON)
    SERVER_ADMIN = Rule("a user who is an admin of this server", _PERSON, is_admins=True)
    ORGANIZATION_VIEWER = Rule("a member of the organisation", _TOKEN, Role.VIEWER)
    ORGANIZATION_DEVELOPER = Rule("a developer of the organisation", _TOKEN, Role.DEVELOPER)
    ORGANIZATION_ADMIN = Rule("an admin of the organisation", _TOKEN, Role.ADMIN)
    PROJECT_VIEWER = Rule("a member of the project's organisation", _TOKEN, Role.VIEWER)
    PROJECT_DEVELOPER = Rule("a developer of the project's organisation", _TOKEN, Role.DEVELOPER)
    PROJECT_ADMIN = Rule("an admin of the project's organisation", _TOKEN, Role.ADMIN)
    KEY_REPLACER = Rule(
        "an admin of the project's organisation, or a developer whose own environment it is",
        _TOKEN,
        Role.ADMIN,
        own_role=Role.DEVELOPER,
    )
    ENVIRONMENT_OR_VIEWER = Rule(
        "an environment's secret key, or a member", _KEY | _TOKEN, Role.VIEWER
    )
    ENVIRONMENT_OR_USER = Rule(
        "an environment's secret key, or a developer", _KEY | _TOKEN, Role.DEVELOPER
    )
    ENVIRONMENT_OR_ADMIN = Rule(
        "an environment's secret key, or an admin", _KEY | _TOKEN, Role.ADMIN
    )
    WORKER_GROUP = Rule("a worker group", frozenset({Credential.WORKER_TOKEN}))
