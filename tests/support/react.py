"""Pages of React components, bundled with official hooks and served from an origin of their own."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.npm import NODE, installed

__all__ = ["Site", "bundle", "serving"]

_PAGE = """<!doctype html><title>{name}</title><link rel="icon" href="data:,">
<div id="root"></div><script type="module" src="/{name}.js"></script>
"""


def bundle(version: str, source: Path, folder: Path, name: str) -> None:
    """Put a page made of a source file into a folder, as ``<name>.html``."""
    modules = installed(version) / "node_modules"
    subprocess.run(
        [
            *(
                NODE,
                modules / "esbuild" / "bin" / "esbuild",
                source,
                f"--outfile={folder}/{name}.js",
            ),
            *("--bundle", "--format=esm", "--jsx=automatic", "--log-level=warning"),
            "--external:node:http2",  # in the SDK's client of another store; browsers never load it
        ],
        env={"NODE_PATH": str(modules)},
        check=True,
        timeout=60,
    )
    (folder / f"{name}.html").write_text(_PAGE.format(name=name))


class Site:
    """A folder served to browsers as ``http://localhost:<port>``, which is not where a platform is."""

    def __init__(self, port: int) -> None:
        self._origin = f"http://localhost:{port}"

    def address(self, name: str, scene: str, **given: Any) -> str:
        """Return where a page shows one of its components."""
        query = urlencode({"scene": scene, "given": json.dumps(given)})
        return f"{self._origin}/{name}.html?{query}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """A site, while in this block."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Site(server.server_port)
        finally:
            server.shutdown()
            thread.join()
