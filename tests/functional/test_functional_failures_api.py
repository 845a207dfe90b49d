"""REST requests that are wrong: the documented status and text, no redirect, no 5xx, and nothing happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.answering_phone import answering_phone
from tests.support.customer import Customer, response
from tests.support.raw_api import RawApi, RawReply
from tests.support.stream_agent import stream_agent

from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
NOBODY = "2c7a8fa0-0000-4000-8000-000000000000"
CALL = {"from": "15550001111", "to": "sip:nobody@127.0.0.1:9", "answer_url": "http://127.0.0.1:9/"}
STREAM = {"service_url": "ws://127.0.0.1:9/"}


@dataclass(frozen=True)
class Wrong:
    """One wrong request, its status, and what the answer must say."""

    method: str
    path: str
    body: Any
    status: int
    says: str
    headers: tuple[tuple[str, str], ...] = ()


def call_with(status: int = 400, says: str = "", **changes: object) -> Wrong:
    body = {name: value for name, value in {**CALL, **changes}.items() if value is not ...}
    return Wrong("POST", "Call/", body, status, says)


MAKE_CALL = [
    call_with(says="from parameter is missing", **{"from": ...}),
    call_with(says="to parameter is missing", to=""),
    call_with(says="answer_url parameter is missing", answer_url=None),
    call_with(says="is not a valid url, expected http:// or https://", answer_url="ftp://127.0.0.1/"),
    call_with(says="is not a valid url", hangup_url="nowhere"),
    call_with(says="answer_method parameter is invalid: 'PUT', expected GET or POST", answer_method="PUT"),
    call_with(says="stands twice, expected each destination once", to="sip:a@127.0.0.1<sip:a@127.0.0.1"),
    call_with(says="expected a phone number such as +14151234567 or a sip: URI", to="bob"),
    call_with(says="sips: needs TLS", to="sips:bob@127.0.0.1"),
    call_with(says="no trunk takes 14155550100 (add a [[trunk]] to ringback.toml", to="+14155550100"),
    call_with(says="ring_timeout parameter is invalid: 'soon', expected a whole number", ring_timeout="soon"),
    call_with(says="ring_timeout parameter is invalid: 0, expected 1 to", ring_timeout=0),
    call_with(says="time_limit parameter is invalid", time_limit=-1),
    call_with(says="send_digits parameter is invalid", send_digits="12x"),
    call_with(says="sip_headers parameter is invalid", sip_headers="Bad Name=1"),
    call_with(says="caller_name parameter is invalid", caller_name="x" * 51),
    call_with(
        says="machine_detection parameter is invalid: 'maybe', expected true or hangup", machine_detection="maybe"
    ),
    call_with(says="no call", parent_call_uuid=NOBODY, error_if_parent_not_found=True),
]
BODIES = [
    Wrong("POST", "Call/", b"{broken", 400, "request body is not JSON"),
    Wrong("POST", "Call/", b"[1, 2]", 400, "request body is a JSON array, expected an object"),
    Wrong("POST", "Call/", b'{"from": "\xff"}', 400, "request body is not JSON"),
    Wrong("POST", "Call/", b"{" + b" " * 2_000_000 + b"}", 413, "expected at most 1048576"),
    Wrong("POST", "Call/", b"--x--", 415, "multipart", (("Content_Type", "multipart/form-data; boundary=x"),)),
]
UNKNOWN = [
    Wrong("GET", f"Call/{NOBODY}/", None, 404, "call not found (live calls need ?status=live)"),
    Wrong("GET", f"Call/{NOBODY}/?status=live", None, 404, "no live call of this id"),
    Wrong("DELETE", f"Call/{NOBODY}/", None, 404, "no live call of this id"),
    Wrong("POST", f"Call/{NOBODY}/", {"aleg_url": "http://127.0.0.1:9/"}, 404, "not found"),
    Wrong("DELETE", f"Request/{NOBODY}/", None, 404, ""),
    Wrong("POST", f"Call/{NOBODY}/Stream/", STREAM, 404, "streams start on an answered call"),
    Wrong("GET", f"Call/{NOBODY}/Stream/", None, 404, "not found"),
    Wrong("DELETE", f"Call/{NOBODY}/Stream/", None, 404, "not found"),
    Wrong("GET", f"Call/{NOBODY}/Stream/{NOBODY}/", None, 404, "stream not found"),
    Wrong("DELETE", f"Call/{NOBODY}/Stream/{NOBODY}/", None, 404, "no live stream of this id"),
    Wrong("GET", "Application/1/", None, 404, "application not found"),
    Wrong("GET", "Number/15559999999/", None, 404, "number not found"),
    Wrong("GET", "Nothing/", None, 404, "not found"),
    Wrong("GET", "/v2/", None, 404, "not found"),
    Wrong("PATCH", "Call/", None, 405, "method PATCH is not allowed here"),
    Wrong("GET", "Call/?limit=21", None, 400, "limit parameter is invalid: 21, expected 1 to 20"),
    Wrong("GET", "Call/?end_time__gt=yesterday", None, 400, "expected YYYY-MM-DD HH:MM"),
    Wrong("POST", f"Call/{NOBODY}/", {}, 400, "aleg_url parameter is missing"),
    Wrong("POST", f"Call/{NOBODY}/", {"legs": "cleg"}, 400, "expected aleg or bleg or both"),
    Wrong("POST", "Application/", {}, 400, "app_name parameter is missing"),
    Wrong("POST", "Application/", {"app_name": "a", "answer_url": "mailto:x"}, 400, "is not a valid url"),
]


def stream_with(says: str, status: int = 400, **changes: object) -> Wrong:
    return Wrong("POST", "Call/{uuid}/Stream/", {**STREAM, **changes}, status, says)


STREAMS = [
    stream_with("service_url parameter is missing", service_url=""),
    stream_with("not a WebSocket URL (it starts with wss:// or ws://)", service_url="https://127.0.0.1/"),
    stream_with("url has no host", service_url="ws://"),
    stream_with("10.1.2.3 is private (egress.allow can open it)", service_url="ws://10.1.2.3/"),
    stream_with("audio_track parameter is invalid", audio_track="sideways"),
    stream_with(
        "audio_track parameter is invalid: both with bidirectional=true", audio_track="both", bidirectional=True
    ),
    stream_with("content_type parameter is invalid: audio/ogg (use one of", content_type="audio/ogg"),
    stream_with("content_type parameter is invalid", content_type="audio/x-l16;rate=24000"),
    stream_with("extra_headers parameter is invalid: 513 bytes, at most 512", extra_headers="x" * 513),
    stream_with("stream_timeout parameter is invalid: 0", stream_timeout=0),
    stream_with("noise_cancellation_level parameter is invalid: 59, expected 60 to 100", noise_cancellation_level=59),
    stream_with("bidirectional parameter is invalid", bidirectional="perhaps"),
    stream_with("is not a valid url", status_callback_url="127.0.0.1"),
    stream_with("status_callback_method parameter is invalid", status_callback_method="HEAD"),
]


def assert_refused(wrong: Wrong, reply: RawReply) -> None:
    assert reply.status == wrong.status, (wrong, reply)
    assert reply.headers["content-type"].startswith("application/json")
    assert wrong.says in reply.error, (wrong, reply)
    assert len(reply.json["api_id"]) == 36
    if reply.status == 405:
        assert "POST" in reply.headers["allow"]


async def all_refused(api: RawApi, wrongs: list[Wrong], uuid: str = "") -> None:
    """Send every wrong request, as it is and without the final slash."""
    failures = []

    async def one(wrong: Wrong, path: str) -> None:
        try:
            assert_refused(wrong, await api(wrong.method, path, wrong.body, **dict(wrong.headers)))
        except AssertionError as failure:
            failures.append(failure)

    paths = [(wrong, wrong.path.format(uuid=uuid)) for wrong in wrongs]
    await asyncio.gather(*(one(wrong, path) for wrong, path in paths))
    await asyncio.gather(*(one(wrong, path.replace("/?", "?").removesuffix("/")) for wrong, path in paths))
    if failures:
        raise ExceptionGroup(f"{len(failures)} answers", failures)


async def test_wrong_requests_are_named_and_have_no_effect(platform: Platform) -> None:
    api = RawApi(platform)
    before = (await api("GET", "Call/")).json["meta"]["total_count"]
    await all_refused(api, [*MAKE_CALL, *BODIES, *UNKNOWN])
    assert (await api("GET", "Call/?status=live")).json["calls"] == []
    assert (await api("GET", "Call/?status=queued")).json["calls"] == []
    assert (await api("GET", "Call/")).json["meta"]["total_count"] == before


async def test_wrong_streams_of_a_live_call_are_named_and_leave_it_alone(
    platform: Platform, customer: Customer
) -> None:
    api = RawApi(platform)
    answer_url = customer.serve("/answer", response('<Wait length="60"/>'))
    async with answering_phone() as callee, stream_agent() as agent:
        uuid = await api.make_call(to=callee.uri, answer_url=answer_url, hangup_url=customer.url("/hangup"))
        call = await callee.call_of(uuid)
        await customer.until("/answer")
        await all_refused(api, STREAMS, uuid)
        assert (await api("GET", f"Call/{uuid}/Stream/")).json["meta"]["count"] == 0
        assert not agent.connections

        started = await api("POST", f"Call/{uuid}/Stream/", {"service_url": agent.url, "bidirectional": True})
        assert (started.status, started.json["message"]) == (202, "audio streaming started")
        again = await api("POST", f"Call/{uuid}/Stream/", {"service_url": agent.url})
        assert_refused(stream_with("the call streams to this URL already"), again)
        second = await api("POST", f"Call/{uuid}/Stream/", {"service_url": f"{agent.url}&2", "bidirectional": True})
        assert_refused(stream_with("the call has a bidirectional stream already (stop it first"), second)
        for number in range(4):
            one_way = await api("POST", f"Call/{uuid}/Stream/", {"service_url": f"{agent.url}&{number}"})
            assert one_way.status == 202, one_way
        fifth = await api("POST", f"Call/{uuid}/Stream/", {"service_url": f"{agent.url}&5"})
        assert_refused(stream_with("the call has 4 one-way streams already (stop one first)"), fifth)
        assert (await api("DELETE", f"Call/{uuid}/Stream/")).status == 204
        assert (await api("DELETE", f"Call/{uuid}/Stream/")).status == 204, "nothing to stop is no error"
        call.hang_up()
        await customer.hangup_params("/hangup", uuid)
        gone = await api("POST", f"Call/{uuid}/Stream/", STREAM)
        assert_refused(stream_with("streams start on an answered call", 404), gone)
