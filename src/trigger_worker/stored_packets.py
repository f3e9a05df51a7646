"""Packets that lie elsewhere, because a client found them too large to send along, are brought here."""

from __future__ import annotations

from dataclasses import replace

from trigger_core import packet
from trigger_core.packet import Packet
from trigger_sdk import _lazy
from trigger_sdk._host import Ended, Waited
from trigger_worker.ipc import Message

__all__ = ["brought", "brought_sync", "payload"]


def payload(run: Message) -> Packet:
    """Return what a run was triggered with.

    Raises:
        ApiError: it is not there any more.
        ConnectionFailedError: it cannot be reached.
    """
    found = Packet(run.get("payload"), run.get("payloadType", packet.JSON))
    if found.type != packet.STORE or found.data is None:
        return found
    return _lazy.remote()().read_packet_sync(found.data)


async def brought(waited: Waited) -> Waited:
    """Return how a wait ended, with every output; raises as :func:`payload` does."""
    if not any(map(_is_elsewhere, waited.ended)):
        return waited
    remote = _lazy.remote()()
    ended = [
        _with(one, await remote.read_packet(one.output))
        if one.output and _is_elsewhere(one)
        else one
        for one in waited.ended
    ]
    return replace(waited, ended=tuple(ended))


def brought_sync(waited: Waited) -> Waited:
    """Return it likewise, blocking."""
    if not any(map(_is_elsewhere, waited.ended)):
        return waited
    remote = _lazy.remote()()
    ended = [
        _with(one, remote.read_packet_sync(one.output))
        if one.output and _is_elsewhere(one)
        else one
        for one in waited.ended
    ]
    return replace(waited, ended=tuple(ended))


def _is_elsewhere(one: Ended) -> bool:
    return one.output_type == packet.STORE and bool(one.output)


def _with(one: Ended, found: Packet) -> Ended:
    return replace(one, output=found.data, output_type=found.type)
