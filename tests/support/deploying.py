"""Deploying over HTTP, as a command line does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from support.http import Platform

__all__ = ["ALL", "Worker", "begin", "deploy", "finalize", "held", "index", "metadata"]

ALL = "/api/v1/deployments"


def metadata(*tasks: str, content_hash: str = "h", **said: Any) -> dict[str, Any]:
    """What the indexer of a TypeScript project says."""
    return {
        "packageVersion": "4.5.12",
        "cliPackageVersion": "4.5.13",
        "contentHash": content_hash,
        "runtime": "node-22",
        "runtimeVersion": "22.13.0",
        "tasks": [
            {"id": task, "filePath": f"{task}.ts", "payloadSchema": {"type": "object"}} | said
            for task in tasks
        ],
    }


async def begin(prod: Platform, content_hash: str = "h", **fields: Any) -> dict[str, Any]:
    """Begin a deployment."""
    body = {"contentHash": content_hash, "type": "MANAGED", "runtime": "node-22"} | fields
    answer = await prod.http.post(ALL, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def index(prod: Platform, deployment_id: str, *tasks: str, **said: Any) -> dict[str, Any]:
    """Register its version; ``said`` of every task."""
    body = {
        "localOnly": False,
        "metadata": metadata(*tasks, **said),
        "buildPlatform": "linux/amd64",
    }
    answer = await prod.http.post(f"{ALL}/{deployment_id}/background-workers", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def finalize(prod: Platform, deployment_id: str, **fields: Any) -> list[tuple[str, Any]]:
    """Finalize it; return the events."""
    path = f"/api/v3/deployments/{deployment_id}/finalize"
    answer = await prod.http.post(path, json=fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = [frame.split("\n") for frame in answer.text.strip().split("\n\n")]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in frames
    ]


async def deploy(
    prod: Platform,
    *tasks: str,
    promoted: bool = True,
    said: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Deploy tasks; the version becomes current unless that is not wanted."""
    made = await begin(prod, **fields)
    worker = await index(prod, made["id"], *tasks, **said or {})
    done = await finalize(prod, made["id"], skipPromotion=not promoted)
    assert done[-1] == ("complete", {"id": made["id"]})
    return made | {"worker": worker["id"]}


@dataclass
class Worker:
    """A process that serves versions of an environment."""

    prod: Platform
    boot: str
    versions: list[str]

    @classmethod
    async def of(cls, prod: Platform, *deployments: dict[str, Any]) -> Worker:
        """Take a seat for the versions of deployments."""
        versions = [str(one["worker"]) for one in deployments]
        worker = cls(prod, "boot-" + "-".join(one["version"] for one in deployments), versions)
        seat = {"instance": worker.boot, "bootId": worker.boot}
        answer = await prod.http.post("/engine/v1/worker/connect", json=seat)
        assert answer.status_code == 200, answer.text
        return worker

    async def poll(self, limit: int = 10, wait_ms: int = 0) -> list[dict[str, Any]]:
        """Ask for runs."""
        asked = {"bootId": self.boot, "workers": self.versions, "limit": limit, "waitMs": wait_ms}
        answer = await self.prod.http.post("/engine/v1/worker/poll", json=asked)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["runs"])

    async def report(self, **what: Any) -> dict[str, Any]:
        """Report."""
        said = {"bootId": self.boot, "workers": self.versions} | what
        answer = await self.prod.http.post("/engine/v1/worker/report", json=said)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def begin(self, run: dict[str, Any]) -> None:
        """Say that an attempt's code began."""
        await self.report(started=[held(run) | {"at": self.prod.clock.now()}])

    async def succeed(self, run: dict[str, Any], output: Any = None) -> dict[str, Any]:
        """Say that it returned; return the verdict."""
        done = held(run) | {"ok": True, "output": json.dumps(output)}
        return dict((await self.report(completions=[done]))["verdicts"][0])


def held(run: dict[str, Any]) -> dict[str, Any]:
    """Return the words by which a worker speaks of a run it holds."""
    return {"runId": run["runId"], "lease": run["lease"]}
