"""What the code of runs exports over OpenTelemetry: spans, lines, data points; each once, within limits.

With a key, a record counts that names a run of the key's environment. With the proof that is part of an
address, one that names a run the proof is for (:mod:`~trigger_platform.engine.export_proof`). With neither,
only a record that names a run together with its environment, if that is one of development. Without a key
records count only while they can be expected: an attempt has begun, and the run goes on or has ended a moment
ago.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from trigger_core import ids
from trigger_core.redaction import Redactor
from trigger_platform.engine import hiding, run_log
from trigger_platform.engine.export_proof import ExportProof
from trigger_platform.engine.unit import Unit
from trigger_platform.otlp.offered import Offer, Offered
from trigger_platform.store.rows import LogRow, PointRow, SpanRow, TelemetryRow

__all__ = ["Taken", "Teller", "refuse", "take"]

Teller = str | ExportProof | None
"""Who tells: the environment of a key, what an address proves, or nobody known."""

R = TypeVar("R", LogRow, PointRow)

_RECORDS = 20_000
_BYTES = 32 * 1024 * 1024
_LATE_MS = 600_000

_STRANGER = "they name no run that takes them"
_TOO_MANY = "their run has told too much already"
_INVALID = "their ids or moments cannot be"
_SURPLUS = "there were too many at once"


@dataclass(frozen=True, slots=True)
class Taken:
    """How many records were refused, and why; the others are written."""

    refused: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True)
class _Told:
    """A run, and how much was told of it."""

    id: str
    environment_id: str
    worker_id: str | None
    environment_type: str
    parent_id: str | None
    secrets_version: int
    attempt: int
    completed_at: int | None
    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Known:
    run_id: str
    span_id: str
    ended_ns: int | None


@dataclass(frozen=True, slots=True)
class _KnownNumber:
    run_id: str
    number: int


def take(u: Unit, teller: Teller, request: Offered) -> Taken:
    """Write what is offered, as far as the teller may tell it."""
    work = _Work(u, teller, request)
    spans = work.fresh([offer.row for offer in work.admitted if isinstance(offer.row, SpanRow)])
    lines = work.unwritten(
        "lines_known", [offer.row for offer in work.admitted if isinstance(offer.row, LogRow)]
    )
    points = work.unwritten(
        "points_known", [offer.row for offer in work.admitted if isinstance(offer.row, PointRow)]
    )
    work.write(
        [row for row in spans if work.has_room(row.run_id, row.bytes)],
        [work.completed(row) for row in lines if work.has_room(row.run_id, _size(row))],
        [row for row in points if work.has_room(row.run_id, row.bytes)],
    )
    return _taken(work.refused)


def refuse(request: Offered) -> Taken:
    """Return what becomes of a request that offers nothing that could be written."""
    return _taken(_hopeless(request))


def _hopeless(request: Offered) -> Counter[str]:
    return Counter({_INVALID: request.invalid, _SURPLUS: request.surplus})


def _taken(refused: Counter[str]) -> Taken:
    told = {why: count for why, count in refused.items() if count}
    because = "; ".join(f"{count} refused: {why}" for why, count in told.items())
    return Taken(sum(told.values()), because)


class _Work:
    """The records of one request: sorted out, then written in a few statements."""

    def __init__(self, u: Unit, teller: Teller, request: Offered) -> None:
        self._u = u
        self._teller = teller
        self._runs = _runs(u, request.offers)
        self._refused_of: Counter[str] = Counter()
        self.admitted = [offer for offer in request.offers if self._may_tell(offer)]
        self.refused = _hopeless(request)
        self.refused[_STRANGER] += len(request.offers) - len(self.admitted)

    def _may_tell(self, offer: Offer) -> bool:
        run = self._runs.get(offer.row.run_id)
        if run is None:
            return False
        match self._teller:
            case str(environment_id):
                return run.environment_id == environment_id
            case ExportProof() as proof:
                return self._covers(proof, run) and self._is_expected(run)
            case None:
                is_named = run.environment_id == offer.environment_id
                is_open = run.environment_type == "DEVELOPMENT"
                return is_named and is_open and self._is_expected(run)

    def _covers(self, proof: ExportProof, run: _Told) -> bool:
        """A process that is kept executes runs of one version, and has the address of the first."""
        if run.environment_id != proof.environment_id:
            return False
        is_sibling = run.worker_id == proof.worker_id and self._u.now < proof.until
        return run.id == proof.run_id or is_sibling

    def _is_expected(self, run: _Told) -> bool:
        ended = run.completed_at
        return run.attempt > 0 and (ended is None or self._u.now - ended <= _LATE_MS)

    def fresh(self, rows: Sequence[SpanRow]) -> list[SpanRow]:
        """Leave out the spans that are there in this form or a later one; of two the ended one counts."""
        if not rows:
            return []
        latest: dict[tuple[str, str], SpanRow] = {}
        for row in rows:
            before = latest.get((row.run_id, row.span_id))
            if before is None or before.ended_ns is None:
                latest[row.run_id, row.span_id] = row
        known = {
            (one.run_id, one.span_id): one.ended_ns
            for one in self._u.tx.all(
                "spans_known",
                _Known,
                runs=json.dumps(sorted({run_id for run_id, _ in latest})),
                spans=json.dumps(sorted({span_id for _, span_id in latest})),
            )
        }
        return [
            row
            for key, row in sorted(latest.items())
            if key not in known or (known[key] is None and row.ended_ns is not None)
        ]

    def unwritten(self, statement: str, rows: Sequence[R]) -> list[R]:
        """Leave out the lines or points that are there."""
        if not rows:
            return []
        latest = {(row.run_id, row.number): row for row in rows}
        known = {
            (one.run_id, one.number)
            for one in self._u.tx.all(
                statement,
                _KnownNumber,
                runs=json.dumps(sorted({row.run_id for row in rows})),
                numbers=json.dumps([str(row.number) for row in rows]),
            )
        }
        return [row for key, row in latest.items() if key not in known]

    def has_room(self, run_id: str, size: int) -> bool:
        """Count a record; one that is too much for its run is refused."""
        run = self._runs[run_id]
        if run.records >= _RECORDS or run.bytes + size > _BYTES:
            self.refused[_TOO_MANY] += 1
            self._refused_of[run_id] += 1
            return False
        self._runs[run_id] = replace(run, records=run.records + 1, bytes=run.bytes + size)
        return True

    def completed(self, row: LogRow) -> LogRow:
        """A line that names no attempt belongs to the present one; its time may not lie far ahead."""
        attempt = row.attempt or self._runs[row.run_id].attempt
        return replace(row, attempt=attempt, time=run_log.moment(self._u, row.time))

    def write(
        self, spans: Sequence[SpanRow], lines: Sequence[LogRow], points: Sequence[PointRow]
    ) -> None:
        """Write, note how much the runs have told, and let those hear who look at them."""
        self._u.insert("span_insert", [hiding.span(self._hide(row.run_id), row) for row in spans])
        self._u.record("log_insert", [hiding.record(self._hide(row.run_id), row) for row in lines])
        self._u.insert(
            "point_insert", [hiding.point(self._hide(row.run_id), row) for row in points]
        )
        records: Counter[str] = Counter()
        size: Counter[str] = Counter()
        told = [(row.run_id, row.bytes) for row in spans]
        told += [(row.run_id, _size(row)) for row in lines]
        told += [(row.run_id, row.bytes) for row in points]
        for run_id, count in told:
            records[run_id] += 1
            size[run_id] += count
        touched = sorted({*records, *self._refused_of})
        self._u.insert(
            "telemetry_add",
            [TelemetryRow(id_, records[id_], size[id_], self._refused_of[id_]) for id_ in touched],
        )
        for run_id in touched:
            self._u.emit(self._runs[run_id].environment_id, "run.logged", run_id, 0)

    def _hide(self, run_id: str) -> Redactor:
        run = self._runs[run_id]
        return hiding.redactor(self._u, run.environment_id, run.parent_id, run.secrets_version)


def _runs(u: Unit, offers: Sequence[Offer]) -> dict[str, _Told]:
    named = {offer.row.run_id for offer in offers}
    wanted = json.dumps(sorted(name for name in named if ids.is_run_id(name)))
    return {run.id: run for run in u.tx.all("runs_telling", _Told, ids=wanted)}


def _size(row: LogRow) -> int:
    return len(row.message) + len(row.attributes or "")
