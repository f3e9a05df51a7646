"""Taking what OpenTelemetry exporters send (protocol D.10); answers are those of OTLP over HTTP.

The official worker sends no key. Deployed, it is given an address with a proof in it. In development such a
request is let in. What counts of it is decided for each record (:mod:`trigger_platform.engine.telemetry`).
"""

from __future__ import annotations

import asyncio

from pydantic_core import to_json
from starlette.responses import Response

from trigger_core.errors import ApiError, TriggerError, UsageError
from trigger_platform.engine import telemetry
from trigger_platform.engine.telemetry import Taken, Teller
from trigger_platform.http import problems
from trigger_platform.http.auth import Access, identify
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.otlp import body, from_json
from trigger_platform.otlp.offered import Offered, offered
from trigger_platform.otlp.room import Room

__all__ = [
    "export_logs",
    "export_metrics",
    "export_proven_logs",
    "export_proven_metrics",
    "export_proven_traces",
    "export_traces",
]

_JSON = "application/json"
_PROTOBUF = "application/x-protobuf"
_PATIENCE_S = 10.0
_REJECTED = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}


@endpoint("POST", "/otel/v1/traces", access=Access.OPEN)
async def export_traces(call: Incoming[None]) -> Response:
    """Take spans of runs."""
    return await _export(call, "traces")


@endpoint("POST", "/otel/v1/logs", access=Access.OPEN)
async def export_logs(call: Incoming[None]) -> Response:
    """Take log lines of runs."""
    return await _export(call, "logs")


@endpoint("POST", "/otel/v1/metrics", access=Access.OPEN)
async def export_metrics(call: Incoming[None]) -> Response:
    """Take data points of metrics of runs."""
    return await _export(call, "metrics")


@endpoint("POST", "/otel/{proof}/v1/traces", access=Access.EXPORTER)
async def export_proven_traces(call: Incoming[None]) -> Response:
    """Take spans of the runs that the address is for."""
    return await _export(call, "traces")


@endpoint("POST", "/otel/{proof}/v1/logs", access=Access.EXPORTER)
async def export_proven_logs(call: Incoming[None]) -> Response:
    """Take log lines of the runs that the address is for."""
    return await _export(call, "logs")


@endpoint("POST", "/otel/{proof}/v1/metrics", access=Access.EXPORTER)
async def export_proven_metrics(call: Incoming[None]) -> Response:
    """Take data points of metrics of the runs that the address is for."""
    return await _export(call, "metrics")


async def _export(call: Incoming[None], signal: str) -> Response:
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        teller = await _teller(call)
        if teller is None:
            request = await _read_strangers(call, kind, signal)
        else:
            request = await _read(call, kind, signal)
        if request.offers:
            taken = await call.server.units.write(telemetry.take, teller, request)
        else:
            taken = telemetry.refuse(request)
    except TriggerError as error:
        return _refusal(kind, error)
    return _success(kind, signal, taken)


async def _teller(call: Incoming[None]) -> Teller:
    """Return who tells; a wrong key is refused, and what is no key of ours at all is not looked at."""
    if call.principal.export is not None:
        return call.principal.export
    shown = call.request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not shown.startswith("tr_"):
        return None
    return (await identify(call.server, Access.ENVIRONMENT, call.request)).environment.id


async def _read_strangers(call: Incoming[None], kind: str, signal: str) -> Offered:
    """Read what somebody sends who shows nothing, when it is his turn; who is slow holds up the others."""
    async with call.server.strangers:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await _read(call, kind, signal, is_stranger=True)
        except TimeoutError as error:
            raise ApiError(
                "Request Timeout",
                status=408,
                code="OTLP_TOO_SLOW",
                because=f"without a key a body may take {_PATIENCE_S:g} seconds",
            ) from error


async def _read(
    call: Incoming[None], kind: str, signal: str, *, is_stranger: bool = False
) -> Offered:
    if kind not in {_JSON, _PROTOBUF}:
        raise UsageError(
            f"Content-Type {kind!r} is not understood",
            code="OTLP_CONTENT_TYPE",
            hint=f"send {_JSON} or {_PROTOBUF}",
        )
    packed = await call.body_bytes(body.STRANGERS_LIMIT if is_stranger else body.LIMIT)
    limit = body.strangers_limit(packed) if is_stranger else body.LIMIT
    encoding = call.request.headers.get("content-encoding", "").strip().lower()
    now = call.server.units.clock.now()
    server = call.server
    async with server.decoding_strangers if is_stranger else server.decoding:
        return await asyncio.to_thread(
            lambda: _decode(body.unpack(packed, encoding, limit), kind, signal, now)
        )


def _decode(plain: bytes, kind: str, signal: str, now: int) -> Offered:
    room = Room()
    if kind == _JSON:
        return offered(from_json.read(plain, signal, room), room.surplus, now)
    from trigger_platform.otlp import from_protobuf  # noqa: PLC0415 - costs 80 ms, most never pay

    return offered(from_protobuf.read(plain, signal, room), room.surplus, now)


def _success(kind: str, signal: str, taken: Taken) -> Response:
    if kind == _JSON:
        if not taken.refused:
            return Response(b"{}", media_type=_JSON)
        return _partial_json(signal, taken)
    content = b""
    if taken.refused:
        from trigger_platform.otlp import from_protobuf  # noqa: PLC0415 - it is loaded already

        content = from_protobuf.answer(signal, taken.refused, taken.because)
    return Response(content, media_type=_PROTOBUF)


def _partial_json(signal: str, taken: Taken) -> Response:
    partial = {_REJECTED[signal]: str(taken.refused), "errorMessage": taken.because}
    return Response(to_json({"partialSuccess": partial}), media_type=_JSON)


def _refusal(kind: str, error: TriggerError) -> Response:
    """Answer in the encoding that was asked in: for protobuf a Status with its field 2, the message."""
    if kind != _PROTOBUF:
        return problems.of(error)
    text = error.what.encode()[:127]
    return Response(bytes([0x12, len(text)]) + text, error.status, media_type=_PROTOBUF)
