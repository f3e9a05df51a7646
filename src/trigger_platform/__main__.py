"""The embedded platform's process, started by a dev session; it ends when its stdin does."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from trigger_core.errors import TriggerError
from trigger_platform import foreground, key_file
from trigger_platform.http.server import Server
from trigger_platform.settings import Settings, require_loopback, variable_of

__all__ = ["main"]


def main() -> None:
    """Serve, tell the session how to reach the server, and end with it."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    options = _options()
    try:
        settings = Settings(
            data_dir=options.data_dir,
            project_ref=options.project,
            host=options.host,
            port=options.port,
            database=options.database,
            drain_grace=0,
            login=False,
            encryption_key=os.environ.get(variable_of("encryption_key")) or None,
            key_file=options.data_dir / key_file.FILE,
        )
        require_loopback(settings)
        foreground.run(settings, _announce, _watch_stdin)
    except TriggerError as error:
        _say({"event": "failed", "error": error.report()})
        sys.exit(1)


def _watch_stdin(ended: asyncio.Event) -> None:
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _read_stdin, ended)


def _read_stdin(ended: asyncio.Event) -> None:
    """The session never writes; its end being closed means that it is gone."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()


def _announce(server: Server) -> None:
    _say(
        {
            "event": "ready",
            "url": server.url,
            "secretKey": server.secret_key_of(server.local.environment),
            "accessToken": server.local.access_token,
            "projectRef": server.local.project.ref,
        }
    )


def _say(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trigger_platform")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    # An address in the environment keeps its password out of the list of processes.
    parser.add_argument("--database", default=os.environ.get("TRIGGER_DATABASE_URL") or None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
