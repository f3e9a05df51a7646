"""Large payloads and outputs: addresses for them (protocol A.15), and the files if they lie here."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from starlette.responses import FileResponse, Response

from trigger_core import packet
from trigger_core.errors import NotFoundError, PayloadTooLargeError, UnprocessableError
from trigger_core.schemas.packets import PacketAddress, PacketPlace
from trigger_platform.blobs import blob_store
from trigger_platform.blobs.blob_store import BlobStore, Method, Place
from trigger_platform.blobs.folder import FolderBlobs
from trigger_platform.engine import blob
from trigger_platform.engine.unit import Unit
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint, refuse_length
from trigger_platform.http.principal import forbidden
from trigger_platform.reads import runs as reads
from trigger_platform.store.rows import BlobRow, EnvironmentRow, PayloadRow

__all__ = [
    "create_named_packet",
    "create_packet",
    "download",
    "find_packet",
    "find_packet_of_run",
    "find_packet_v2",
    "upload",
]

_V1 = "/api/v1/packets/{name:path}"
_V2 = "/api/v2/packets/{name:path}"
_FILE = "/blobs/{environment_id}/{name:path}"
_TYPE = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(\s*;.{0,80})?\Z", re.ASCII)
_FIELDS = frozenset({"payload", "output"})
_UNKNOWN_TYPE = "application/octet-stream"
_FOREIGN = {
    # What clients uploaded is data, never a page of this server.
    "content-disposition": "attachment",
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}


@endpoint("PUT", _V2, access=Access.PAYLOAD_WRITER, returns=PacketPlace)
async def create_packet(call: Incoming[None]) -> PacketPlace:
    """Return where to upload a packet, and what to name in its place."""
    address = await _expect(call)
    return PacketPlace(presigned_url=address, storage_path=call.path("name"))


@endpoint("PUT", _V1, access=Access.PAYLOAD_WRITER, returns=PacketAddress)
async def create_named_packet(call: Incoming[None]) -> PacketAddress:
    """Return where to upload a packet; its name is what to name in its place (older clients)."""
    return PacketAddress(presigned_url=await _expect(call))


@endpoint("GET", _V1, access=Access.PACKET_READER, returns=PacketAddress)
async def find_packet(call: Incoming[None]) -> PacketAddress:
    """Return where to download a packet."""
    return await _find(call)


@endpoint("GET", _V2, access=Access.PACKET_READER, returns=PacketAddress)
async def find_packet_v2(call: Incoming[None]) -> PacketAddress:
    """Return where to download a packet."""
    return await _find(call)


@endpoint(
    "GET",
    "/api/v1/runs/{run_id}/packets/{field}",
    access=Access.RUN_READER,
    returns=PacketAddress,
)
async def find_packet_of_run(call: Incoming[None]) -> PacketAddress:
    """Return where to download the payload or the output of a run, if it lies elsewhere."""
    field = call.path("field")
    _refuse_hidden(call, {field})
    found = await call.server.read(_packet_of, call.environment_id, call.path("run_id"), field)
    return await _found(call, found)


@endpoint("PUT", _FILE, access=Access.OPEN)
async def upload(call: Incoming[None]) -> Response:
    """Take a packet; the address is the permission."""
    blobs, place = await _addressed(call, "PUT")
    limit = call.server.settings.blob_limit
    refuse_length(call.request, limit)
    size = await blobs.write(place.environment_id, place.path, call.request.stream(), limit)
    given = call.request.headers.get("content-type", "")
    kind = given if _TYPE.match(given) else _UNKNOWN_TYPE
    await call.server.write(blob.uploaded, place.environment_id, place.path, kind, size)
    return Response()


@endpoint("GET", _FILE, access=Access.OPEN)
async def download(call: Incoming[None]) -> FileResponse:
    """Return a packet as it was uploaded; the address is the permission."""
    blobs, place = await _addressed(call, "GET")
    found: BlobRow = await call.server.read(blob.find, place.environment_id, place.path)
    if found.type is None:
        raise NotFoundError("Not found", status=404, because="nothing was uploaded there yet")
    file = blobs.file(place.environment_id, place.path)
    return FileResponse(file, headers=_FOREIGN | {"content-type": found.type})


async def _expect(call: Incoming[None]) -> str:
    store, path = _store(call), blob_store.checked(call.path("name"))
    await call.server.write(blob.expect, call.environment_id, path)
    return _address(call, store, "PUT", path)


async def _find(call: Incoming[None]) -> PacketAddress:
    _refuse_hidden(call, _FIELDS)
    found = await call.server.read(blob.find, call.environment_id, call.path("name"))
    return await _found(call, found)


async def _found(call: Incoming[None], found: BlobRow) -> PacketAddress:
    """Return where to download a packet, once its size is known to be one that is allowed."""
    store = _store(call)
    if found.size is None:
        await _measure(call, store, found)
    return PacketAddress(presigned_url=_address(call, store, "GET", found.path))


async def _measure(call: Incoming[None], store: BlobStore, found: BlobRow) -> None:
    """Look how large it is that a client uploaded past this server.

    Raises:
        PayloadTooLargeError: it is larger than it may be, and is removed.
    """
    size = await store.size(found.environment_id, found.path)
    limit = call.server.settings.blob_limit
    if size is not None and not await call.server.units.write(blob.measured, found, size, limit):
        raise PayloadTooLargeError(
            "the packet is too large",
            because=f"it has {size:,} bytes, {limit:,} are allowed",
            hint="put the data into a store of your own and pass its address",
        )


def _packet_of(u: Unit, environment: EnvironmentRow, run_id: str, field: str) -> BlobRow:
    run = reads.one(u, environment, run_id)
    path, kind = None, None
    if field == "output":
        path, kind = u.tx.scalar("output_of", run_id=run_id), run.output_type
    if field == "payload" and (payload := u.tx.maybe("payload_of", PayloadRow, run_id=run_id)):
        path, kind = payload.data, payload.type
    if kind != packet.STORE or path is None:
        raise NotFoundError(
            f"{run_id} has no {field} that lies elsewhere", status=404, code="PACKET_NOT_FOUND"
        )
    return blob.find(u, environment, str(path))


def _refuse_hidden(call: Incoming[None], fields: AbstractSet[str]) -> None:
    """Refuse a token that hides columns from its holder what one of these would show."""
    public = call.principal.public
    if public is not None and fields & set(public.skip_columns):
        raise forbidden()


def _store(call: Incoming[None]) -> BlobStore:
    if call.server.blobs is None:
        raise UnprocessableError(
            "this server has no place for large packets",
            status=422,
            code="BLOBS_NOT_SET_UP",
            hint="set TRIGGER_BLOB_DIR to a folder, or TRIGGER_S3_BUCKET and its companions",
        )
    return call.server.blobs


def _address(call: Incoming[None], store: BlobStore, method: Method, path: str) -> str:
    place = call.server.blob_place(call.principal.environment, path)
    now = call.server.units.clock.now()
    return store.address(method, place, base_url=call.base_url, now_ms=now)


async def _addressed(call: Incoming[None], method: Method) -> tuple[FolderBlobs, Place]:
    """Return the folder and the place that the address of this request names, if it was made here."""
    blobs = call.server.blobs
    environment = await call.server.units.read(_environment, call.path("environment_id"))
    if not isinstance(blobs, FolderBlobs) or environment is None:
        raise NotFoundError("Not found", status=404)
    place = call.server.blob_place(environment, call.path("name"))
    blobs.verify(
        method,
        place,
        call.query("expires"),
        call.query("signature"),
        call.server.units.clock.now(),
    )
    return blobs, place


def _environment(u: Unit, environment_id: str) -> EnvironmentRow | None:
    return u.tx.maybe("environment_by_id", EnvironmentRow, id=environment_id)
