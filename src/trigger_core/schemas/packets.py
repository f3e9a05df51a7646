"""Packets that are too large to be sent along: where to upload and download them (protocol A.15)."""

from __future__ import annotations

from trigger_core.schemas.base import WireModel

__all__ = ["PacketAddress", "PacketPlace"]


class PacketAddress(WireModel):
    """An address to use within a short time."""

    presigned_url: str


class PacketPlace(PacketAddress):
    """Where to upload, and what to send as the payload or output in its place (``application/store``)."""

    storage_path: str
