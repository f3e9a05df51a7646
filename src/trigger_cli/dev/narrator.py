"""Saying what happens, one readable line per event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trigger_cli.console import Console, style_of
from trigger_cli.dev.child import Message
from trigger_core import timetable
from trigger_core.clock import SystemClock, to_datetime
from trigger_core.duration import describe

__all__ = ["Narrator"]

_MARKS = {
    "completed": "✔",
    "failed": "✘",
    "canceled": "■",
    "retrying": "↻",
    "waiting": "…",
    "resumed": "▸",
    "started": "▸",
}


class Narrator:
    """Turns events of the session into lines on stdout, or into JSON lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.dashboard_url = ""
        self.version: str | None = None

    def ready(self, seconds: float, project_ref: str) -> None:
        """The platform answers and the first version is there, or waits for a fix."""
        self._say(
            f"ready in {seconds:.1f} s · dashboard {self.dashboard_url} · project {project_ref}",
            {"event": "ready", "dashboardUrl": self.dashboard_url, "projectRef": project_ref},
            "strong",
        )

    def loaded(self, event: Message) -> None:
        """A version was registered."""
        if event["unchanged"] and self.version == event["version"]:
            return
        self.version = event["version"]
        count = len(event["tasks"])
        tasks = "1 task" if count == 1 else f"{count} tasks"
        text = f"version {event['version']} ready in {event['durationMs']} ms · {tasks}"
        self._say(text, event, "cool")
        for task in event["tasks"]:
            if "schedule" in task and not self._console.json_output:
                self._console.text(f"         {task['id']} · {_when(task['schedule'])}")
        if count == 0:
            self.notice("there is no task in the configured folders yet; decorate one with @task")

    def load_failed(self, event: Message) -> None:
        """The saved code cannot be used."""
        if self._console.json_output:
            self._console.data(event)
            return
        self._console.report(event["error"])
        if self.version is not None:
            self._say(f"still serving {self.version}", {}, "warn")
        else:
            self._say("waiting for the file to be corrected", {}, "warn")

    def run(self, event: Message) -> None:
        """Something happened to a run."""
        outcome = "started" if event["event"] == "run_started" else event["outcome"]
        parts = [
            f"{_MARKS.get(outcome, '·')} {outcome:<9}",
            event["task"],
            event["version"],
            f"attempt {event['attempt']}",
            *_extras(event),
            f"{self.dashboard_url}/runs/{event['runId']}",
        ]
        self._say(" · ".join(parts), event, style_of(outcome))

    def notice(self, text: str) -> None:
        """Say something about the session itself."""
        self._say(text, {"event": "notice", "message": text}, "dim")

    def _say(self, text: str, event: dict[str, Any], style: str) -> None:
        if self._console.json_output:
            self._console.data(event)
            return
        clock = datetime.now().astimezone().strftime("%H:%M:%S")
        self._console.text(f"{clock} {self._console.paint(text, style)}")


def _extras(event: Message) -> list[str]:
    found = []
    if event.get("durationMs") is not None:
        found.append(describe(event["durationMs"]))
    if event.get("retryInMs") is not None:
        found.append(f"again in {describe(event['retryInMs'])}")
    if event.get("error"):
        found.append(event["error"])
    return found


def _when(schedule: Message) -> str:
    """Say when a scheduled task runs, and when next, on the clocks of its zone."""
    expression, zone = schedule["expression"], schedule["timezone"]
    table = timetable.read(expression, zone)
    following = table.next_after(SystemClock().now())
    words = f"{expression} {zone} · {table.describe()}"
    if following is None:
        return words
    moment = to_datetime(following).astimezone(timetable.zone(zone))
    return f"{words} · next {moment:%a %H:%M:%S}"
