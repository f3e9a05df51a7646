"""The client for addresses that others chose: against real servers on this machine."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trigger_core.errors import ConnectionFailedError, UsageError
from trigger_platform.outbound import Outbound, Resolve, is_public

HERE = ip_network("127.0.0.1/32")
Handle = Callable[[bytes], Awaitable[bytes]]


class _Site:
    """A real server; it keeps the heads of the requests it got."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.heads: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        try:
            writer.write(await self._handle(head))
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _site(
    handle: Handle, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[_Site]:
    site = _Site(handle)
    server = await asyncio.start_server(site.serve, host, port, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


def _answer(body: bytes = b"hello", *headers: str, status: str = "200 OK") -> Handle:
    async def handle(_head: bytes) -> bytes:
        lines = [
            f"HTTP/1.1 {status}",
            f"content-length: {len(body)}",
            "connection: close",
            *headers,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    return handle


def _resolving(*answers: list[str]) -> tuple[Resolve, list[str]]:
    """A resolver that says something else each time."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",  # noqa: S104
        "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
        "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_what_is_not_of_the_internet_is_not_public(address: str) -> None:
    """In every form in which an address can be written."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_is_of_the_internet_is_public(address: str) -> None:
    """And may be asked."""
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "127.1",
        "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0",  # noqa: S104
    ],
)  # fmt: skip
async def test_this_machine_is_not_asked_however_it_is_spelled(host: str) -> None:
    """The server there hears nothing."""
    async with _site(_answer()) as site:
        client = Outbound()
        with pytest.raises(UsageError) as refused:
            await client.request("GET", f"http://{host}:{site.port}/")
        await client.close()

    assert refused.value.code == "OUTBOUND_REFUSED"
    assert site.heads == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://1.1.1.1/", "file:///etc/passwd", "gopher://1.1.1.1/", "//1.1.1.1/", "1.1.1.1", "",
        "http://", "http://user:hunter2@1.1.1.1/", "http://1.1.1.1@127.0.0.1/", "http://1.1.1.1\\@x/",
        "http://1.1.1.1:99999/", "http://1.1.1.1:22/", "http://1.1.1.1:6379/",
    ],
)  # fmt: skip
async def test_odd_addresses_are_refused(url: str) -> None:
    """Other schemes, users, backslashes, ports of other services."""
    client = Outbound(resolve=_resolving(["1.1.1.1"])[0])
    with pytest.raises(UsageError) as refused:
        await client.request("GET", url)
    await client.close()
    assert refused.value.code == "OUTBOUND_REFUSED"
    assert "hunter2" not in str(refused.value)


async def test_what_is_allowed_is_asked() -> None:
    """With its own name as Host, and what was to be sent."""
    async with _site(_answer(b"hello", "x-more: yes")) as site:
        client = Outbound([HERE])
        answer = await client.request(
            "POST",
            f"http://localhost:{site.port}/path?q=1",
            headers={"X-Mine": "1"},
            content=b"body",
        )
        await client.close()

    assert (answer.status, answer.body, answer.headers["x-more"]) == (200, b"hello", "yes")
    head = site.heads[0].lower()
    assert head.startswith(b"post /path?q=1 http/1.1\r\n")
    assert b"host: localhost:%d\r\n" % site.port in head
    assert b"x-mine: 1\r\n" in head


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """It is resolved once; what was checked is what is connected to."""
    async with _site(_answer(b"public")) as site, _site(_answer(), "127.0.0.2", site.port) as inner:
        resolve, asked = _resolving(["127.0.0.1"], ["127.0.0.2"])
        client = Outbound([HERE], resolve=resolve)
        answer = await client.request("GET", f"http://rebinding.example:{site.port}/")
        assert (answer.body, asked) == (b"public", ["rebinding.example"])
        with pytest.raises(UsageError):
            await client.request("GET", f"http://rebinding.example:{site.port}/")
        await client.close()
    assert inner.heads == []


async def test_of_several_addresses_only_a_permitted_one_is_used() -> None:
    """The others are not even tried."""
    async with _site(_answer(b"ok")) as site, _site(_answer(), "127.0.0.2", site.port) as inner:
        client = Outbound([HERE], resolve=_resolving(["127.0.0.2", "127.0.0.1"])[0])
        answer = await client.request("GET", f"http://mixed.example:{site.port}/")
        await client.close()
    assert (answer.body, inner.heads) == (b"ok", [])


async def test_a_redirect_is_checked_like_the_first_address() -> None:
    """One that is not asked for is not followed; a chain ends."""
    async with AsyncExitStack() as stack:
        inner = await stack.enter_async_context(_site(_answer(b"secret"), "127.0.0.2"))
        away = _answer(b"", f"location: http://127.0.0.2:{inner.port}/", status="302 Found")
        site = await stack.enter_async_context(_site(away))
        round_ = await stack.enter_async_context(_site(_answer(b"", "location: /", status="307 T")))
        client = Outbound([HERE])
        stack.push_async_callback(client.close)
        first = await client.request("GET", f"http://127.0.0.1:{site.port}/")
        assert first.status == 302
        with pytest.raises(UsageError):
            await client.request("GET", f"http://127.0.0.1:{site.port}/", redirects=3)
        assert inner.heads == []
        last = await client.request("GET", f"http://127.0.0.1:{round_.port}/", redirects=3)
        assert (last.status, len(round_.heads)) == (307, 4)


async def test_another_host_is_not_told_the_key() -> None:
    """Nor is a body sent on where the answer did not ask for it."""
    both = [HERE, ip_network("127.0.0.2/32")]
    async with _site(_answer(b"there"), "127.0.0.2") as other:
        away = _answer(b"", f"location: http://127.0.0.2:{other.port}/x", status="303 See Other")
        async with _site(away) as site:
            client = Outbound(both)
            answer = await client.request(
                "POST",
                f"http://127.0.0.1:{site.port}/",
                headers={"Authorization": "Bearer key", "x-other": "1"},
                content=b"body",
                redirects=1,
            )
            await client.close()
    assert answer.body == b"there"
    assert b"Bearer key" in site.heads[0]
    assert b"Bearer key" not in other.heads[0]
    assert other.heads[0].startswith(b"GET /x")


async def test_an_answer_without_end_is_given_up() -> None:
    """By its size, packed as it comes: nothing is unpacked."""
    packed = gzip.compress(bytes(50_000_000))
    async with _site(_answer(packed, "content-encoding: gzip")) as site:
        client = Outbound([HERE], most_bytes=len(packed))
        answer = await client.request("GET", f"http://127.0.0.1:{site.port}/")
        assert answer.body == packed
        assert b"accept-encoding: identity" in site.heads[0].lower()
        await client.close()
        small = Outbound([HERE], most_bytes=len(packed) - 1)
        with pytest.raises(UsageError, match="larger"):
            await small.request("GET", f"http://127.0.0.1:{site.port}/")
        await small.close()


async def test_a_server_that_does_not_answer_costs_the_time_that_it_may() -> None:
    """In all, however it drips."""

    async def hang(_head: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    began = time.monotonic()
    async with _site(hang) as site:
        client = Outbound([HERE], seconds=0.5)
        with pytest.raises(ConnectionFailedError) as failed:
            await client.request("GET", f"http://127.0.0.1:{site.port}/?token=secret")
        await client.close()
        assert "secret" not in str(failed.value)
    assert time.monotonic() - began < 5


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would reach what we must not."""
    async with _site(_answer(b"direct")) as site, _site(_answer(b"proxy")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        client = Outbound([HERE])
        answer = await client.request("GET", f"http://127.0.0.1:{site.port}/")
        await client.close()
    assert answer.body == b"direct"


async def test_the_certificate_must_have_the_name_that_was_asked_for(tmp_path: Path) -> None:
    """Though the connection goes to an address."""
    server_tls, client_tls = _certificates(tmp_path, "t.example")
    async with _site(_answer(b"safe"), tls=server_tls) as site:
        client = Outbound([HERE], resolve=_resolving(["127.0.0.1"])[0], tls=client_tls)
        answer = await client.request("GET", f"https://t.example:{site.port}/")
        assert answer.body == b"safe"
        with pytest.raises(ConnectionFailedError):
            await client.request("GET", f"https://other.example:{site.port}/")
        await client.close()


def _certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
