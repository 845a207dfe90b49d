"""The HTTP client against servers that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
from tests.support.http_server import ScriptedServer, close, drip, fixed, hang, http_server, raw
from tests.support.waiting import until

from ringback.egress.errors import (
    AddressRefused,
    ConnectFailed,
    EgressFailed,
    ExchangeFailed,
    FailureClass,
    InvalidUrl,
    ResponseTooLarge,
)
from ringback.egress.http import HttpClient, HttpReply, HttpRequest, HttpSettings
from ringback.egress.policy import Mode, Policy
from ringback.egress.resolve import Resolver


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with http_server() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    names = {"agent.test": ["127.0.0.1"], "evil.test": ["127.0.0.1", "10.0.0.1"], "inner.test": ["10.0.0.1"]}

    def look_up(name: str) -> list[str]:
        if name not in names:
            raise OSError("Name or service not known")
        return names[name]

    resolver = Resolver(Policy(Mode.DEV), lookup=look_up)
    made = HttpClient(resolver)
    yield made
    assert made.in_flight == 0
    await made.close()
    resolver.close()


async def failure_of(client: HttpClient, request: HttpRequest) -> EgressFailed:
    with pytest.raises(EgressFailed) as caught:
        await client.send(request)
    return caught.value


async def test_reply_is_returned_with_headers_and_times(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/a", "<Response/>", content_type="Text/XML; charset=utf-8", X_One="1")
    reply = await client.send(HttpRequest("GET", server.url("/a?x=%41&y=a+b")))
    assert (reply.status, reply.body, reply.content_type) == (200, b"<Response/>", "text/xml")
    assert reply.headers["x-one"] == "1"
    assert reply.connect_ms is not None
    assert server.seen[0].target == "/a?x=%41&y=a+b", "the query is sent as configured"
    assert server.seen[0].headers["user-agent"].startswith("Ringback/")
    assert "cookie" not in server.seen[0].headers
    assert "referer" not in server.seen[0].headers


async def test_post_body_and_host_follow_the_configured_url(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/a")
    url = f"http://Agent.test:{server.port}/a#ct=100"
    request = HttpRequest("POST", url, body=b"a=1", content_type="application/x-www-form-urlencoded")
    await client.send(request)
    seen = server.seen[0]
    assert seen.headers["host"] == f"Agent.test:{server.port}"
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (seen.method, seen.target, seen.body) == ("POST", "/a", b"a=1")


async def test_connection_is_reused(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/a", "x")
    await client.send(HttpRequest("GET", server.url("/a")))
    reply = await client.send(HttpRequest("GET", server.url("/a")))
    assert reply.connect_ms is None
    assert server.connections == 1


async def test_stale_connection_is_replaced_silently(client: HttpClient, server: ScriptedServer) -> None:
    async def answer_then_close_on_next(request: object, writer: asyncio.StreamWriter) -> None:
        await fixed("one")(request, writer)  # type: ignore[arg-type]

    server.replies("/a", answer_then_close_on_next, close, fixed("two"))
    await client.send(HttpRequest("POST", server.url("/a"), body=b"1"))
    reply = await client.send(HttpRequest("POST", server.url("/a"), body=b"2"))
    assert reply.body == b"two"


async def test_fresh_connection_that_breaks_is_a_failure(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/a", close)
    error = await failure_of(client, HttpRequest("POST", server.url("/a"), body=b"1"))
    assert isinstance(error, ExchangeFailed)
    assert error.failure is FailureClass.BROKEN
    assert len(server.seen) == 1


async def test_refused_connection_is_named(client: HttpClient) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await failure_of(client, HttpRequest("GET", f"http://127.0.0.1:{port}/"))
    assert isinstance(error, ConnectFailed)
    assert error.failure is FailureClass.REFUSED
    assert not error.is_connected
    assert str(error) == "cannot connect: connection refused (check host and port, and that the application runs)"


async def test_connect_timeout_counts_up_to_the_connection(client: HttpClient) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            try:
                filler.connect(("127.0.0.1", port))
            except BlockingIOError:
                pass
            fillers.append(filler)
        began = time.monotonic()
        error = await failure_of(client, HttpRequest("GET", f"http://127.0.0.1:{port}/", connect_ms=200, read_ms=5_000))
        elapsed = time.monotonic() - began
        for filler in fillers:
            filler.close()
    assert isinstance(error, ConnectFailed)
    assert error.failure is FailureClass.TIMEOUT
    assert 0.15 < elapsed < 4, "not the read timeout"


async def test_read_timeout_starts_at_the_connection(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/a", hang)
    began = time.monotonic()
    error = await failure_of(client, HttpRequest("GET", server.url("/a"), connect_ms=9_000, read_ms=300))
    assert isinstance(error, ExchangeFailed)
    assert error.failure is FailureClass.TIMEOUT
    assert error.is_connected
    assert 0.25 < time.monotonic() - began < 8


async def test_dripping_reply_does_not_outlive_the_read_timeout(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/a", drip(b"x" * 1000, 0.02))
    began = time.monotonic()
    error = await failure_of(client, HttpRequest("GET", server.url("/a"), read_ms=300))
    assert error.failure is FailureClass.TIMEOUT
    assert time.monotonic() - began < 15, "the whole reply takes 20 s"


async def test_total_timeout_ends_everything(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/a", hang)
    error = await failure_of(client, HttpRequest("GET", server.url("/a"), read_ms=5_000, total_ms=200))
    assert error.failure is FailureClass.TIMEOUT


async def test_unknown_name_fails_as_dns(client: HttpClient) -> None:
    error = await failure_of(client, HttpRequest("GET", "http://nowhere.test/"))
    assert isinstance(error, ConnectFailed)
    assert error.failure is FailureClass.DNS


@pytest.mark.parametrize("host", ["evil.test", "inner.test", "10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]"])
async def test_forbidden_address_is_refused_before_any_socket(
    client: HttpClient, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_socket(*args: object, **kwargs: object) -> socket.socket:
        raise AssertionError("a socket was made")

    monkeypatch.setattr("ringback.egress.http.socket.socket", no_socket)
    error = await failure_of(client, HttpRequest("GET", f"http://{host}/"))
    assert isinstance(error, AddressRefused)
    assert error.failure is FailureClass.FORBIDDEN


async def test_rebinding_name_server_gains_nothing(server: ScriptedServer) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    resolver = Resolver(Policy(Mode.DEV), lookup=lambda name: next(answers))
    client = HttpClient(resolver, HttpSettings(idle_connection_ms=1))
    server.reply("/a", "x")
    url = f"http://agent.test:{server.port}/a"
    assert (await client.send(HttpRequest("GET", url))).status == 200
    await asyncio.sleep(0.05)
    with pytest.raises(AddressRefused):
        await client.send(HttpRequest("GET", url))
    await client.close()
    resolver.close()


async def test_redirects_keep_or_change_the_method(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/keep", status=307, Location="/end?z=1")
    server.reply("/change", status=302, Location=server.url("/end"))
    server.reply("/end", "done")
    signed: list[tuple[str, str]] = []

    def headers_for(method: str, url: str) -> list[tuple[str, str]]:
        signed.append((method, url))
        return [("X-Signed", url)]

    reply = await client.send(HttpRequest("POST", server.url("/keep"), headers_for, body=b"a=1"))
    assert (reply.body, reply.redirects, reply.url) == (b"done", 1, server.url("/end?z=1"))
    assert [(seen.method, seen.body) for seen in server.seen] == [("POST", b"a=1"), ("POST", b"a=1")]
    assert signed == [("POST", server.url("/keep")), ("POST", server.url("/end?z=1"))]
    assert server.seen[1].headers["x-signed"] == server.url("/end?z=1")
    await client.send(HttpRequest("POST", server.url("/change"), body=b"a=1"))
    assert (server.seen[-1].method, server.seen[-1].body) == ("GET", b"")


async def test_fourth_redirect_is_a_failure(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/loop", status=302, Location="/loop")
    error = await failure_of(client, HttpRequest("GET", server.url("/loop")))
    assert error.failure is FailureClass.REDIRECTS
    assert len(server.seen) == 4


async def test_redirect_to_a_forbidden_place_is_refused(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/a", status=302, Location="http://10.0.0.1/")
    server.reply("/b", status=302, Location="file:///etc/passwd")
    assert isinstance(await failure_of(client, HttpRequest("GET", server.url("/a"))), AddressRefused)
    assert (await failure_of(client, HttpRequest("GET", server.url("/b")))).failure is FailureClass.REDIRECTS


async def test_redirect_from_https_to_http_is_refused(
    client: HttpClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def redirect(*args: object) -> HttpReply:
        return HttpReply(302, {"location": server.url("/plain")}, b"", "", 0, None, 0)

    monkeypatch.setattr(client, "_exchange", redirect)
    error = await failure_of(client, HttpRequest("GET", f"https://127.0.0.1:{server.port}/a"))
    assert error.failure is FailureClass.REDIRECTS
    assert "https to http" in error.message


async def test_address_that_nobody_checked_gets_no_socket(
    client: HttpClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr("ringback.egress.http._CheckedResolver.resolve", resolve)
    error = await failure_of(client, HttpRequest("GET", f"http://agent.test:{server.port}/"))
    assert isinstance(error, AddressRefused)
    assert server.connections == 0


async def test_credentials_go_to_their_own_origin_only(client: HttpClient, server: ScriptedServer) -> None:
    async with http_server() as other:
        other.reply("/end", "x")
        server.reply("/a", status=302, Location=other.url("/end"))
        await client.send(HttpRequest("GET", f"http://u:p%40@127.0.0.1:{server.port}/a"))
        assert server.seen[0].headers["authorization"] == "Basic dTpwQA=="
        assert "authorization" not in other.seen[0].headers


async def test_body_of_exactly_the_bound_passes_and_one_more_fails(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/fits", b"x" * 1000)
    server.reply("/over", b"x" * 1001)
    assert len((await client.send(HttpRequest("GET", server.url("/fits"), body_max_bytes=1000))).body) == 1000
    error = await failure_of(client, HttpRequest("GET", server.url("/over"), body_max_bytes=1000))
    assert isinstance(error, ResponseTooLarge)
    cut = await client.send(HttpRequest("GET", server.url("/over"), body_max_bytes=1000, is_body_cut=True))
    assert len(cut.body) == 1000


async def test_gzip_is_inflated_within_bounds(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/good", gzip.compress(b"<Response/>" * 10), Content_Encoding="gzip")
    server.reply("/bomb", gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")
    server.reply("/cut", gzip.compress(b"<Response/>" * 1000)[:-10], Content_Encoding="gzip")
    server.reply("/bad", b"not gzip at all", Content_Encoding="gzip")
    server.reply("/odd", b"xx", Content_Encoding="br")
    assert (await client.send(HttpRequest("GET", server.url("/good")))).body == b"<Response/>" * 10
    assert isinstance(await failure_of(client, HttpRequest("GET", server.url("/bomb"))), ResponseTooLarge)
    for path in ("/cut", "/bad", "/odd"):
        error = await failure_of(client, HttpRequest("GET", server.url(path)))
        assert error.failure is FailureClass.ENCODING, path


async def test_failure_status_is_returned_with_a_cut_body(client: HttpClient, server: ScriptedServer) -> None:
    server.reply("/a", b"x" * 1_000_000, status=500)
    reply = await client.send(HttpRequest("GET", server.url("/a"), body_max_bytes=1000))
    assert reply.status == 500
    assert len(reply.body) == 4096


async def test_huge_headers_are_refused(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/one", raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"))
    many = b"".join(b"X-%d: %s\r\n" % (index, b"b" * 400) for index in range(60))
    server.on("/many", raw(b"HTTP/1.1 200 OK\r\n" + many + b"\r\n"))
    for path in ("/one", "/many"):
        assert isinstance(await failure_of(client, HttpRequest("GET", server.url(path))), ResponseTooLarge), path


async def test_garbage_is_a_broken_exchange(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/a", raw(b"SSH-2.0-OpenSSH\r\n\r\n"))
    assert (await failure_of(client, HttpRequest("GET", server.url("/a")))).failure is FailureClass.BROKEN


async def test_tls_to_a_plain_port_fails_as_tls(client: HttpClient) -> None:
    async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    plain = await asyncio.start_server(speak_plainly, "127.0.0.1", 0)
    port = plain.sockets[0].getsockname()[1]
    error = await failure_of(client, HttpRequest("GET", f"https://127.0.0.1:{port}/"))
    plain.close()
    await plain.wait_closed()
    assert isinstance(error, ConnectFailed)
    assert error.failure is FailureClass.TLS


async def test_header_that_http_cannot_carry_is_refused(client: HttpClient, server: ScriptedServer) -> None:
    error = await failure_of(
        client, HttpRequest("GET", server.url("/"), lambda method, url: [("X-A", "1\r\nX-Evil: 1")])
    )
    assert isinstance(error, InvalidUrl)
    assert server.seen == []


async def test_requests_to_one_host_wait_for_a_slot(server: ScriptedServer) -> None:
    resolver = Resolver(Policy(Mode.DEV))
    client = HttpClient(resolver, HttpSettings(lanes={"document": 2}, slot_wait_ms=100))
    server.on("/slow", hang)
    held = [asyncio.create_task(client.send(HttpRequest("GET", server.url("/slow"), read_ms=5_000))) for _ in range(2)]
    await until(lambda: len(server.seen) == 2, "both requests")
    with pytest.raises(ConnectFailed, match="slot") as caught:
        await client.send(HttpRequest("GET", server.url("/slow")))
    assert caught.value.failure is FailureClass.TIMEOUT
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    server.reply("/fast", "x")
    assert (await client.send(HttpRequest("GET", server.url("/fast")))).status == 200
    assert client.in_flight == 0
    await client.close()
    resolver.close()


async def test_environment_proxies_are_ignored(
    client: HttpClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://10.0.0.1:3128")
    server.reply("/a", "x")
    assert (await client.send(HttpRequest("GET", server.url("/a")))).status == 200


async def test_own_address_and_port_stay_closed(server: ScriptedServer) -> None:
    own = Policy(Mode.DEV, own_addresses=frozenset({ip_address("127.0.0.1")}), own_ports=frozenset({server.port}))
    resolver = Resolver(own)
    client = HttpClient(resolver)
    with pytest.raises(AddressRefused):
        await client.send(HttpRequest("GET", server.url("/a")))
    await client.close()
    resolver.close()
