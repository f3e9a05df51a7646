"""Stands in for ``docker``: does of a build what the platform sees of it, and nothing else.

There is no container and no registry. The stages of the ``Containerfile`` are not executed; the one command
that talks to the platform, the indexer (the ``RUN`` after "Run the indexer"), runs here, in the build
context, with the build arguments as its environment. Paths below ``/app``, where the image would hold the
context, are those of the context instead; dependencies are found in the project's ``node_modules`` above it.
Nothing is pushed: the digest is that of the ``Containerfile``. Where an image would be pushed, a bundle is
laid down, from which a supervisor can start it without containers.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

INDEXER = re.compile(r'^# Run the indexer\nRUN (?:node |\[ "node", ")/app/([^"\s]+)', re.MULTILINE)
ENTRY = re.compile(r'^ENTRYPOINT \[ "dumb-init", "node", "([^"]+)" \]', re.MULTILINE)
RARELY = {"TRIGGER_SNAPSHOT_POLL_INTERVAL_SECONDS": "60"}
"""Runners look by themselves so rarely that whatever they learn, they learned by being told."""

BUNDLED = ("TRIGGER_PROJECT_ID", "TRIGGER_PROJECT_REF", "TRIGGER_CONTENT_HASH")


def main(bundles: Path, words: list[str]) -> int:
    """Do what a command of docker's asks for."""
    if words[:2] == ["buildx", "build"]:
        return _build(bundles, words)
    known = (["buildx", "version"], ["buildx", "ls"], ["buildx", "create"], ["image", "inspect"])
    if words[:2] in known:
        return 0
    sys.stderr.write(f"the stand-in for docker does not know: {' '.join(words)}\n")
    return 125


def _build(bundles: Path, words: list[str]) -> int:
    context = Path.cwd()
    given = [words[at + 1] for at, word in enumerate(words) if word == "--build-arg"]
    containerfile = (context / words[words.index("-f") + 1]).read_text()
    indexer = INDEXER.search(containerfile)
    if indexer is None:
        sys.stderr.write("the Containerfile runs no indexer\n")
        return 1
    manifest = context / "build.json"
    manifest.write_text(manifest.read_text().replace("/app/", f"{context}/"))
    platform = words[words.index("--platform") + 1]
    built = subprocess.run(
        ["node", context / indexer[1]],
        env={"PATH": os.environ["PATH"], "NODE_ENV": "production"}
        | {"BUILDPLATFORM": platform, "TARGETPLATFORM": platform}
        | dict(one.split("=", 1) for one in given),
        check=False,
    )
    if built.returncode == 0:
        digest = hashlib.sha256(containerfile.encode()).hexdigest()
        metadata = {"containerimage.digest": f"sha256:{digest}"}
        (context / words[words.index("--metadata-file") + 1]).write_text(json.dumps(metadata))
        _lay_down(bundles, context, words, containerfile)
    return built.returncode


def _lay_down(bundles: Path, context: Path, words: list[str], containerfile: str) -> None:
    """Keep the build in the folder that its image's name means, with what the image would say of itself."""
    image = words[words.index("--output") + 1].partition("name=")[2].partition(",")[0]
    name, _, tag = image.rpartition("/")[2].partition(":")
    folder = bundles / name / tag
    shutil.copytree(context, folder, symlinks=True)
    for file in (folder / "index.json", folder / "build.json"):
        file.write_text(file.read_text().replace(f"{context}/", f"{folder}/"))
    entry = ENTRY.search(containerfile)
    assert entry is not None
    given = dict(
        words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--build-arg"
    )
    description = {
        "command": [shutil.which("node"), entry[1].replace("/app/", f"{folder}/")],
        "env": {key: given[key] for key in BUNDLED} | {"NODE_ENV": "production"} | RARELY,
    }
    (folder / "bundle.json").write_text(json.dumps(description))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
