"""What the code of runs does to metadata: gathered for about a second, or until something else is reported.

An executor tells each operation at once, so that none is lost with its process. Waits and completions take
along what has gathered before them.
"""

from __future__ import annotations

import asyncio

from trigger_core.metadata import Operation
from trigger_core.schemas.metadata import MetadataFlush, MetadataFlushed
from trigger_worker.active_run import ActiveRun
from trigger_worker.ipc import Message
from trigger_worker.reports import Outbox

__all__ = ["MetadataChanges"]

_GATHER_S = 1.0


class MetadataChanges:
    """Puts operations into the next report, numbered so that none is applied twice."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._numbers = 0

    def change(self, run: ActiveRun, message: Message) -> None:
        """An executor tells an operation."""
        flush = self._flush_of(run)
        by_target = {
            "run": flush.operations,
            "parent": flush.parent_operations,
            "root": flush.root_operations,
        }
        operation = Operation(message["type"], message["key"], message["value"])
        by_target[message["target"]].append(operation)

    def flush(self, run: ActiveRun, message: Message) -> None:
        """An executor waits until what it told is written."""
        self._flush_of(run).refs.append(message["ref"])
        self._outbox.touch()

    @staticmethod
    def flushed(run: ActiveRun, answer: MetadataFlushed) -> None:
        """The platform has written it."""
        if run.process is None or run.assignment.lease != answer.lease:
            return
        for ref in answer.refs:
            if answer.error is None:
                run.process.send({"t": "resume", "ref": ref, "results": []})
            else:
                error = answer.error.to_wire()
                run.process.send({"t": "refused", "ref": ref, "error": error})

    def _flush_of(self, run: ActiveRun) -> MetadataFlush:
        key = (run.run_id, run.assignment.lease)
        if key not in self._outbox.metadata:
            self._numbers += 1
            self._outbox.metadata[key] = MetadataFlush(
                run_id=run.run_id, lease=run.assignment.lease, number=self._numbers
            )
            asyncio.get_running_loop().call_later(_GATHER_S, self._report)
        return self._outbox.metadata[key]

    def _report(self) -> None:
        """Whatever was reported meanwhile has taken the operations along."""
        if self._outbox.metadata:
            self._outbox.touch()
