"""Blobs in an S3-compatible object store: clients talk to it directly, by addresses signed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from trigger_core.errors import ConnectionFailedError
from trigger_platform.blobs import sigv4
from trigger_platform.blobs.blob_store import LIFE_S, Method, Place
from trigger_platform.blobs.sigv4 import Credentials

__all__ = ["Bucket", "S3Blobs"]

_LIFE_S = 60


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, addressed by path: every S3-compatible store knows that form."""

    endpoint: str
    name: str
    credentials: Credentials

    def url(self, environment_id: str, path: str) -> str:
        """Return the address of an object."""
        return f"{self.endpoint.rstrip('/')}/{quote(f'{self.name}/{environment_id}/{path}')}"


class S3Blobs:
    """A bucket of blobs; the objects of an environment stand under its id."""

    def __init__(self, bucket: Bucket, now_ms: Callable[[], int]) -> None:
        self._bucket = bucket
        self._now_ms = now_ms

    def address(self, method: Method, place: Place, *, base_url: str, now_ms: int) -> str:  # noqa: ARG002
        """Return an address of the object store, wherever this server is."""
        url = self._bucket.url(place.environment_id, place.path)
        return sigv4.presign(
            self._bucket.credentials, method, url, life_s=LIFE_S[method], moment_ms=now_ms
        )

    async def size(self, environment_id: str, path: str) -> int | None:
        """Ask how large an object is.

        Raises:
            ConnectionFailedError: the store refused or cannot be reached.
        """
        answer = await self._ask("HEAD", environment_id, path)
        return int(answer.headers["content-length"]) if answer.is_success else None

    async def remove(self, environment_id: str, path: str) -> None:
        """Remove an object.

        Raises:
            ConnectionFailedError: the store refused or cannot be reached; it is tried again later.
        """
        await self._ask("DELETE", environment_id, path)

    async def _ask(self, method: str, environment_id: str, path: str) -> httpx.Response:
        """Ask about an object; that there is none is an answer too."""
        url = sigv4.presign(
            self._bucket.credentials,
            method,
            self._bucket.url(environment_id, path),
            life_s=_LIFE_S,
            moment_ms=self._now_ms(),
        )
        try:
            async with httpx.AsyncClient() as http:
                answer = await http.request(method, url)
        except httpx.TransportError as error:
            raise _failed(self._bucket, method, str(error)) from error
        if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
            raise _failed(self._bucket, method, f"status {answer.status_code}")
        return answer


def _failed(bucket: Bucket, method: str, because: str) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"the object store at {bucket.endpoint} refused {method} of a blob", because=because
    )
