"""An executor in an interpreter of its own, for projects that cannot be forked."""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from pathlib import Path

from trigger_core.errors import TriggerError
from trigger_worker import executor, indexer
from trigger_worker.sources import Sources

__all__ = ["main"]


def main() -> None:
    """Import the version's code as it was, and be an executor."""
    channel, out, err, order, parent = map(int, sys.argv[1:6])
    with os.fdopen(order, encoding="utf-8") as file:
        file.seek(0)
        content = json.load(file)
    sys.dont_write_bytecode = True
    try:
        config = indexer.import_tasks(Sources(Path(content["folder"]), content["sources"]))
    except TriggerError as error:
        os.write(err, f"{error}\n".encode())
        sys.exit(1)
    gc.freeze()
    executor.main(socket.socket(fileno=channel), out, err, config, parent)


if __name__ == "__main__":
    main()
