"""Blobs in an S3-compatible object store: the signature, and a real server's answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from urllib.parse import quote

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from moto.server import ThreadedMotoServer

from support.http import Platform, serving
from trigger_core.clock import SystemClock
from trigger_core.errors import ConnectionFailedError, UsageError
from trigger_platform.blobs import sigv4
from trigger_platform.blobs.blob_store import BlobStore
from trigger_platform.blobs.opening import open_blobs
from trigger_platform.blobs.s3 import S3Blobs
from trigger_platform.blobs.sigv4 import Credentials
from trigger_platform.engine import blob
from trigger_platform.loops.retention import Retention
from trigger_platform.settings import Settings

KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret/with+signs"}
NAME = "trigger/a b/ü~x/payload.json"


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A server with a bucket named ``packets``."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with closing(boto3.client("s3", endpoint_url=url, region_name="us-east-1", **KEYS)) as client:
        client.create_bucket(Bucket="packets")
    yield url
    server.stop()


def _settings(endpoint: str) -> dict[str, str]:
    return {
        "s3_bucket": "packets",
        "s3_endpoint": endpoint,
        "s3_access_key_id": KEYS["aws_access_key_id"],
        "s3_secret_access_key": KEYS["aws_secret_access_key"],
    }


def _blobs(endpoint: str) -> BlobStore | None:
    return open_blobs(Settings.model_validate(_settings(endpoint)), SystemClock().now)


@pytest.fixture
async def platform(store: str) -> AsyncIterator[Platform]:
    """A platform that keeps blobs there; its time is the real one."""
    async with serving(**_settings(store)) as platform:
        platform.clock.advance(SystemClock().now() - platform.clock.now())
        yield platform


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["a/b.json", NAME, "x=y&z/ä+(1)'*.json"])
def test_addresses_are_signed_as_amazons_own_library_does(method: str, path: str) -> None:
    """Byte for byte."""
    url = "https://s3.example.com:9000/packets/" + quote(path)
    mine = Credentials(*KEYS.values(), region="eu-west-1")
    now = SystemClock().now()
    signed = sigv4.presign(mine, method, url, life_s=900, moment_ms=now)
    moment = dict(httpx.URL(signed).params)["X-Amz-Date"]
    request = AWSRequest(method, url)
    signer = S3SigV4QueryAuth(BotoCredentials(*KEYS.values()), "s3", "eu-west-1", expires=900)
    request.context["timestamp"] = moment
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)

    assert dict(httpx.URL(signed).params)["X-Amz-Signature"] == signature


async def test_a_packet_goes_to_the_store_and_comes_back(platform: Platform, store: str) -> None:
    """Directly: the platform sees none of it."""
    place = (await platform.http.put(f"/api/v2/packets/{quote(NAME, safe='')}")).json()
    assert place["presignedUrl"].startswith(f"{store}/packets/")
    headers = {"content-type": "application/super+json"}
    async with httpx.AsyncClient() as outside:
        put = await outside.put(place["presignedUrl"], content=b'{"json":1}', headers=headers)
        assert put.is_success, put.text
        find = f"/api/v1/packets/{quote(place['storagePath'], safe='')}"
        address = (await platform.http.get(find)).json()["presignedUrl"]
        answer = await outside.get(address)
    assert answer.content == b'{"json":1}'
    assert answer.headers["content-type"] == "application/super+json"


async def test_a_packet_that_nothing_needs_is_removed_there(platform: Platform, store: str) -> None:
    """While the store does not answer it stays to be removed."""
    environment = platform.server.local.environment
    place = (await platform.http.put("/api/v2/packets/old.json")).json()
    async with httpx.AsyncClient() as outside:
        await outside.put(place["presignedUrl"], content=b"x")
        find = (await platform.http.get("/api/v1/packets/old.json")).json()["presignedUrl"]
        assert (await outside.get(find)).status_code == 200
        await platform.server.units.write(
            lambda u: u.tx.run(
                "blob_let_go",
                environment_id=environment.id,
                path="old.json",
                before=u.now + 1,
                now=u.now,
            )
        )
        gone = _blobs("http://127.0.0.1:1")
        periods = platform.server.settings.periods
        with pytest.raises(ConnectionFailedError):
            await Retention(platform.server.units, periods, gone).run_once()
        assert len(await platform.server.units.read(blob.let_go)) == 1
        await Retention(platform.server.units, periods, platform.server.blobs).run_once()

        assert (await outside.get(find)).status_code == 404
    assert await platform.server.units.read(blob.let_go) == []


def test_half_of_the_settings_is_not_enough() -> None:
    """It says what is missing."""
    settings = Settings(s3_bucket="packets", s3_endpoint="https://s3.example.com")
    with pytest.raises(UsageError, match="s3_access_key_id"):
        open_blobs(settings, SystemClock().now)
    assert isinstance(_blobs("https://s3.example.com"), S3Blobs)


@pytest.fixture
async def narrow(store: str) -> AsyncIterator[Platform]:
    """A platform that lets blobs have ten bytes; its time is the real one."""
    async with serving(**_settings(store), blob_limit=10) as platform:
        platform.clock.advance(SystemClock().now() - platform.clock.now())
        yield platform


async def _upload(platform: Platform, name: str, size: int) -> None:
    place = (await platform.http.put(f"/api/v2/packets/{name}")).json()
    async with httpx.AsyncClient() as outside:
        assert (await outside.put(place["presignedUrl"], content=b"x" * size)).is_success


async def _known_size(platform: Platform, name: str) -> int | None:
    own = platform.server.local.environment
    return (await platform.server.units.read(blob.find, own, name)).size


async def _sweep(platform: Platform) -> None:
    server = platform.server
    await Retention(
        server.units, server.settings.periods, server.blobs, server.settings.blob_limit
    ).run_once()


async def test_what_is_larger_than_allowed_is_not_handed_out(narrow: Platform) -> None:
    """Only the store saw it arrive, so it is looked at when somebody asks for it; then it is removed."""
    await _upload(narrow, "large", 11)
    await _upload(narrow, "small", 10)
    assert (await narrow.http.get("/api/v1/packets/small")).status_code == 200
    refused = await narrow.http.get("/api/v1/packets/large")
    assert (refused.status_code, refused.json()["error"]) == (413, "the packet is too large")
    assert (await narrow.http.get("/api/v1/packets/large")).status_code == 404
    await _sweep(narrow)

    own, blobs = narrow.server.local.environment, narrow.server.blobs
    assert blobs is not None
    assert [await blobs.size(own.id, name) for name in ("large", "small")] == [None, 10]


async def test_a_size_counts_when_nobody_can_upload_any_more(narrow: Platform) -> None:
    """The same address takes another upload until then, and another address replaces it."""
    await _upload(narrow, "a", 10)
    assert (await narrow.http.get("/api/v1/packets/a")).status_code == 200
    assert await _known_size(narrow, "a") is None
    narrow.clock.advance(blob.UPLOAD_MS + 1)
    assert (await narrow.http.get("/api/v1/packets/a")).status_code == 200
    assert await _known_size(narrow, "a") == 10
    narrow.clock.advance(-blob.UPLOAD_MS)
    await _upload(narrow, "a", 11)
    assert (await narrow.http.get("/api/v1/packets/a")).status_code == 413


async def test_what_nobody_asks_for_is_looked_at_as_well(narrow: Platform) -> None:
    """Once its address takes no more; what was never uploaded is waited for, and disturbs nothing."""
    for name, size in (("large", 11), ("small", 10)):
        await _upload(narrow, name, size)
    await narrow.http.put("/api/v2/packets/none")
    await _sweep(narrow)
    assert await _known_size(narrow, "small") is None
    narrow.clock.advance(blob.UPLOAD_MS + 1)
    await _sweep(narrow)

    assert await _known_size(narrow, "small") == 10
    assert await _known_size(narrow, "none") is None
    assert (await narrow.http.get("/api/v1/packets/large")).status_code == 404
    own, blobs = narrow.server.local.environment, narrow.server.blobs
    assert blobs is not None
    assert await blobs.size(own.id, "large") is None
