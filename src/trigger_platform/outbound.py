"""The one client for addresses that somebody else chose: it reaches nothing that is not public.

A name is resolved once for each connection; the address that was checked is the one that is connected to, so
that a name which resolves to something else a moment later gains nothing. Redirects go through the same door.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from trigger_core.errors import ConnectionFailedError, UsageError
from trigger_platform.settings import Network

__all__ = ["Answer", "Outbound", "is_public"]

Resolve = Callable[[str, int], Awaitable[list[str]]]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = frozenset({80, 443, 8080, 8443})
_SECONDS = 10.0
_BYTES = 1024 * 1024
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_OF_NETWORKS = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_SENT_ONCE = {"authorization", "cookie"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def leads_to(self) -> str | None:
        """Where a redirect leads, if it is one."""
        return self.headers.get("location") if self.status in {301, 302, 303, 307, 308} else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None

    def redirected(self, answer: Answer) -> _Asked:
        """Return the request that a redirect asks for; another host is not told who we are."""
        there = urljoin(self.url, answer.leads_to or "")
        if urlsplit(self.url).scheme == "https" and urlsplit(there).scheme != "https":
            raise _refused(there, "a redirect leads away from https")
        headers = self.headers
        if urlsplit(self.url).netloc != urlsplit(there).netloc:
            headers = {name: value for name, value in headers.items() if name not in _SENT_ONCE}
        if answer.status in {307, 308} or self.method in {"GET", "HEAD"}:
            return replace(self, url=there, headers=headers)
        return _Asked("GET", there, headers, None)


def is_public(address: str) -> bool:
    """Tell whether an address is one of the internet: not of this machine, a network, or a cloud itself."""
    found = _embedded(ipaddress.ip_address(address.partition("%")[0]))
    return found.is_global and not found.is_multicast


def _embedded(address: _Address) -> _Address:
    """Return the address that another one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.teredo is not None or address in _NAT64_OF_NETWORKS:
        return ipaddress.IPv6Address("::1")  # what it leads to is not to be told
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (address in _NAT64 or address in _COMPATIBLE) and int(address) > 1:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


class Outbound:
    """Sends requests; to private addresses only if they are allowed."""

    def __init__(
        self,
        allowed: Iterable[Network] = (),
        *,
        seconds: float = _SECONDS,
        most_bytes: int = _BYTES,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            allowed: networks that may be reached though they are not public, at any port.
            seconds: how long a request may take in all.
            most_bytes: how large an answer may be.
            resolve: returns the addresses of a name; the system's resolver by default.
            tls: whom to trust; the usual authorities by default.
        """
        self._allowed = tuple(allowed)
        self._seconds = seconds
        self._most_bytes = most_bytes
        door = _Door(self._permits, resolve or _resolve)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(), network_backend=door
        )
        self._http = httpx.AsyncClient(
            transport=_Transport(pool), trust_env=False, follow_redirects=False, timeout=seconds
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        redirects: int = 0,
    ) -> Answer:
        """Send a request and return its answer, after at most so many redirects.

        Raises:
            UsageError: the address must not be reached, or the answer is too large.
            ConnectionFailedError: nobody answered in time.
        """
        given = {name.lower(): value for name, value in (headers or {}).items()}
        asked = _Asked(method, url, {"accept-encoding": "identity"} | given, content)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._send(asked)
                while redirects and answer.leads_to is not None:
                    redirects -= 1
                    asked = asked.redirected(answer)
                    answer = await self._send(asked)
        except (TimeoutError, httpx.TransportError) as error:
            raise _unanswered(asked.url, error) from error
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, asked: _Asked) -> Answer:
        url = asked.url
        _refuse_odd(url)
        try:
            request = self._http.build_request(
                asked.method, url, headers=asked.headers, content=asked.content
            )
        except httpx.InvalidURL as error:
            raise _refused(url, str(error)) from error
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > self._most_bytes:
                    raise _refused(url, f"its answer is larger than {self._most_bytes:,} bytes")
        finally:
            await response.aclose()
        return Answer(response.status_code, dict(response.headers), bytes(body))

    def _permits(self, address: str, port: int) -> bool:
        literal = ipaddress.ip_address(address.partition("%")[0])
        for one in (literal, _embedded(literal)):
            if any(one.version == network.version and one in network for network in self._allowed):
                return True
        return is_public(address) and port in _PORTS


class _Door(httpcore.AsyncNetworkBackend):
    """Opens connections: resolves, checks, and connects to what was checked."""

    def __init__(self, permits: Callable[[str, int], bool], resolve: Resolve) -> None:
        self._permits = permits
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an address of a name; the name stays what the certificate must have."""
        try:
            found = await self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        permitted = [address for address in found if self._permits(address, port)]
        if not permitted:
            raise _refused(host, "its address is private, or the port is not one of the web")
        return await self._network.connect_tcp(
            permitted[0], port, timeout, local_address, socket_options
        )


class _Transport(httpx.AsyncBaseTransport):
    """Lets httpx speak through a pool of our own."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        try:
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise httpx.TransportError(str(error)) from error
        assert isinstance(answer.stream, AsyncIterable)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Stream(answer))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._answer.aiter_stream():
                yield part
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise httpx.TransportError(str(error)) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def _refuse_odd(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(url, str(error)) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise _refused(url, "it must be an address of http or https")
    if "@" in parts.netloc or "\\" in url:
        raise _refused(url, "it has a user, or a backslash")


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


def _refused(url: str, because: str) -> UsageError:
    return UsageError(
        f"{_shown(url)} is not asked",
        code="OUTBOUND_REFUSED",
        because=because,
        hint="use a public address, or allow the network: TRIGGER_OUTBOUND_ALLOW",
    )


def _unanswered(url: str, error: Exception) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"{_shown(url)} did not answer",
        code="OUTBOUND_FAILED",
        because=str(error) or "it took too long",
    )


def _shown(url: str) -> str:
    """Return an address without what may be secret in it."""
    return urlsplit(url).netloc.rpartition("@")[2] or url.partition("?")[0]
