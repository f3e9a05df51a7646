"""The dev session: a supervisor of two processes and a watcher of files."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

from trigger_cli.console import Console
from trigger_cli.dev import env_files, watch
from trigger_cli.dev.child import Child, Message
from trigger_cli.dev.narrator import Narrator
from trigger_core.errors import ExitCode
from trigger_core.schemas.session import SESSION_FILE, DevSession
from trigger_sdk.config import Config

__all__ = ["DevSupervisor"]

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_STEADY_S = 10.0
_STOP_S = 5.0


class DevSupervisor:
    """Keeps a platform and a worker running for one project folder."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        port: int,
        console: Console,
        *,
        database: str | None = None,
    ) -> None:
        self._folder = folder
        self._project_ref = config.project
        self._env_files = config.env_files
        self._port = port
        self._database = database
        self._console = console
        self._narrator = Narrator(console)
        self._began = time.monotonic()
        self._platform: Child | None = None
        self._worker: Child | None = None
        self._ready: Message | None = None
        self._stop = asyncio.Event()
        self._answering = asyncio.Event()
        self._exit_code: int = ExitCode.OK
        self._interrupts = 0
        self._announced = False

    async def run(self) -> int:
        """Run until Ctrl-C or a failure that cannot be mended; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupt)
        keepers = [
            asyncio.create_task(self._keep_platform()),
            asyncio.create_task(self._keep_worker()),
            asyncio.create_task(self._watch()),
        ]
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        await self._end(keepers)
        return self._exit_code

    async def _end(self, keepers: list[asyncio.Task[None]]) -> None:
        self._stop.set()
        for keeper in keepers:
            keeper.cancel()
        outcomes = await asyncio.gather(*keepers, return_exceptions=True)
        (self._folder / SESSION_FILE).unlink(missing_ok=True)
        for child in (self._worker, self._platform):
            if child is not None:
                await child.stop(_STOP_S)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _interrupt(self) -> None:
        """End cleanly; asked a second time, end at once."""
        self._interrupts += 1
        self._stop.set()
        if self._interrupts > 1:
            for child in (self._worker, self._platform):
                if child is not None:
                    child.kill()
            (self._folder / SESSION_FILE).unlink(missing_ok=True)
            os._exit(ExitCode.INTERRUPTED)
        if not self._console.json_output:
            self._console.note(
                "ending; runs in progress go on with the next session (Ctrl-C again to kill)"
            )

    def _fail(self, error: Message) -> None:
        """Report an error that a restart would not mend, and end."""
        self._console.report(error)
        self._exit_code = ExitCode.USAGE if error["code"].startswith("CONFIG") else ExitCode.FAILED
        self._stop.set()

    async def _keep_platform(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            arguments = [
                "--data-dir",
                str(self._folder / ".trigger"),
                "--project",
                self._project_ref,
                "--port",
                str(self._port),
            ]
            if self._database is not None:
                arguments += ["--database", self._database]
            self._platform = Child(
                "trigger_platform", arguments, str(self._folder), self._hear_platform
            )
            began = time.monotonic()
            await self._platform.start()
            code = await self._platform.ended()
            self._answering.clear()
            if self._stop.is_set():
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else pause * 2
            self._narrator.notice(f"the platform ended (exit code {code}); starting it again")
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_S))

    def _hear_platform(self, event: Message) -> None:
        if event["event"] == "failed":
            if event["error"]["code"] == "PORT_IN_USE" and self._ready is not None:
                return  # its predecessor's port is not free yet: the next start finds it
            self._fail(event["error"])
            return
        self._ready = event
        self._port = int(event["url"].rsplit(":", 1)[1])
        self._narrator.dashboard_url = event["url"]
        self._write_session(event)
        self._answering.set()

    async def _keep_worker(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            worker = Child("trigger_worker", [], str(self._folder), self._hear_worker)
            began = time.monotonic()
            await worker.start()
            self._worker = worker  # only now: a save may come at any time, and is told to it
            await self._answering.wait()
            ready = self._ready
            assert ready is not None
            worker.tell(
                {
                    "cmd": "configure",
                    "apiUrl": ready["url"],
                    "secretKey": ready["secretKey"],
                    "projectRef": ready["projectRef"],
                }
            )
            self._load()
            code = await worker.ended()
            if self._stop.is_set():
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else pause * 2
            self._narrator.notice(f"the worker ended (exit code {code}); starting it again")
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_S))

    def _hear_worker(self, event: Message) -> None:
        match event["event"]:
            case "loaded":
                self._announce()
                self._narrator.loaded(event)
            case "load_failed":
                self._announce()
                self._narrator.load_failed(event)
            case "run_started" | "run_finished":
                self._narrator.run(event)
            case "notice":
                self._narrator.notice(event["message"])
            case "failed":
                self._console.report(event["error"])
            case _:
                pass  # `connected` needs no line

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._narrator.ready(time.monotonic() - self._began, self._project_ref)

    def _load(self) -> None:
        if self._worker is not None:
            self._worker.tell({"cmd": "load", "env": env_files.read(self._folder, self._env_files)})

    async def _watch(self) -> None:
        async for _ in watch.changes(self._folder, self._env_files, self._stop):
            if self._answering.is_set():
                self._load()

    def _write_session(self, ready: Message) -> None:
        """Write the session file whole and only for this user's eyes."""
        session = DevSession(
            api_url=ready["url"],
            secret_key=ready["secretKey"],
            access_token=ready["accessToken"],
            project_ref=ready["projectRef"],
            dashboard_url=ready["url"],
            pid=os.getpid(),
        )
        file = self._folder / SESSION_FILE
        draft = file.with_suffix(".tmp")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(session.to_wire(), out, indent=2)
        draft.replace(file)
