"""Inbound calls: a phone dials a number, the customer's document opens a stream, audio goes both ways."""

import asyncio
import base64

import pytest
from tests.support.agent_audio import assert_gapless, frames, heard_by, say, sounding
from tests.support.customer import response, stream
from tests.support.judging import assert_sung_through
from tests.support.live_calls import answered, connection_of, hung_up, say_until, until_heard_ms
from tests.support.waiting import until

from ringback.phones import tones
from ringback.testing.answer_server import AppReply

pytestmark = pytest.mark.functional

FORMATS = {
    "audio/x-mulaw;rate=8000": ("audio/x-mulaw", 8000, 160),
    "audio/x-l16;rate=8000": ("audio/x-l16", 8000, 320),
    "audio/x-l16;rate=16000": ("audio/x-l16", 16000, 640),
}
CALLERS = (("udp", "PCMU", 20), ("tcp", "PCMA", 20), ("udp", "PCMU", 10), ("udp", "PCMA", 30), ("tcp", "PCMU", 40))
"""Transport, codec and packet time of the callers of each format."""
MELODY_MS = 1200
LATE_MS = 1000
"""Far above the promised 30 ms: here all processes share two cores with whatever else runs."""


@pytest.mark.parametrize("content_type", FORMATS)
async def test_melody_returns_through_the_agent(customer, agent, new_phone, platform, content_type):
    encoding, rate_hz, frame_bytes = FORMATS[content_type]
    number = await customer.number(customer.serve("/answer", response(stream(agent.url, contentType=content_type))))

    async def one(seed, transport, codec, ptime_ms):
        phone = await new_phone(codecs=(codec,), ptime_ms=ptime_ms)
        call = await answered(phone, platform, number, transport)
        connection = await connection_of(agent, call)
        assert call.codec == codec
        assert connection.format == (encoding, rate_hz)
        await assert_sung_through(call, seed, MELODY_MS, lambda: heard_by(connection), rate_hz=rate_hz)
        assert {len(base64.b64decode(f["media"]["payload"])) for f in frames(connection)} == {frame_bytes}
        heard = call.heard()
        assert heard.round_trip_ms is None or heard.round_trip_ms < LATE_MS
        assert heard.level_dbov == pytest.approx(heard.sent_level_dbov, abs=1)
        connection.echoes = False
        # What was echoed until now has to be through.
        await until_heard_ms(call, len(call.heard_samples()) / 8 + 400)
        already = len(call.heard_samples())
        say(connection, tones.tone(1700, 800, rate_hz, level_dbov=-20))
        await until(lambda: len(sounding(call.heard_samples()[already:])) > 8 * 600, "the agent's tone")
        loud = sounding(call.heard_samples()[already:])
        assert tones.pitch_hz(loud) == pytest.approx(1700, abs=3)
        assert tones.level_dbov(loud) == pytest.approx(-20, abs=1)
        assert_gapless(connection)
        assert (await hung_up(call)).by == "us"
        assert call.totals.lost_packets == 0

    await asyncio.gather(*(one(seed, *caller) for seed, caller in enumerate(CALLERS)))


async def test_keys_arrive_once_each_and_in_order(customer, agent, phone, platform):
    number = await customer.number(customer.serve("/answer", response(stream(agent.url))))
    call = await answered(phone, platform, number)
    connection = await connection_of(agent, call)
    call.send_digits("1590*#AD5")
    await until(lambda: len(agent.events("dtmf")) >= 9, "nine digits")
    call.send_digits("7")
    await until(lambda: len(agent.events("dtmf")) >= 10, "the tenth digit")
    events = agent.events("dtmf")
    assert "".join(event["dtmf"]["digit"] for event in events) == "1590*#AD57"
    for event in events:
        assert event["dtmf"]["track"] == "inbound"
        assert event["dtmf"]["timestamp"].isdigit()
        assert event["streamId"] == connection.messages[0]["start"]["streamId"]
        assert event["extra_headers"] == ""
    assert_gapless(connection)
    await hung_up(call)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_answer_url_gets_the_documented_parameters(customer, phone, platform, method):
    answer_url = customer.serve("/answer", response('<Hangup reason="busy"/>'))
    number = await customer.number(answer_url + "?tenant=7&sign=a%2Bb", answer_method=method)
    headers = (("X-PH-Order", "42"), ("X-PH-VIP", "yes, really"), ("Diversion", "<sip:+15557770000@127.0.0.1>"))
    call = await phone.call(platform.uri(number), headers=headers)
    await call.until_ended()
    (request,) = await customer.until("/answer")
    assert request.method == method
    params = request.params
    assert params.pop("SessionStart").replace("-", "").replace(":", "").replace(" ", "").replace(".", "").isdigit()
    assert params.pop("SIP-H-To").startswith(f"<sip:{number}@")
    assert {name: value for name, value in params.items() if not name.startswith("SIP-H-")} == {
        "tenant": "7",
        "sign": "a+b",
        "CallUUID": call.call_uuid,
        "From": "15550002222",
        "To": number,
        "Direction": "inbound",
        "CallStatus": "ringing",
        "Event": "StartApp",
        "BillRate": "0.00000",
        "ParentAuthID": platform.auth_id,
        "CallerName": "Alice Example",
        "ForwardedFrom": "15557770000",
        "SIPSourceIP": "127.0.0.1",
        "X-PH-Order": "42",
        "X-PH-VIP": "yes, really",
    }
    if method == "POST":
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.query == {"tenant": "7", "sign": "a+b"}
    else:
        assert request.body == b""


async def test_fallback_url_answers_when_the_answer_url_fails(customer, agent, phone, platform):
    failing = customer.serve("/answer", AppReply(b"broken", 500, "text/plain"))
    fallback = customer.serve("/fallback", response(stream(agent.url)))
    number = await customer.number(failing, fallback_answer_url=fallback, fallback_method="GET")
    call = await answered(phone, platform, number)
    assert [request.path for request in customer.requests] == ["/answer"] * 3 + ["/fallback"]
    assert customer.requests[-1].method == "GET"
    assert customer.requests[-1].params["CallUUID"] == call.call_uuid
    await connection_of(agent, call)
    await say_until(call, tones.tone(900, 600), lambda: call.heard().sound_ms >= 300, "the echo")
    assert call.heard().pitch_hz == pytest.approx(900, abs=3)
    await hung_up(call)
