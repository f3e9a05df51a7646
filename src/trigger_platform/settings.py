"""How a server is run: every setting with its meaning and its default.

A field with a description is a setting that people can give; ``docs/reference/settings.md`` is written from
these. Where values come from is the business of :mod:`trigger_platform.configuration`.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

from trigger_core import duration
from trigger_core.errors import InvalidDurationError, UsageError
from trigger_platform.engine.retention import Periods
from trigger_platform.store.opening import is_server

__all__ = [
    "LOOPBACK",
    "PREFIX",
    "Network",
    "Settings",
    "require",
    "require_loopback",
    "variable_of",
]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PREFIX = "TRIGGER_"

Network = IPv4Network | IPv6Network


def _milliseconds(value: Any) -> int:
    try:
        return 0 if value == 0 else duration.parse_ms(value)
    except InvalidDurationError as error:
        raise ValueError(error.what) from error


def _listed(value: Any) -> Any:
    """Take a list as it is, or a text with commas."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _networks(value: Any) -> Any:
    return [ip_network(part, strict=False) for part in _listed(value)]


def _origin(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("it must look like https://trigger.example.com")
    return f"{parts.scheme}://{parts.netloc}"


def _origins(value: Any) -> Any:
    return [one if one == "*" else str(_origin(str(one).lower())) for one in _listed(value)]


def _issuer(value: str | None) -> str | None:
    """Take the address of a provider as it is, because the provider signs just this text."""
    parts = urlsplit(value or "")
    is_right = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if value and (not is_right or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("it must look like https://accounts.example.com")
    return value


def _domains(value: Any) -> Any:
    return [str(part).lstrip("@").lower() for part in _listed(value)]


def _without_password(address: str | None) -> str | None:
    """Return an address of a database as it may be shown."""
    if address is None or not is_server(address):
        return address
    parts = urlsplit(address)
    if parts.password is None and not parts.query:
        return address
    place = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}:***@" if parts.username else ""
    return f"{parts.scheme}://{user}{place}{parts.path}"


_Period = Annotated[int, BeforeValidator(_milliseconds), PlainSerializer(duration.describe)]
_Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
_Networks = Annotated[
    tuple[Network, ...],
    BeforeValidator(_networks),
    PlainSerializer(lambda networks: [str(one) for one in networks]),
]


class Settings(BaseModel):
    """Settings of one server process.

    Attributes:
        data_dir: folder of the database of the embedded platform.
        login: whether the dashboard has to know who looks; under `trigger dev` it does not.
        durable: whether acknowledged writes survive a power cut, and not only a crash.
        key_file: where encryption keys stand when none are given; that of a SQLite file is beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Path()
    login: bool = True
    durable: bool = False
    key_file: Path | None = None

    database: Annotated[str | None, PlainSerializer(_without_password)] = Field(
        None, description="The path of a SQLite file, or `postgresql://user:password@host/name`."
    )
    project_ref: str = Field("", description="The project that is served, `proj_…`.")
    host: str = Field(
        "127.0.0.1",
        description="The address to listen on; `0.0.0.0` or `::` for all of this machine.",
    )
    port: int = Field(8030, ge=0, le=65535, description="The port; 0 picks a free one.")
    public_url: Annotated[str | None, BeforeValidator(_origin)] = Field(
        None,
        description="Where browsers, workers and clients reach the server, such as"
        " `https://trigger.example.com`. Requests that name another host are refused.",
    )
    allowed_hosts: _Texts = Field(
        (),
        description="More names by which requests may call this server, such as that of a container"
        " in its network. Names of this machine and the address itself are always right.",
    )
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(_origins)] = Field(
        ("*",),
        description="Origins of pages that may call this server with public tokens, such as"
        " `https://app.example.com`; `*` is any.",
    )
    trusted_proxies: _Networks = Field(
        (),
        description="Addresses or networks of proxies whose `X-Forwarded-For` and"
        " `X-Forwarded-Proto` are believed.",
    )
    outbound_allow: _Networks = Field(
        (),
        description="Networks that requests to addresses which others chose may reach though they are not"
        " public, such as that of an identity provider in your own network.",
    )
    encryption_key: SecretStr | None = Field(
        None,
        description="Encrypts secrets at rest: `openssl rand -base64 32`. Needed with PostgreSQL and on a"
        " public address; else a file `secret.key` is made. Several are written newest first, with commas.",
    )
    managed_worker_secret: SecretStr | None = Field(
        None,
        description="If given, supervisors must show it beside their token"
        " (`x-trigger-worker-managed-secret`).",
    )
    oidc_issuer: Annotated[str | None, BeforeValidator(_issuer)] = Field(
        None,
        description="An OpenID provider by which people may log in, written as it calls itself, such as"
        " `https://accounts.google.com`. It sends browsers back to `<public_url>/login/oidc/callback`.",
    )
    oidc_client_id: str | None = Field(None, description="Who this server is at the provider.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="What proves it to the provider; without one PKCE alone does."
    )
    oidc_allowed_domains: Annotated[tuple[str, ...], BeforeValidator(_domains)] = Field(
        (),
        description="Domains such as `example.com`: whoever has a verified address there becomes a user at"
        " the first login. Others log in once an admin has added them.",
    )
    deploy_registry: str = Field(
        "localhost:5000/trigger",
        description="The registry, and the folder in it, to which images of deployments are pushed.",
    )
    deploy_platform: str = Field("linux/amd64", description="What images of deployments run on.")
    metrics_token: SecretStr | None = Field(
        None,
        description="Who passes it may read `/metrics`. Without one a public server shows them to nobody.",
    )
    migrate: bool = Field(
        True,
        description="Whether starting brings the schema of the database up to date. If not, a server does"
        " not start on an older one: `trigger server migrate` is a step of its own then.",
    )
    keep_runs: _Period = Field(
        30 * 86_400_000, description="For how long runs are kept after their end."
    )
    keep_logs: _Period = Field(
        14 * 86_400_000, description="For how long lines that runs wrote are kept."
    )
    blob_dir: Path | None = Field(
        None,
        description="Folder of large payloads and outputs; by default `blobs` beside the SQLite file."
        " Processes on one PostgreSQL database need one folder that all of them see, or a bucket.",
    )
    blob_limit: int = Field(
        100 * 1024 * 1024,
        gt=0,
        description="The largest blob that is taken, in bytes. A larger one in a bucket is removed when it"
        " is asked for, or within hours.",
    )
    s3_bucket: str | None = Field(
        None,
        description="A bucket of an S3-compatible object store, instead of the folder. Clients and"
        " workers upload and download there directly.",
    )
    s3_endpoint: Annotated[str | None, BeforeValidator(_origin)] = Field(
        None,
        description="Where the object store is reached, such as `https://s3.eu-west-1.amazonaws.com`.",
    )
    s3_region: str = Field("us-east-1", description="The region of the bucket.")
    s3_access_key_id: str | None = Field(None, description="Who signs for the object store.")
    s3_secret_access_key: SecretStr | None = Field(
        None, description="The secret of the object store."
    )
    max_connections: int = Field(
        10_000, ge=1, description="How many connections there may be at once; more are refused."
    )
    header_timeout: _Period = Field(
        10_000, description="How long the headers of a request may take to arrive."
    )
    body_timeout: _Period = Field(
        300_000,
        description="How long the body of a request may send nothing, and nothing be taken of an answer.",
    )
    drain_delay: _Period = Field(
        0,
        description="For how long a server that is told to end still takes requests while `/readyz`"
        " says that it is ending: as long as your load balancer needs to notice.",
    )
    drain_grace: _Period = Field(
        20_000, description="How long requests under way may take once the server takes no more."
    )
    rate_limit: int | None = Field(
        None,
        ge=0,
        description="How many calls of the API one key may make at once; 0 is any number. By default"
        " 750 where others reach the server, any number on this machine alone.",
    )
    rate_refill: float = Field(
        25.0, gt=0, description="How many of those calls come back in a second."
    )
    deployment_rate_limit: int | None = Field(
        None,
        ge=0,
        description="How many calls one key or token may make at once to deploy, beside its other calls;"
        " 0 is any number. By default 1500 where others reach the server, any number on this machine"
        " alone.",
    )
    deployment_rate_refill: float = Field(
        50.0, gt=0, description="How many of those calls come back in a second."
    )
    public_rate_limit: int | None = Field(
        None,
        ge=0,
        description="How many calls one public token may make in a minute; 0 is any number."
        " By default 60 where others reach the server, any number on this machine alone.",
    )
    log_requests: bool = Field(
        False, description="Whether every request is logged; those that fail here always are."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="How log lines are written; `auto` is text on a terminal, else JSON."
    )

    @property
    def periods(self) -> Periods:
        """For how long what has ended is kept."""
        return Periods(runs_ms=self.keep_runs, logs_ms=self.keep_logs)

    @property
    def hosts(self) -> frozenset[str]:
        """Every name by which requests may call this server."""
        public = urlsplit(self.public_url or "").hostname
        return (
            LOOPBACK
            | {self.host.lower()}
            | {one.lower() for one in self.allowed_hosts}
            | ({public} if public else frozenset())
        )

    @property
    def is_public(self) -> bool:
        """Whether others than this machine can reach the server, directly or through a proxy."""
        return self.host not in LOOPBACK or not self.hosts - {self.host} <= LOOPBACK


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def require(settings: Settings, *names: str) -> None:
    """Refuse to go on without some settings.

    Raises:
        UsageError: one is missing.
    """
    for name in names:
        if not getattr(settings, name):
            option = "--" + name.removesuffix("_ref").replace("_", "-")
            raise UsageError(
                f"the setting {name} is missing",
                code="SETTING_MISSING",
                because=str(Settings.model_fields[name].description),
                hint=f"pass {option}, set {variable_of(name)}, or write it into the file of settings",
            )


def require_loopback(settings: Settings) -> None:
    """Refuse to be reachable from other machines: the embedded platform is for one person.

    Raises:
        UsageError: it would be.
    """
    if settings.is_public:
        raise UsageError(
            f"the embedded platform does not listen on {settings.host}",
            code="NOT_LOOPBACK",
            because="its dashboard has no login, it is for this machine only",
            hint="use 127.0.0.1, or `trigger server start` for a platform that others reach",
        )
