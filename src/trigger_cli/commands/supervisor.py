"""``trigger supervisor``: execute the runs of deployments on this machine."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from trigger_cli.console import Console
from trigger_core import duration
from trigger_core.errors import ConfigError, ExitCode
from trigger_platform import log_lines
from trigger_supervisor import serving
from trigger_supervisor.serving import Ready
from trigger_supervisor.settings import SupervisorSettings

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def supervisor() -> None:
    """Execute the runs of deployments on this machine."""


@app.command()
def start(
    *,
    bundles: Annotated[
        Path,
        typer.Option(envvar="TRIGGER_BUNDLES", help="The folder of unpacked builds."),
    ] = Path("bundles"),
    api_url: Annotated[
        str, typer.Option(envvar="TRIGGER_API_URL", help="Where the platform is.")
    ] = "http://127.0.0.1:8030",
    token: Annotated[
        str,
        typer.Option(
            envvar="TRIGGER_WORKER_TOKEN",
            help="The token of a worker group, or file://… where it stands.",
        ),
    ] = "",
    managed_secret: Annotated[
        str | None,
        typer.Option(envvar="MANAGED_WORKER_SECRET", help="What the platform asks for besides."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(envvar="TRIGGER_WORKER_INSTANCE_NAME", help="This supervisor's name."),
    ] = None,
    host: Annotated[
        str, typer.Option(envvar="TRIGGER_WORKLOAD_API_HOST", help="Where runners are served.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="TRIGGER_WORKLOAD_API_PORT", help="0 picks a free one.")
    ] = 8020,
    domain: Annotated[
        str | None,
        typer.Option(envvar="TRIGGER_WORKLOAD_API_DOMAIN", help="How runners call this machine."),
    ] = None,
    max_runs: Annotated[int, typer.Option(min=1, help="How many runs at once.")] = 10,
    cpu: Annotated[
        float | None, typer.Option(help="Cores that runs may take; by default all there are.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(help="GiB that runs may take; by default all there is.")
    ] = None,
    keep_warm: Annotated[
        str,
        typer.Option(help="How long a runner waits for another run of its deployment; 0s: not."),
    ] = "60s",
    drain_grace: Annotated[
        str, typer.Option(help="How long runs may take to end when this is told to end.")
    ] = "60s",
    otlp_url: Annotated[
        str | None,
        typer.Option(
            envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
            help="Where runners send spans, if not to the platform.",
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print events as JSON.")] = False,
) -> int:
    """Take runs of deployments and execute them until told to end; what it logs goes to stderr."""
    settings = SupervisorSettings(
        api_url=api_url,
        token=_read(token),
        name=name or socket.gethostname(),
        managed_secret=_read(managed_secret) if managed_secret else None,
        bundles=bundles.resolve(),
        host=host,
        port=port,
        advertised_host=domain,
        max_runs=max_runs,
        cpu=cpu if cpu is not None else len(os.sched_getaffinity(0)),
        memory_gb=memory if memory is not None else _memory_gb(),
        keep_warm_s=duration.parse_ms(keep_warm) / 1000,
        drain_grace_s=duration.parse_ms(drain_grace) / 1000,
        otlp_url=otlp_url,
    )
    if not settings.bundles.is_dir():
        raise ConfigError(
            f"there is no folder {settings.bundles}",
            code="BUNDLES_MISSING",
            hint="name the folder of unpacked builds: --bundles, or TRIGGER_BUNDLES",
        )
    console = Console(json_output=json_output)
    log_lines.configure(as_json=json_output or not sys.stderr.isatty())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    serving.run(settings, lambda ready: _announce(console, settings, ready))
    return ExitCode.OK


def _announce(console: Console, settings: SupervisorSettings, ready: Ready) -> None:
    if console.json_output:
        console.data({"event": "ready", "group": ready.group, "url": ready.url})
        return
    console.text(f"{settings.name} takes runs for {ready.group}, and serves runners at {ready.url}")


def _read(secret: str) -> str:
    """Return a secret, from the file that is named in its place."""
    if not secret:
        raise ConfigError(
            "a supervisor needs the token of a worker group",
            code="WORKER_TOKEN_MISSING",
            hint="set TRIGGER_WORKER_TOKEN to what `trigger server create-worker-group` shows",
        )
    if not secret.startswith("file://"):
        return secret
    file = Path(secret.removeprefix("file://"))
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"the secret in {file} cannot be read",
            code="SECRET_UNREADABLE",
            because=error.strerror,
            at=str(file),
            hint="make the file readable for this user",
        ) from error


def _memory_gb() -> float:
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3)
