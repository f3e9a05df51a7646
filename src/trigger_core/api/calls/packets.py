"""Packets that lie elsewhere (protocol A.15)."""

from __future__ import annotations

from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.packets import PacketAddress, PacketPlace

__all__ = ["create", "find"]


def create(name: str) -> Call[PacketPlace]:
    """Ask where to upload a packet."""
    return Call("PUT", f"/api/v2/packets/{quote(name, safe='')}", reading(PacketPlace))


def find(storage_path: str) -> Call[PacketAddress]:
    """Ask where to download a packet."""
    return Call("GET", f"/api/v1/packets/{quote(storage_path, safe='')}", reading(PacketAddress))
