"""Blobs as files in a folder, reached through routes of this server by addresses it has signed.

A file is named by the digest of its path: no path a client thinks of leads out of the folder. What is being
uploaded lies aside until all of it is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlencode

from trigger_core.errors import PayloadTooLargeError, PermissionDeniedError
from trigger_platform.blobs.blob_store import LIFE_S, Method, Place

__all__ = ["FolderBlobs"]

_ABANDONED_S = 86_400


class FolderBlobs:
    """A folder of blobs; processes that serve one database share it."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        """Use a folder; it is made with the first upload.

        Args:
            folder: where the files lie.
            durable: whether an accepted upload survives a power cut.
        """
        self._folder = folder
        self._durable = durable
        self._remove_abandoned()

    def address(self, method: Method, place: Place, *, base_url: str, now_ms: int) -> str:
        """Return an address below ``base_url``."""
        expires = now_ms // 1000 + LIFE_S[method]
        query = {"expires": expires, "signature": _sign(method, place, expires)}
        path = f"/blobs/{place.environment_id}/{quote(place.path)}"
        return f"{base_url}{path}?{urlencode(query)}"

    @staticmethod
    def verify(method: Method, place: Place, expires: str, signature: str, now_ms: int) -> None:
        """Check an address that somebody uses.

        Raises:
            PermissionDeniedError: it has run out, or was not made here.
        """
        is_number = expires.isascii() and expires.isdecimal() and len(expires) < 12
        good = _sign(method, place, int(expires) if is_number else 0)
        if not is_number or not hmac.compare_digest(good.encode(), signature.encode()):
            raise PermissionDeniedError("the address is not valid", status=403)
        if int(expires) * 1000 < now_ms:
            raise PermissionDeniedError(
                "the address has expired", status=403, code="ADDRESS_EXPIRED"
            )

    def file(self, environment_id: str, path: str) -> Path:
        """Return where a blob lies."""
        digest = hashlib.sha256(path.encode()).hexdigest()
        return self._folder / environment_id / digest[:2] / digest

    async def write(
        self, environment_id: str, path: str, body: AsyncIterator[bytes], limit: int
    ) -> int:
        """Take an upload; return its size. Until all of it is there, what was there stays.

        Raises:
            PayloadTooLargeError: it is over the limit.
        """
        target = self.file(environment_id, path)
        partial = self._partial() / secrets.token_hex(16)
        for folder in (target.parent, partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            size = await self._receive(partial, body, limit)
            await asyncio.to_thread(self._put, partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return size

    async def size(self, environment_id: str, path: str) -> int | None:
        """Return how large a file is."""
        file = self.file(environment_id, path)
        return (await asyncio.to_thread(file.stat)).st_size if file.is_file() else None

    async def remove(self, environment_id: str, path: str) -> None:
        """Remove a file."""
        await asyncio.to_thread(self.file(environment_id, path).unlink, missing_ok=True)

    async def _receive(self, partial: Path, body: AsyncIterator[bytes], limit: int) -> int:
        size = 0
        with partial.open("xb") as file:
            async for part in body:
                size += len(part)
                if size > limit:
                    raise PayloadTooLargeError(
                        "Request body too large", because=f"a blob may have {limit:,} bytes"
                    )
                file.write(part)
            if self._durable:
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        return size

    def _put(self, partial: Path, target: Path) -> None:
        partial.replace(target)
        if self._durable:
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _partial(self) -> Path:
        return self._folder / "partial"

    def _remove_abandoned(self) -> None:
        """Remove what was being uploaded when a server died."""
        if not self._partial().is_dir():
            return
        for file in self._partial().iterdir():
            if file.stat().st_mtime < time.time() - _ABANDONED_S:
                file.unlink(missing_ok=True)


def _sign(method: Method, place: Place, expires: int) -> str:
    """Sign with the environment's key: an address of one environment opens nothing of another."""
    message = f"blob:{method}:{expires}:{place.environment_id}:{place.path}"
    key = place.secret_key.encode()
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
