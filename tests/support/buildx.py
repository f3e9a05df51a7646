"""Stands in for ``docker``: does of a build what the platform sees of it, and nothing else.

There is no container and no registry. The stages of the ``Containerfile`` are not executed; the one command
that talks to the platform, the indexer (the ``RUN`` after "Run the indexer"), runs here, in the build
context, with the build arguments as its environment. Paths below ``/app``, where the image would hold the
context, are those of the context instead; dependencies are found in the project's ``node_modules`` above it.
Nothing is pushed: the digest is that of the ``Containerfile``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

INDEXER = re.compile(r'^# Run the indexer\nRUN (?:node |\[ "node", ")/app/([^"\s]+)', re.MULTILINE)


def main(words: list[str]) -> int:
    """Do what a command of docker's asks for."""
    if words[:2] == ["buildx", "build"]:
        return _build(words)
    known = (["buildx", "version"], ["buildx", "ls"], ["buildx", "create"], ["image", "inspect"])
    if words[:2] in known:
        return 0
    sys.stderr.write(f"the stand-in for docker does not know: {' '.join(words)}\n")
    return 125


def _build(words: list[str]) -> int:
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
    return built.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
