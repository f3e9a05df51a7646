"""The packets of Socket.IO that are taken: those that make sense as one text; the others do nothing.

The library would log a traceback for each that makes none, and keep the binary parts that one announces, up
to a thousand million of them, until all are there: for anybody, before a key was shown.
"""

from __future__ import annotations

from typing import Any

from socketio import packet

__all__ = ["TextPacket"]

_NOTHING = str(packet.DISCONNECT)


class TextPacket(packet.Packet):  # type: ignore[misc]  # the library has no types
    """A packet without binary parts."""

    packet_type: int
    namespace: str | None
    data: Any
    id: int | None

    def __init__(self, *args: Any, encoded_packet: Any = None, **kwargs: Any) -> None:
        """Read a packet, or make one; nothing at all is no packet either."""
        given = _NOTHING if encoded_packet == "" else encoded_packet
        super().__init__(*args, encoded_packet=given, **kwargs)

    def decode(self, encoded_packet: Any) -> int:
        """Read a packet; there is never more of it to come."""
        try:
            is_sound = super().decode(encoded_packet) == 0 and self._is_sound()
        except (ValueError, TypeError, RecursionError):
            is_sound = False
        if not is_sound:  # somebody who is not there leaves
            self.packet_type, self.namespace, self.data, self.id = (
                packet.DISCONNECT,
                "/",
                None,
                None,
            )
        return 0

    def _is_sound(self) -> bool:
        """Tell whether the library can handle it."""
        if self.packet_type == packet.EVENT:
            return isinstance(self.data, list) and bool(self.data) and isinstance(self.data[0], str)
        if self.packet_type == packet.ACK:
            return isinstance(self.data, list)
        return self.packet_type in {packet.CONNECT, packet.DISCONNECT}
