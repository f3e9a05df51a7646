"""The place for blobs that a server's settings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from trigger_platform.blobs.blob_store import BlobStore
from trigger_platform.blobs.folder import FolderBlobs
from trigger_platform.blobs.sigv4 import Credentials
from trigger_platform.settings import Settings, require
from trigger_platform.store.opening import is_server
from trigger_platform.store.sqlite import MEMORY

__all__ = ["blob_folder", "open_blobs"]

_FOLDER = "blobs"


def open_blobs(settings: Settings, now_ms: Callable[[], int]) -> BlobStore | None:
    """Return the bucket, else the folder; ``None`` where neither is named and no folder suggests itself.

    Raises:
        UsageError: only a part of the bucket's settings is given.
    """
    if settings.s3_bucket:
        return _bucket(settings, now_ms)
    folder = blob_folder(settings)
    return FolderBlobs(folder, durable=settings.durable) if folder else None


def blob_folder(settings: Settings) -> Path | None:
    """Return the folder of blobs, if they lie in one."""
    if settings.s3_bucket:
        return None
    return settings.blob_dir or _beside_the_database(settings)


def _bucket(settings: Settings, now_ms: Callable[[], int]) -> BlobStore:
    from trigger_platform.blobs.s3 import Bucket, S3Blobs  # noqa: PLC0415 - its HTTP client costs 100 ms

    require(settings, "s3_endpoint", "s3_access_key_id", "s3_secret_access_key")
    secret = settings.s3_secret_access_key
    assert isinstance(secret, SecretStr)
    assert settings.s3_endpoint is not None
    assert settings.s3_access_key_id is not None
    assert settings.s3_bucket is not None
    credentials = Credentials(
        settings.s3_access_key_id, secret.get_secret_value(), settings.s3_region
    )
    return S3Blobs(Bucket(settings.s3_endpoint, settings.s3_bucket, credentials), now_ms)


def _beside_the_database(settings: Settings) -> Path | None:
    """A server's database has no folder; the embedded platform's data has one whatever the database is."""
    if settings.database is not None and not is_server(settings.database):
        return None if settings.database == MEMORY else Path(settings.database).parent / _FOLDER
    return settings.data_dir / _FOLDER if settings.data_dir != Path() else None
