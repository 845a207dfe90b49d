"""The HTTP client for customers' URLs: it connects to checked addresses only, and everything it does is bounded.

No cookies, no proxy, no netrc, no `Referer`; redirects are followed one by one through the policy.
Spec: reference reliability.md 5.1 and section 4 (egress); wire spec 5.1.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ringback import clock
from ringback.egress.body import BodyReader
from ringback.egress.errors import (
    AddressRefused,
    ConnectFailed,
    EgressFailed,
    ExchangeFailed,
    FailureClass,
    InvalidUrl,
    ResponseTooLarge,
)
from ringback.egress.policy import CheckedUrl, check_url, without_credentials
from ringback.egress.resolve import Resolver
from ringback.egress.slots import Slots
from ringback.machine import MS

SCHEMES = ("https", "http")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})
_CHUNK_BYTES = 65_536
_ERROR_BODY_BYTES = 4_096
_STALE_RETRIES = 2
_SLOW = "answer faster, or allow more time by #rt=MS behind the URL"
_UNREACHED = "check host and port, and that the application runs"

HeadersFor = Callable[[str, str], Iterable[tuple[str, str]]]
"""Returns the headers of one hop from its method and URL: signatures depend on both."""
Sink = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Bounds of the client (reference: reliability.md section 4).

    `lanes` gives the requests that may be in flight to one host, per purpose: deliveries to a slow host must not keep
    a caller waiting for a document from it.
    """

    lanes: Mapping[str, int] = field(default_factory=lambda: {"document": 32, "delivery": 8, "media": 8})
    per_account: int = 50
    total: int = 500
    slot_wait_ms: int = 5_000
    redirects_max: int = 3
    reply_header_max_bytes: int = 16_384
    idle_connection_ms: int = 4_000
    """Shorter than the 5 s after which common application servers close idle connections."""
    ca_file: str = ""
    user_agent: str = "Ringback/0.1"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to a customer's URL.

    The URL may carry user information (sent as Basic credentials to its own origin) and a fragment (not sent).
    """

    method: str
    url: str
    headers_for: HeadersFor = lambda method, url: ()
    body: bytes = b""
    content_type: str = ""
    connect_ms: int = 2_000
    read_ms: int = 15_000
    """From the connection to the last byte of the reply, per hop."""
    total_ms: int = 55_000
    body_max_bytes: int = 131_072
    is_body_cut: bool = False
    """Whether a longer body is cut instead of refused: for replies whose body does not matter."""
    lane: str = "document"
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back, whatever its status. Header names are lower-case; of a repeated one the last value counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    """Where the reply came from, after redirects."""
    redirects: int
    connect_ms: int | None
    """`None`: the connection was open already."""
    total_ms: int

    @property
    def content_type(self) -> str:
        """Return the media type, lower-case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(slots=True)
class _Hop:
    """How far one hop has come; shared with the callbacks of the connection."""

    read_ms: int
    started: int
    deadline: asyncio.Timeout | None = None
    is_connected: bool = False
    is_reused: bool = False
    has_reply: bool = False
    connect_ms: int | None = None

    def connected(self, *, is_reused: bool) -> None:
        self.is_connected, self.is_reused = True, is_reused
        if not is_reused:
            self.connect_ms = (clock.now() - self.started) // MS
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(asyncio.get_running_loop().time() + self.read_ms / 1000)


_url_of_request: ContextVar[CheckedUrl] = ContextVar("egress_url")
_approved: ContextVar[set[str]] = ContextVar("egress_approved")


class HttpClient:
    """Sends requests to customers' URLs.

    State: make it inside a running loop; `close` ends its idle connections. The resolver belongs to the caller.
    """

    def __init__(self, resolver: Resolver, settings: HttpSettings | None = None) -> None:
        self._settings = settings or HttpSettings()
        self._resolver = resolver
        self._slots = Slots(self._settings.slot_wait_ms)
        self._in_flight = 0
        # By default the context that the library has made already: another one takes a megabyte.
        context: ssl.SSLContext | bool = True
        if self._settings.ca_file:
            context = ssl.create_default_context()
            context.load_verify_locations(self._settings.ca_file)
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_on_created)
        trace.on_connection_reuseconn.append(_on_reused)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=context,
                resolver=_CheckedResolver(resolver),
                use_dns_cache=False,
                limit=0,
                keepalive_timeout=self._settings.idle_connection_ms / 1000,
                socket_factory=_checked_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            max_line_size=4_096,
            max_field_size=8_190,
            headers={"User-Agent": self._settings.user_agent, "Accept": "*/*", "Accept-Encoding": "gzip"},
            skip_auto_headers=("Content-Type",),
        )

    @property
    def in_flight(self) -> int:
        """Return how many requests are being made."""
        return self._in_flight

    async def send(self, request: HttpRequest) -> HttpReply:
        """Return the reply to `request`, whatever its status; the body of a failure status is cut to 4 KiB.

        Raises:
            EgressFailed: there was no whole reply within the bounds; `failure` and `is_connected` say how far it came.
        """
        body = bytearray()

        async def keep(chunk: bytes) -> None:
            body.extend(chunk)

        reply = await self.download(request, keep)
        return replace(reply, body=bytes(body))

    async def download(self, request: HttpRequest, sink: Sink) -> HttpReply:
        """Return the reply to `request` without its body, whose chunks went to `sink` in order.

        Raises:
            EgressFailed: as `send`; `sink` may have had a part of the body.
        """
        url, credentials = without_credentials(request.url.partition("#")[0])
        started = clock.now()
        self._in_flight += 1
        try:
            async with asyncio.timeout(request.total_ms / 1000):
                reply = await self._follow(request, url, credentials, sink)
        except TimeoutError:
            message = f"no whole reply within {request.total_ms} ms"
            raise EgressFailed(message, FailureClass.TIMEOUT, hint=_SLOW, is_connected=True) from None
        finally:
            self._in_flight -= 1
        return replace(reply, total_ms=(clock.now() - started) // MS)

    async def close(self) -> None:
        """End idle connections; requests in flight fail."""
        await self._session.close()

    async def _follow(self, request: HttpRequest, url: str, credentials: str, sink: Sink) -> HttpReply:
        method, body = request.method, request.body
        first = checked = check_url(self._resolver.policy, url, SCHEMES)
        connect_ms: int | None = None
        for redirects in range(self._settings.redirects_max + 1):
            headers = list(request.headers_for(method, url))
            if credentials and checked.origin == first.origin:
                headers.append(("Authorization", f"Basic {b64encode(unquote(credentials).encode()).decode('ascii')}"))
            hop = replace(request, method=method, body=body)
            async with self._slots.hold(*self._bounds(request, checked)):
                try:
                    reply = await self._exchange(hop, checked, headers, sink)
                except aiohttp.ClientError as error:
                    raise _translated(error) from None
                except ValueError as error:
                    raise InvalidUrl(
                        f"request cannot be sent: {error}", hint="a header that HTTP cannot carry"
                    ) from None
            connect_ms = reply.connect_ms if connect_ms is None else connect_ms
            location = reply.headers.get("location", "")
            if reply.status not in _REDIRECTS or not location:
                return replace(reply, url=url, redirects=redirects, connect_ms=connect_ms)
            try:
                url = without_credentials(_joined(url, location))[0]
                target = check_url(self._resolver.policy, url, SCHEMES)
            except InvalidUrl as error:
                raise ExchangeFailed(f"redirect cannot be followed: {error}", FailureClass.REDIRECTS) from None
            if checked.is_secure and not target.is_secure:
                raise ExchangeFailed("redirect leads from https to http", FailureClass.REDIRECTS)
            checked = target
            if reply.status not in _KEEP_METHOD and method != "HEAD":
                method, body = "GET", b""
        raise ExchangeFailed(
            f"more than {self._settings.redirects_max} redirects",
            FailureClass.REDIRECTS,
            hint="name the URL at which they end",
        )

    async def _exchange(
        self, request: HttpRequest, url: CheckedUrl, headers: list[tuple[str, str]], sink: Sink
    ) -> HttpReply:
        for _ in range(_STALE_RETRIES):
            hop = _Hop(request.read_ms, clock.now())
            try:
                return await self._attempt(request, url, headers, sink, hop)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # The peer may have closed an idle connection while we picked it: that says nothing about the peer.
                if not hop.is_reused or hop.has_reply:
                    raise
        return await self._attempt(request, url, headers, sink, _Hop(request.read_ms, clock.now()))

    async def _attempt(
        self, request: HttpRequest, url: CheckedUrl, headers: list[tuple[str, str]], sink: Sink, hop: _Hop
    ) -> HttpReply:
        _url_of_request.set(url)
        _approved.set({str(url.literal)} if url.literal is not None else set())
        headers = [("Host", url.authority), *headers]
        if request.content_type and request.body:
            headers.append(("Content-Type", request.content_type))
        try:
            async with (
                asyncio.timeout(request.connect_ms / 1000) as hop.deadline,
                self._session.request(
                    request.method,
                    URL(url.url, encoded=True),
                    data=request.body or None,
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=hop,
                ) as response,
            ):
                hop.has_reply = True
                await self._take_body(request, response, sink)
        except TimeoutError:
            if hop.is_connected:
                message = f"no whole reply within {request.read_ms} ms"
                raise ExchangeFailed(message, FailureClass.TIMEOUT, hint=_SLOW) from None
            message = f"not connected within {request.connect_ms} ms"
            raise ConnectFailed(message, FailureClass.TIMEOUT, hint=_UNREACHED) from None
        return HttpReply(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=b"",
            url="",
            redirects=0,
            connect_ms=hop.connect_ms,
            total_ms=0,
        )

    async def _take_body(self, request: HttpRequest, response: aiohttp.ClientResponse, sink: Sink) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in response.raw_headers)
        if size > self._settings.reply_header_max_bytes:
            raise ResponseTooLarge(f"reply has {size} header bytes, at most {self._settings.reply_header_max_bytes}")
        is_success = 200 <= response.status < 300
        body = BodyReader(
            response.headers.get("Content-Encoding", "") if is_success else "",
            request.body_max_bytes if is_success else _ERROR_BODY_BYTES,
            is_cut=request.is_body_cut or not is_success,
        )
        keeps = is_success or response.status not in _REDIRECTS
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            part = body.feed(chunk)
            if part and keeps:
                await sink(part)
            if body.is_full:
                response.close()
                return
        body.finish()

    def _bounds(self, request: HttpRequest, url: CheckedUrl) -> list[tuple[str, int]]:
        limit = self._settings.lanes.get(request.lane, 8)
        bounds = [(f"{request.lane} {url.host}:{url.port}", limit)]
        if request.account_id:
            bounds.append((f"account {request.lane} {request.account_id}", self._settings.per_account))
        bounds.append(("total", self._settings.total))
        return bounds


class _CheckedResolver(AbstractResolver):
    """Gives aiohttp the addresses that the policy accepted for the URL of this very request."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the checked addresses of the request's host."""
        found = await self._resolver.addresses(_url_of_request.get())
        _approved.get().update(str(address) for address in found)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Do nothing: the resolver belongs to the client's owner."""


def _checked_socket(info: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address that was approved for this request, and for no other.

    The last gate before the network: aiohttp passes over a custom resolver for numeric hosts, and might again.
    """
    family, kind, protocol, _, address = info
    if address[0] not in _approved.get(set()):
        raise AddressRefused(f"{address[0]} was not checked")
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


async def _on_created(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    context.trace_request_ctx.connected(is_reused=False)


async def _on_reused(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    context.trace_request_ctx.connected(is_reused=True)


def _translated(error: aiohttp.ClientError) -> EgressFailed:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            hint = "the certificate must match the host and come from a trusted authority"
            return ConnectFailed(f"certificate refused: {error.certificate_error}", FailureClass.TLS, hint=hint)
        case aiohttp.ClientSSLError():
            hint = "is the port one that speaks TLS?"
            return ConnectFailed(f"TLS failed: {error.os_error}", FailureClass.TLS, hint=hint)
        case aiohttp.ClientConnectorDNSError():
            return ConnectFailed(f"cannot resolve: {error.os_error}", FailureClass.DNS, hint="check the host name")
        case aiohttp.ClientConnectorError():
            return ConnectFailed(f"cannot connect: {_reason(error.os_error)}", FailureClass.REFUSED, hint=_UNREACHED)
        case aiohttp.InvalidURL():
            return InvalidUrl("url cannot be requested")
        case aiohttp.ClientResponseError() if error.message.startswith("Got more than"):
            return ResponseTooLarge("reply header is too long")
        case aiohttp.ClientResponseError():
            hint = "is the port one that speaks HTTP?"
            return ExchangeFailed("reply is no HTTP", FailureClass.BROKEN, hint=hint)
        case _:
            return ExchangeFailed(
                f"connection broke: {error}", FailureClass.BROKEN, hint="look at the log behind the URL"
            )


def _reason(error: OSError) -> str:
    # The loops put the address into `strerror`; the number always says why.
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location).partition("#")[0]
    except ValueError:
        raise InvalidUrl("redirect location cannot be read") from None
