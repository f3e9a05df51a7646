"""``trigger promote``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from support.deploying import deploy
from support.dev import run_cli
from support.live import listening


async def test_a_version_is_promoted_and_an_older_one_only_if_that_is_allowed(
    tmp_path: Path,
) -> None:
    """The failure says how."""
    async with listening() as platform:
        prod = await platform.elsewhere("prod")
        old, new = await deploy(prod, "task"), await deploy(prod, "task", promoted=False)
        key = prod.http.headers["authorization"].removeprefix("Bearer ")
        env = {"TRIGGER_API_URL": platform.server.url, "TRIGGER_SECRET_KEY": key}

        async def promote(*arguments: str) -> Any:
            call = lambda: run_cli("promote", *arguments, cwd=tmp_path, env=env)  # noqa: E731
            return await asyncio.to_thread(call)

        done = await promote(new["version"])
        assert (done.returncode, done.stdout) == (0, f"{new['version']} is current\n")
        refused = await promote(old["version"])
        assert refused.returncode != 0
        assert "allow rollbacks" in refused.stderr
        back = await promote(old["version"], "--allow-rollback", "--json")
        assert json.loads(back.stdout) == {key: old[key] for key in ("id", "version", "shortCode")}
