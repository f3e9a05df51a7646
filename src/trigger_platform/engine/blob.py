"""Blobs: packets that are too large for a row and lie elsewhere (protocol A.15).

A row comes before the upload and goes after the removal, so that whatever dies when, nothing lies there that
no row knows of. A blob is needed as long as the payload or the output of a run names it.
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_core.errors import ConflictError, NotFoundError
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BlobRow, EnvironmentRow, RunRow

__all__ = [
    "UPLOAD_MS",
    "expect",
    "find",
    "forget",
    "let_go",
    "measured",
    "runs_that_have",
    "unmeasured",
    "uploaded",
]

UPLOAD_MS = 900_000
"""For how long an address takes uploads."""

_AT_ONCE = 200


def expect(u: Unit, environment: EnvironmentRow, path: str) -> None:
    """Note that something will be uploaded.

    Raises:
        ConflictError: what lay there before is being removed.
    """
    if not u.tx.run("blob_expect", environment_id=environment.id, path=path, now=u.now):
        raise ConflictError(f"{path} is being removed", status=409, code="PACKET_BEING_REMOVED")


def uploaded(u: Unit, environment: EnvironmentRow, path: str, kind: str, size: int) -> None:
    """Note what was uploaded.

    Raises:
        NotFoundError: nobody asked for an address to upload it to, or that was long ago.
    """
    known = u.tx.run(
        "blob_uploaded", environment_id=environment.id, path=path, type=kind, size=size
    )
    if not known:
        raise _missing(path)


def find(u: Unit, environment: EnvironmentRow, path: str) -> BlobRow:
    """Return a blob.

    Raises:
        NotFoundError: the environment has none there.
    """
    found = u.tx.maybe("blob_find", BlobRow, environment_id=environment.id, path=path)
    if found is None:
        raise _missing(path)
    return found


def runs_that_have(u: Unit, environment: EnvironmentRow, path: str) -> list[RunRow]:
    """Return runs whose payload or output lies there, the newest first; of very many some."""
    return u.tx.all(
        "runs_that_have_packet", RunRow, environment_id=environment.id, path=path, limit=_AT_ONCE
    )


def measured(u: Unit, row: BlobRow, size: int, limit: int) -> bool:
    """Note the size of what a client uploaded elsewhere; tell whether it may be that large.

    One that is larger is removed. While its address still takes uploads, a size is not yet the last word.
    """
    which = {"environment_id": row.environment_id, "path": row.path, "size": size}
    if size > limit:
        u.tx.run("blob_refused", **which, now=u.now)
    elif row.created_at < u.now - UPLOAD_MS:
        u.tx.run("blob_measured", **which, created_at=row.created_at)
    return size <= limit


def unmeasured(u: Unit, after: BlobRow | None) -> list[BlobRow]:
    """Return some of the blobs whose size is not known and will not change any more, after one of them."""
    return u.tx.all(
        "blobs_unmeasured",
        BlobRow,
        before=u.now - UPLOAD_MS,
        created_at=after.created_at if after else 0,
        environment_id=after.environment_id if after else "",
        path=after.path if after else "",
        limit=_AT_ONCE,
    )


def let_go(u: Unit) -> list[BlobRow]:
    """Return some of the blobs that are to be removed."""
    return u.tx.all("blobs_let_go", BlobRow, limit=_AT_ONCE)


def forget(u: Unit, removed: Sequence[BlobRow]) -> None:
    """Forget blobs that were removed."""
    keys = [{"environment_id": one.environment_id, "path": one.path} for one in removed]
    u.tx.many("blob_forget", keys)


def _missing(path: str) -> NotFoundError:
    return NotFoundError(f"there is no packet {path}", status=404, code="PACKET_NOT_FOUND")
