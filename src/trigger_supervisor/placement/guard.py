"""A process that outlives its supervisor by a moment: it ends what a supervisor that was killed left running.

Lines on its standard input name process groups, ``+123`` when one begins and ``-123`` when it has ended.
At the end of the input what is left of them is killed. Signals meant for the supervisor are not for it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

__all__ = ["guard", "main"]


def guard(lines: Iterable[str]) -> None:
    """Follow the lines, then kill the groups that are left."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(group)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Be the guard of the supervisor that holds the other end of the input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guard(sys.stdin)


if __name__ == "__main__":
    main()
