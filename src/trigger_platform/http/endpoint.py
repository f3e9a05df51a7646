"""Routes as data: method, path, who may call, what comes in, what goes out, and one function."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from trigger_core.errors import ApiError, PayloadTooLargeError, TriggerError, UsageError
from trigger_core.schemas.base import WireList, WireModel
from trigger_platform.blobs import blob_store
from trigger_platform.engine import kept_answer
from trigger_platform.engine import request as sent
from trigger_platform.engine.kept_answer import Asked
from trigger_platform.engine.request import RequestKey
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import problems, rate_limit
from trigger_platform.http.access import Credential
from trigger_platform.http.auth import Access, Principal, identify
from trigger_platform.http.cors import Origins
from trigger_platform.http.parameter import Parameter
from trigger_platform.http.rate_limit import Counted, Verdict
from trigger_platform.http.server import Server
from trigger_platform.store.rows import EnvironmentRow, OrganizationRow, ProjectRow

__all__ = [
    "BODY_LIMIT",
    "Endpoint",
    "Incoming",
    "Readable",
    "Reply",
    "endpoint",
    "read_body",
    "refuse_length",
]

BODY_LIMIT = 3 * 1024 * 1024 + 16 * 1024
"""The largest body of a trigger: three mebibytes of payload and some options."""

_CONVERTER = re.compile(r":\w+}")
_MARK_LIMIT = 255
_NUMBER = re.compile(r"-?[0-9]{1,18}\Z")
_UNLIMITED = (
    "/api/v1/auth/jwt/claims",
    "/api/v1/packets/",
    "/api/v2/packets/",
)
"""What is asked in bursts and is cheap, or guards itself otherwise (protocol 0.8)."""

_DEPLOYMENTS = ("/api/v1/deployments", "/api/v2/deployments", "/api/v3/deployments")
_PROJECT = "/api/v1/projects/{project_ref}"
_DEPLOYING = {
    f"{_PROJECT}/{{env}}",
    f"{_PROJECT}/envvars",
    f"{_PROJECT}/envvars/{{env}}/import",
    f"{_PROJECT}/branches",
    f"{_PROJECT}/branches/archive",
}
"""What else a command line asks that deploys."""

_CURRENT = "/api/v1/deployments/current"
"""What running code asks."""

B = TypeVar("B")
M = TypeVar("M", bound=WireModel)
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Incoming(Generic[B]):
    """A request that was let in and parsed."""

    server: Server
    principal: Principal
    request: Request
    body: B
    access: Access

    @property
    def environment_id(self) -> str:
        """The environment the caller works in."""
        return self.principal.environment.id

    @property
    def project(self) -> ProjectRow:
        """The project that the path names."""
        return self.principal.named_project

    @property
    def organization(self) -> OrganizationRow:
        """The organisation that the path names."""
        if self.principal.organization is None:
            raise LookupError("a route without an organisation asks for one")
        return self.principal.organization

    @property
    def role(self) -> Role:
        """What the caller may do in what the path names."""
        if self.principal.role is None:
            raise LookupError("a route that names nothing asks for a role")
        return self.principal.role

    async def body_bytes(self, limit: int = BODY_LIMIT) -> bytes:
        """Read the body as it is, giving up as soon as it is too large.

        Raises:
            PayloadTooLargeError: it is over the limit.
        """
        return await read_body(self.request, limit)

    def request_key(self, what: str = "") -> RequestKey | None:
        """Return what makes a repetition of this request the same (protocol 0.5); ``None`` if it has no mark.

        Raises:
            UsageError: the mark is longer than a mark is.
        """
        token = self.request.headers.get("x-trigger-request-idempotency-key")
        if not token:
            return None
        if len(token) > _MARK_LIMIT:
            raise UsageError(
                f"Headers Error: a request idempotency key has at most {_MARK_LIMIT} characters",
                code="INVALID_HEADER",
            )
        return RequestKey(self.request.scope["path"] + what, token)

    async def once(
        self,
        kind: type[M],
        function: Callable[Concatenate[Unit, EnvironmentRow, P], M],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> M:
        """Run an engine function that makes something; a request that is repeated gets the same answer."""

        def act(u: Unit, environment: EnvironmentRow) -> M:
            return function(u, environment, *args, **kwargs)

        key = self.request_key()
        return await self.server.write(sent.once, self.environment_id, key, kind, act)

    async def once_for_caller(
        self, kind: type[M], act: Callable[[Unit], M], *, shows_secret: bool = False
    ) -> M:
        """Let a user or an organisation make something; who repeats the request gets the same answer.

        An answer with a secret is kept sealed, and only for minutes.
        """
        key, caller = self.request_key(), self.principal
        owner = caller.user_id or caller.organization_id
        asked = Asked(owner, key, shows_secret) if key is not None and owner else None
        return await self.server.units.write(kept_answer.once, asked, kind, act)

    def path(self, name: str) -> str:
        """Return a parameter of the path."""
        return str(self.request.path_params[name])

    @property
    def base_url(self) -> str:
        """How the caller reaches this server: the name it used, which may differ from the public one."""
        used = str(self.request.base_url).rstrip("/")
        public = self.server.settings.public_url
        is_public = public is not None and urlsplit(public).netloc == urlsplit(used).netloc
        return public if public is not None and is_public else used

    def stored(self, path: str) -> str | None:
        """Return where to download a packet that lies elsewhere; ``None`` if it can lie nowhere.

        A worker may say anything of where it put an output: an address is signed for its environment alone.
        """
        if self.server.blobs is None or not blob_store.leads_in(path):
            return None
        place = self.server.blob_place(self.principal.environment, path)
        now = self.server.units.clock.now()
        return self.server.blobs.address("GET", place, base_url=self.base_url, now_ms=now)

    def query(self, name: str, default: str = "") -> str:
        """Return a parameter of the query."""
        return self.request.query_params.get(name, default)

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        """Return a whole number from the query.

        Raises:
            UsageError: it is none, or out of range.
        """
        text = self.query(name, str(default))
        found = int(text) if _NUMBER.match(text) else None
        if found is None or not low <= found <= high:
            raise UsageError(
                f"Query Error: {name} must be a number from {low} to {high}, not {text[:40]!r}",
                code="INVALID_QUERY",
            )
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with headers or a status of its own."""

    body: WireModel | WireList[Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Form = Callable[[FormData], Mapping[str, Any]]
"""Reads the fields of a body from a form."""

Readable = Callable[[Request, Response], Response]
"""Makes what a page answers readable for people, if it is not."""

Handler = Callable[[Incoming[Any]], Awaitable["WireModel | WireList[Any] | Reply | Response"]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route; everything that is known about it, for serving and for describing it."""

    method: str
    path: str
    access: Access
    handler: Handler
    body: type[BaseModel] | None
    returns: type[BaseModel] | None
    body_limit: int
    is_body_optional: bool
    form: Form | None = None
    statuses: tuple[int, ...] = (200,)
    query: tuple[Parameter | str, ...] = ()
    media: str = ""

    @property
    def name(self) -> str:
        """What it is called; pages and forms are named after their file too, there are many of a kind."""
        file = self.handler.__module__.rpartition(".")[2]
        return f"{file}_{self.handler.__name__}" if self.is_page else self.handler.__name__

    @property
    def group(self) -> str:
        """What it belongs to: the noun its file is named by, or the dashboard."""
        return "dashboard" if self.is_page else self.handler.__module__.rpartition(".")[2]

    @property
    def is_page(self) -> bool:
        """Whether it answers with a page of the dashboard."""
        return self.handler.__module__.startswith("trigger_platform.dashboard.")

    @property
    def shown_path(self) -> str:
        """The path as people read it; a name in it may contain slashes, which is not said."""
        return _CONVERTER.sub("}", self.path)

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (self.handler.__doc__ or "").strip().splitlines()[0]

    @property
    def is_for_pages(self) -> bool:
        """Whether pages of other origins may call it: with a public token, or with a signed address."""
        return Credential.PUBLIC_TOKEN in self.access.value.takes or self.path.startswith("/blobs/")

    @property
    def counted(self) -> Counted | None:
        """In which bucket of who calls its calls are counted, if they are."""
        is_api = self.path.startswith("/api/") and not self.path.startswith(_UNLIMITED)
        if not is_api or not self.access.value.takes:
            return None
        is_deployment = self.path.startswith(_DEPLOYMENTS) and self.path != _CURRENT
        is_deploying = is_deployment or self.path in _DEPLOYING
        return Counted.DEPLOYING if is_deploying else Counted.CALLS

    def route(self, server: Server, origins: Origins, readable: Readable) -> Route:
        """Return the Starlette route."""
        observe = server.metrics.request
        is_for_pages, counted, shown = self.is_for_pages, self.counted, self.shown_path
        is_page = self.is_page

        async def serve(request: Request) -> Response:
            began = time.perf_counter()
            response = await self._serve(server, request, counted)
            if is_for_pages and (origin := request.headers.get("origin")) is not None:
                response.headers.update(origins.answer(origin))
            if is_page:
                response = readable(request, response)
            seconds = time.perf_counter() - began
            observe(self.method, shown, response.status_code, seconds)
            return response

        return Route(self.path, serve, methods=[self.method])

    async def _serve(self, server: Server, request: Request, counted: Counted | None) -> Response:
        try:
            principal = await identify(server, self.access, request)
        except Exception as error:  # noqa: BLE001 - the last resort of a request
            return self._problem(error, request)
        verdict = _count(server, principal, request, counted)
        if verdict is None:
            return await self._run(server, principal, request)
        if not verdict.is_allowed:
            return rate_limit.refusal(verdict, server.units.clock.now())
        return verdict.tell(await self._run(server, principal, request))

    async def _run(self, server: Server, principal: Principal, request: Request) -> Response:
        try:
            body = await self._parse(request)
            return _answer(
                await self.handler(Incoming(server, principal, request, body, self.access))
            )
        except Exception as error:  # noqa: BLE001 - the last resort of a request
            return self._problem(error, request)

    def _problem(self, error: Exception, request: Request) -> Response:
        if isinstance(error, RecursionError):
            return problems.unreadable("it is nested too deeply")
        if isinstance(error, UnicodeEncodeError):
            return problems.unreadable("a character in it is half of one (a lone surrogate)")
        if isinstance(error, ValidationError):
            return problems.invalid_body(error)
        if isinstance(error, TriggerError):
            elsewhere = _elsewhere(error, request) if self.is_page else None
            return elsewhere or problems.of(error)
        if isinstance(error, ClientDisconnect):
            return Response(status_code=499)
        return problems.unexpected(error, self.path)

    async def _parse(self, request: Request) -> Any:
        if self.body is None:
            return None
        raw = await read_body(request, self.body_limit)
        if not raw and self.is_body_optional:
            return self.body()
        if not raw:
            raise ApiError("Request body is empty", status=400, code="EMPTY_BODY")
        if self.form is not None and _is_form(request):
            async with _form(request.headers, raw) as fields:
                return self.body.model_validate(self.form(fields))
        return self.body.model_validate_json(raw)


def _elsewhere(error: TriggerError, request: Request) -> Response | None:
    """Return where a browser goes on that asked for a page it cannot have yet."""
    if request.method != "GET":
        return None
    if error.code == "LOGIN_NEEDED":
        return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
    return RedirectResponse("/environments", 303) if error.code == "NOTHING_TO_SHOW" else None


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body, giving up as soon as it is too large.

    Raises:
        PayloadTooLargeError: it is over the limit.
    """
    refuse_length(request, limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(size, limit)
        parts.append(part)
    return b"".join(parts)


def refuse_length(request: Request, limit: int) -> None:
    """Refuse a body that says itself that it is too large, before any of it is read.

    Raises:
        PayloadTooLargeError: it does.
    """
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise _too_large(int(length), limit)


def endpoint(
    method: str,
    path: str,
    *,
    access: Access,
    body: type[BaseModel] | None = None,
    returns: type[BaseModel] | None = None,
    body_limit: int = BODY_LIMIT,
    is_body_optional: bool = False,
    form: Form | None = None,
    statuses: tuple[int, ...] = (200,),
    query: tuple[Parameter | str, ...] = (),
    media: str = "",
) -> Callable[[Callable[[Incoming[B]], Awaitable[Any]]], Endpoint]:
    """Describe a route; the function is called with what came in, and answers with one of ``statuses``.

    ``query`` names the parameters it reads, for the description, and ``media`` what it answers with if that
    is no model. A route with a ``form`` takes its body as ``multipart/form-data`` too.
    """

    def describe(handler: Callable[[Incoming[B]], Awaitable[Any]]) -> Endpoint:
        function = cast("Handler", handler)
        return Endpoint(
            method,
            path,
            access,
            function,
            body,
            returns,
            body_limit,
            is_body_optional,
            form,
            statuses,
            query,
            media,
        )

    return describe


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


@asynccontextmanager
async def _form(headers: Headers, raw: bytes) -> AsyncIterator[FormData]:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield raw

    try:
        form = await MultiPartParser(headers, whole(), max_files=8, max_fields=32).parse()
    except (MultiPartException, KeyError) as error:
        raise ApiError(
            "Invalid form", status=400, code="INVALID_BODY", because=str(error)
        ) from error
    try:
        yield form
    finally:
        await form.close()


def _too_large(size: int, limit: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        "Request body too large",
        because=f"it has {size:,} bytes, {limit:,} are allowed here",
        hint="put the data in a file or an object store and pass its address",
    )


def _count(
    server: Server, principal: Principal, request: Request, counted: Counted | None
) -> Verdict | None:
    """Count the call of a caller who was let in; ``None`` where calls are not counted."""
    if counted is None:
        return None
    return server.rates.take(
        request.headers.get("authorization", ""),
        counted,
        is_public=principal.public is not None,
        now=server.units.clock.now(),
    )


def _answer(result: WireModel | WireList[Any] | Reply | Response) -> Response:
    if isinstance(result, Response):
        return result
    reply = result if isinstance(result, Reply) else Reply(result)
    content = reply.body.model_dump_json(by_alias=True, exclude_none=True)
    headers = {"cache-control": "no-store", **reply.headers}
    return Response(content, reply.status, headers, "application/json")
