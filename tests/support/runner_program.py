"""A runner that speaks to its supervisor (protocol F.2) and does what its run's payload says.

It is started by supervisors, in a process of its own, and imports nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ENV = os.environ
BASE = "{TRIGGER_SUPERVISOR_API_PROTOCOL}://{TRIGGER_SUPERVISOR_API_DOMAIN}:{TRIGGER_SUPERVISOR_API_PORT}"
ACTIONS = "/api/v1/workload-actions"
RUN = [ENV.get("TRIGGER_RUN_ID", "")]


def call(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> list[Any]:
    """Ask the supervisor; return the status and the text of its answer."""
    said = {
        "x-trigger-workload-deployment-id": ENV["TRIGGER_DEPLOYMENT_ID"],
        "x-trigger-workload-runner-id": ENV["TRIGGER_RUNNER_ID"],
        "content-type": "application/json",
    }
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - the address is the supervisor's
        BASE.format(**ENV) + path,
        data=None if body is None else data,
        headers=said | (headers or {}),
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]


def snapshot_path(snapshot: str, action: str) -> str:
    """Return the path of something done under a snapshot."""
    return f"{ACTIONS}/runs/{RUN[0]}/snapshots/{snapshot}/{action}"


def complete(snapshot: str, **how: Any) -> list[Any]:
    """End the attempt."""
    completion = {"id": RUN[0], "usage": {"durationMs": 0}} | how
    return call("POST", snapshot_path(snapshot, "attempts/complete"), {"completion": completion})


def succeed(snapshot: str, output: Any) -> None:
    """End the attempt well."""
    complete(snapshot, ok=True, output=json.dumps(output), outputType="application/json")


def main() -> None:
    """Execute the run it was started for, then those that it is given, until there are no more."""
    execute(ENV["TRIGGER_SNAPSHOT_ID"])
    if "TRIGGER_WARM_START_URL" not in ENV:
        return
    token = {"x-trigger-deployment-id": ENV["TRIGGER_DEPLOYMENT_ID"]}
    while (answer := call("GET", "/warm-start", None, token))[0] == 200:
        message = json.loads(answer[1])
        RUN[:] = [message["run"]["friendlyId"]]
        if "deaf" not in ENV:
            execute(message["snapshot"]["friendlyId"])


def execute(snapshot: str) -> None:
    """Begin the attempt, and do what is wanted."""
    status, text = call("POST", snapshot_path(snapshot, "attempts/start"), {})
    if status != 200:
        sys.exit(7)
    begun = json.loads(text)
    snapshot = begun["snapshot"]["friendlyId"]
    wanted = json.loads(begun["execution"]["run"]["payload"])
    if "file" in wanted:
        marks = [os.getpid(), snapshot]
        if wanted.get("child"):
            marks[0] = subprocess.Popen(["sleep", "600"]).pid
        mark = Path(wanted["file"])
        mark.with_suffix(".new").write_text(json.dumps(marks))
        mark.with_suffix(".new").rename(mark)
    _do(wanted, begun, snapshot)


def _do(wanted: dict[str, Any], begun: dict[str, Any], snapshot: str) -> None:
    match wanted["do"]:
        case "return":
            output: Any = {
                "env": dict(ENV),
                "pid": os.getpid(),
                "attempt": begun["run"]["attemptNumber"],
            }
            succeed(snapshot, output)
        case "call":
            succeed(snapshot, [_call(snapshot, *one) for one in wanted["calls"]])
        case "wait":
            file = Path(wanted["until"])
            while not file.exists():
                signal.sigtimedwait([], 0.02)
            succeed(snapshot, 1)
        case "fail":
            error = {"type": "STRING_ERROR", "raw": "no luck"}
            complete(snapshot, ok=False, error=error, retry={"delay": 0, "timestamp": 0})
        case _:
            _end_badly(wanted, snapshot)


def _call(snapshot: str, method: str, path: str, *more: Any) -> list[Any]:
    return call(method, path.replace("{run}", RUN[0]).replace("{snapshot}", snapshot), *more)


def _end_badly(wanted: dict[str, Any], snapshot: str) -> None:
    match wanted["do"]:
        case "garble":
            call("POST", snapshot_path(snapshot, "attempts/complete"), {"completion": "garbled"})
        case "exit":
            sys.exit(wanted["code"])
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
