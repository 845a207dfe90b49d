"""Documents are fetched with retries and fallback, signed, and every attempt is recorded."""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from plivo.utils import validate_signature, validate_v3_signature
from tests.support.flow_call import ListTimeline
from tests.support.http_server import (
    Handler,
    ScriptedServer,
    SeenRequest,
    close,
    drip,
    fixed,
    hang,
    http_server,
    raw,
)

from ringback.egress.http import HttpClient
from ringback.egress.policy import Mode, Policy
from ringback.egress.resolve import Resolver
from ringback.webhooks.fetcher import (
    Callback,
    CallbackKind,
    FetchSettings,
    UnreachableUrl,
    UnusableReply,
    WebhookFetcher,
)
from ringback.webhooks.signature import SigningKeys

KEYS = SigningKeys(("token-of-account",), ("token-of-main",))
PARAMS = {"CallUUID": "c1", "From": "15550001000", "SIP-H-To": "<sip:a@b>;tag=1", "CallerName": "Zoë +1"}
XML = "<Response/>"


@dataclass
class Bench:
    """A fetcher, the server it talks to, and what it recorded."""

    server: ScriptedServer
    http: HttpClient
    timeline: ListTimeline
    fetcher: WebhookFetcher

    def callback(self, path: str = "/answer", method: str = "POST", **changes: Any) -> Callback:
        values: dict[str, Any] = {
            "kind": CallbackKind.ANSWER,
            "url": self.server.url(path),
            "method": method,
            "params": PARAMS,
            "call_uuid": "c1",
            "signing": KEYS,
        }
        return Callback(**{**values, **changes})

    def fallback(self, path: str = "/fallback") -> Callback:
        return self.callback(path, kind=CallbackKind.FALLBACK)

    def outcomes(self) -> list[object]:
        return [fields["outcome"] for fields in self.timeline.of("webhook")]

    async def failure(self, *callbacks: Callback) -> UnreachableUrl:
        with pytest.raises(UnreachableUrl) as caught:
            await self.fetcher.fetch(*callbacks)
        return caught.value


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with http_server() as server:
        resolver = Resolver(Policy(Mode.DEV), lookup=lambda name: ["127.0.0.1"])
        http = HttpClient(resolver)
        timeline = ListTimeline()
        settings = FetchSettings(retry_pause_ms=10)
        yield Bench(server, http, timeline, WebhookFetcher(http, timeline, settings))
        assert http.in_flight == 0
        await http.close()
        resolver.close()


def check_signatures(seen: SeenRequest, url: str, params: dict[str, str]) -> None:
    headers = seen.headers
    nonce = headers["x-plivo-signature-v3-nonce"]
    assert len(nonce) == 20
    assert nonce.isdigit()
    for name, token in (("x-plivo-signature-v3", "token-of-account"), ("x-plivo-signature-ma-v3", "token-of-main")):
        assert validate_v3_signature(seen.method, url, nonce, token, headers[name], dict(params)), name
    v2_nonce = headers["x-plivo-signature-v2-nonce"]
    assert validate_signature(url, v2_nonce, headers["x-plivo-signature-v2"], "token-of-account")
    assert validate_signature(url, v2_nonce, headers["x-plivo-signature-ma-v2"], "token-of-main")


@pytest.mark.parametrize("query", ["", "?a=b&c=d", "?x=2&x=1", "?q=a+b%2Bc", "?body=eyJhIjoxfQ=="])
async def test_post_is_a_signed_form(bench: Bench, query: str) -> None:
    bench.server.reply("/answer", XML)
    document = await bench.fetcher.fetch(bench.callback(f"/answer{query}#ct=500"))
    assert (document.status, document.body, document.kind) == (200, b"<Response/>", CallbackKind.ANSWER)
    (seen,) = bench.server.seen
    assert seen.target == f"/answer{query}"
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(seen.form) == PARAMS
    rebuilt = f"http://{seen.headers['host']}{seen.target}"
    check_signatures(seen, rebuilt, dict(seen.form))
    assert seen.headers["x-ringback-event-id"]


@pytest.mark.parametrize("query", ["", "?a=b&c=d", "?x=2&x=1", "?q=a+b", "?body=eyJhIjoxfQ=="])
async def test_get_carries_the_parameters_in_the_signed_query(bench: Bench, query: str) -> None:
    bench.server.reply("/answer", XML)
    params = {**PARAMS, "CallerName": "Zoe +1"}
    await bench.fetcher.fetch(bench.callback(f"/answer{query}", "get", params=params))
    (seen,) = bench.server.seen
    assert seen.method == "GET"
    assert seen.target.startswith(f"/answer{query}")
    assert seen.body == b""
    assert "content-type" not in seen.headers
    assert set(params.items()) <= set(seen.query)
    check_signatures(seen, f"http://{seen.headers['host']}{seen.target}", {})


async def test_credentials_of_the_url_are_sent_and_not_signed(bench: Bench) -> None:
    bench.server.reply("/answer", XML)
    url = f"http://user:pass@127.0.0.1:{bench.server.port}/answer"
    await bench.fetcher.fetch(bench.callback(url=url))
    (seen,) = bench.server.seen
    assert seen.headers["authorization"] == "Basic " + base64.b64encode(b"user:pass").decode()
    check_signatures(seen, bench.server.url("/answer"), dict(seen.form))
    assert "pass" not in str(bench.timeline.events)


async def test_redirected_request_is_signed_for_where_it_goes(bench: Bench) -> None:
    bench.server.reply("/answer", status=307, Location="/moved?z=1")
    bench.server.reply("/moved", XML)
    document = await bench.fetcher.fetch(bench.callback())
    assert document.url == bench.server.url("/moved?z=1")
    check_signatures(bench.server.seen[1], bench.server.url("/moved?z=1"), PARAMS)


async def test_every_attempt_is_recorded_with_its_signed_text(bench: Bench) -> None:
    bench.server.replies("/answer", fixed("oops", 500, "text/plain"), fixed(XML))
    await bench.fetcher.fetch(bench.callback())
    first, second = bench.timeline.of("webhook")
    assert (first["target"], first["attempt"], first["outcome"], first["status"]) == ("answer", 1, "status", 500)
    assert first["body"] == "oops"
    assert (second["attempt"], second["outcome"], second["status"]) == (2, "ok", 200)
    assert second["method"] == "POST"
    assert second["url"] == bench.server.url("/answer")
    assert second["params"] == PARAMS
    assert str(second["signed"]).startswith(f"{bench.server.url('/answer')}?CallUUIDc1")
    assert isinstance(second["total_ms"], int)
    assert first["event_id"] == second["event_id"]
    nonces = [seen.headers["x-plivo-signature-v3-nonce"] for seen in bench.server.seen]
    assert nonces[0] != nonces[1], "a nonce is used once"
    assert "token-of" not in str(bench.timeline.events)


async def test_excerpt_is_cut_to_a_kibibyte(bench: Bench) -> None:
    bench.server.reply("/answer", b"x" * 5_000)
    await bench.fetcher.fetch(bench.callback())
    (fields,) = bench.timeline.of("webhook")
    assert len(str(fields["body"])) == 1024
    assert fields["body_bytes"] == 5_000


CODES = [
    (CallbackKind.ANSWER, 7011, 7011, 7011),
    (CallbackKind.ACTION, 7012, 7022, 7032),
    (CallbackKind.TRANSFER, 7013, 7023, 7033),
    (CallbackKind.REDIRECT, 7014, 7024, 7034),
]


@pytest.mark.parametrize(("kind", "unreachable", "invalid_url", "invalid_method"), CODES)
async def test_each_kind_has_its_codes(
    bench: Bench, kind: CallbackKind, unreachable: int, invalid_url: int, invalid_method: int
) -> None:
    bench.server.reply("/answer", status=404)
    assert (await bench.failure(bench.callback(kind=kind))).cause_code == unreachable
    for url in ("not a url", "", "ftp://a/", "/relative"):
        assert (await bench.failure(bench.callback(kind=kind, url=url))).cause_code == invalid_url
    assert (await bench.failure(bench.callback(kind=kind, method="PUT"))).cause_code == invalid_method
    assert len(bench.server.seen) == 1, "a 404 is not retried, and faults of ours are not sent"


def refused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    ("handler", "fragment", "attempts", "outcome"),
    [
        (fixed("x", 500), "", 2, "status"),
        (fixed("x", 503), "rc=0", 1, "status"),
        (fixed("x", 503), "rc=3", 4, "status"),
        (fixed("x", 500), "rc=2&rp=ct,rt", 1, "status"),
        (fixed("x", 404), "rc=2&rp=4xx", 3, "status"),
        (fixed("x", 404), "rc=2&rp=all", 3, "status"),
        (fixed("x", 404), "", 1, "status"),
        (close, "rc=1", 2, "broken"),
        (close, "rc=1&rp=5xx", 1, "broken"),
        (hang, "rt=100&rc=1", 2, "timeout"),
        (hang, "rt=100&rc=1&rp=ct", 1, "timeout"),
        (drip(b"x" * 100, 0.03), "rt=150&rc=0", 1, "timeout"),
        (fixed("", 302, Location="/answer"), "rc=3&rp=all", 1, "redirects"),
        (raw(b"garbage\r\n\r\n"), "rc=1", 2, "broken"),
    ],
)
async def test_attempts_follow_the_fragment(
    bench: Bench, handler: Handler, fragment: str, attempts: int, outcome: str
) -> None:
    bench.server.on("/answer", handler)
    error = await bench.failure(bench.callback(f"/answer#{fragment}"))
    assert error.cause_code == 7011
    assert bench.outcomes() == [outcome] * attempts
    assert all("#" not in seen.target for seen in bench.server.seen)


async def test_refused_connection_counts_as_a_connect_failure(bench: Bench) -> None:
    url = f"http://127.0.0.1:{refused_port()}/answer"
    await bench.failure(bench.callback(url=f"{url}#rc=1&rp=ct"))
    assert bench.outcomes() == ["refused", "refused"]
    await bench.failure(bench.callback(url=f"{url}#rc=1&rp=rt"))
    assert bench.outcomes() == ["refused"] * 3


async def test_forbidden_address_is_not_tried_again(bench: Bench) -> None:
    error = await bench.failure(bench.callback(url="https://10.0.0.1/#rc=5&rp=all"))
    assert error.cause_code == 7011
    assert bench.outcomes() == ["forbidden"]


async def test_total_time_spans_all_attempts(bench: Bench) -> None:
    bench.server.on("/answer", hang)
    await bench.failure(bench.callback("/answer#rt=200&tt=500&rc=5"))
    assert 1 <= len(bench.server.seen) <= 3, "without a total there are six attempts"


async def test_fallback_is_asked_once_after_three_attempts(bench: Bench) -> None:
    bench.server.reply("/answer", "no", status=500)
    bench.server.reply("/fallback", XML)
    document = await bench.fetcher.fetch(bench.callback(), bench.fallback())
    assert document.kind is CallbackKind.FALLBACK
    assert [seen.path for seen in bench.server.seen] == ["/answer"] * 3 + ["/fallback"]
    assert dict(bench.server.seen[-1].form) == PARAMS


async def test_failing_fallback_is_not_retried(bench: Bench) -> None:
    bench.server.reply("/answer", "no", status=404)
    bench.server.reply("/fallback", "no", status=500)
    error = await bench.failure(bench.callback(), bench.fallback())
    assert error.cause_code == 7011
    assert "404" in error.message
    assert "500" in error.message
    assert [seen.path for seen in bench.server.seen] == ["/answer", "/fallback"]


async def test_fallback_answers_for_an_invalid_url_too(bench: Bench) -> None:
    bench.server.reply("/fallback", XML)
    assert (await bench.fetcher.fetch(bench.callback(url="nonsense"), bench.fallback())).body == b"<Response/>"


@pytest.mark.parametrize(
    "handler",
    [
        fixed(b"x" * 131_073),
        fixed(b"x" * 10_000_000),
        fixed(gzip.compress(b"\0" * 20_000_000), Content_Encoding="gzip"),
        fixed(b"not gzip", Content_Encoding="gzip"),
    ],
)
async def test_reply_that_cannot_be_used_is_neither_retried_nor_replaced(bench: Bench, handler: Handler) -> None:
    bench.server.on("/answer", handler)
    bench.server.reply("/fallback", XML)
    with pytest.raises(UnusableReply):
        await bench.fetcher.fetch(bench.callback("/answer#rc=3&rp=all"), bench.fallback())
    assert [seen.path for seen in bench.server.seen] == ["/answer"]


async def test_largest_document_passes(bench: Bench) -> None:
    bench.server.reply("/answer", b"x" * 131_072)
    assert len((await bench.fetcher.fetch(bench.callback())).body) == 131_072


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_a_document(bench: Bench, status: int) -> None:
    bench.server.reply("/answer", status=status)
    assert (await bench.fetcher.fetch(bench.callback())).status == status


async def test_given_up_fetch_is_recorded_and_leaves_nothing(bench: Bench) -> None:
    arrived = asyncio.Event()

    async def take_and_hang(request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hang(request, writer)

    bench.server.on("/answer", take_and_hang)
    task = asyncio.create_task(bench.fetcher.fetch(bench.callback()))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.outcomes() == ["cancelled"]
    assert bench.http.in_flight == 0


async def test_settings_that_were_not_understood_are_recorded(bench: Bench) -> None:
    bench.server.reply("/answer", XML)
    await bench.fetcher.fetch(bench.callback("/answer#ct=soon"))
    assert bench.timeline.of("webhook")[0]["ignored_settings"] == ["ct=soon"]


async def test_hostile_parameter_texts_stay_in_their_place(bench: Bench) -> None:
    bench.server.reply("/answer", XML)
    params = {"CallerName": "a\r\nX-Evil: 1\x00\ud800", "X-PH-A&b": "=&+%"}
    await bench.fetcher.fetch(bench.callback(params=params))
    (seen,) = bench.server.seen
    assert "x-evil" not in seen.headers
    assert dict(seen.form) == {"CallerName": "a\r\nX-Evil: 1\x00?", "X-PH-A&b": "=&+%"}
    check_signatures(seen, bench.server.url("/answer"), dict(seen.form))
