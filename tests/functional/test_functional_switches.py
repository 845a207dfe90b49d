"""Every choice of docs/protocol/switches.md turned the other way, on one platform: what the wire looks like then."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from plivo.utils import validate_v3_signature
from tests.support.agent_audio import encode, say, sounding
from tests.support.customer import Customer, response, stream
from tests.support.live_calls import answered, connection_of, hung_up
from tests.support.raw_api import RawApi
from tests.support.stream_agent import AgentConnection, StreamAgent, stream_agent
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
CERTIFICATES = Path(__file__).parents[1] / "vectors" / "tls"
SETTINGS = {
    "RINGBACK_BILLING__CALL_PER_MINUTE": "0.0085",
    "RINGBACK_LIMITS__API_PER_5S": "0",
    "RINGBACK_STREAM__ALLOW_INSECURE": "never",
    "RINGBACK_STREAM__CA_FILE": str(CERTIFICATES / "ca.pem"),
    "RINGBACK_STREAM__EXTRA_HEADERS": "json",
    "RINGBACK_STREAM__FORMATS": "strict",
    "RINGBACK_STREAM__HANDSHAKE_HEADERS": "true",
    "RINGBACK_STREAM__PLAYOUT_MAX_MS": "2000",
    "RINGBACK_STREAM__SEND_STOP": "false",
    "RINGBACK_STREAM__STATUS_BODY": "json",
    "RINGBACK_STREAM__STATUS_EVENTS": "started",
    "RINGBACK_STREAM__SUBPROTOCOL": "",
    "RINGBACK_STREAM__TRANSFER": "after-stream",
    "RINGBACK_WEBHOOKS__NUMBER_PLUS": "true",
}
TONE_HZ, TONE_MS = 900, 600


@pytest.fixture(scope="module")
def running() -> Iterator[Platform]:
    with Platform.start(settings=SETTINGS) as platform:
        yield platform


@pytest.fixture
async def secure_agent() -> AsyncIterator[StreamAgent]:
    """A voice agent behind TLS that says what it is told to."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATES / "agent.pem", CERTIFICATES / "agent.key")
    async with stream_agent(echo=False, tls=tls) as agent:
        yield agent


def named(connection: AgentConnection, event: str) -> list[dict[str, Any]]:
    return [message for message in connection.messages if message["event"] == event]


def told(customer: Customer, path: str) -> list[dict[str, Any]]:
    """Return the JSON bodies that were posted to a path."""
    return [json.loads(request.body) for request in customer.seen(path)]


async def test_a_call_with_every_switch_turned(customer: Customer, phone: Phone, secure_agent: StreamAgent) -> None:
    hangup_url, status_url = customer.url("/hangup"), customer.url("/status")
    attributes = {"extraHeaders": "tenant=7;host=evil", "statusCallbackUrl": status_url}
    element = stream(secure_agent.url, contentType="audio/x-mulaw;rate=8000", **attributes)
    number = await customer.number(customer.serve("/answer", response(element)), hangup_url=hangup_url)
    call = await answered(phone, customer.platform, number)
    agent = await connection_of(secure_agent, call)

    asked = customer.seen("/answer")[0].params
    assert (asked["From"], asked["To"]) == ("+15550002222", f"+{number}")
    assert asked["BillRate"] == "0.00850"

    upgrade = {name.lower(): value for name, value in secure_agent.requests[0].headers.items()}
    assert upgrade["tenant"] == "7"
    assert upgrade["host"] == f"127.0.0.1:{secure_agent.port}", "what the handshake needs is not the customer's"
    assert "sec-websocket-protocol" not in upgrade
    assert agent.messages[0]["extra_headers"] == '{"tenant":"7","host":"evil"}'

    audio = encode(tones.tone(TONE_HZ, TONE_MS), "audio/x-mulaw")
    agent.play(audio, "audio/x-mulaw;rate=8000")
    await until(lambda: named(agent, "incorrectPayload"), "the refusal")
    assert named(agent, "incorrectPayload")[0]["reason"] == (
        "invalid_content_type: audio/x-mulaw;rate=8000, expected audio/x-mulaw"
    )
    say(agent, tones.tone(TONE_HZ, TONE_MS))
    await until(lambda: len(sounding(call.heard_samples())) >= 8 * (TONE_MS - 100), "the agent at the phone")
    assert tones.pitch_hz(sounding(call.heard_samples())) == pytest.approx(TONE_HZ, abs=4)
    agent.play(encode(tones.tone(TONE_HZ, 2_100), "audio/x-mulaw"))
    await until(lambda: named(agent, "playFailed"), "the full queue")

    # A transfer waits for the agent's end.
    await customer.sdk(lambda sdk: sdk.calls.transfer(call.call_uuid, legs="aleg", aleg_url=customer.url("/moved")))
    customer.serve("/moved", response("<Hangup/>"))
    await customer.until_event(call.call_uuid, "call", state="transferred")
    heard = len(agent.messages)
    await until(lambda: len(agent.messages) > heard + 25, "half a second of the stream")
    assert not customer.seen("/moved")
    agent.close()
    [moved] = await customer.until("/moved")
    assert moved.params["From"] == "+15550002222"
    ended = await customer.hangup_params()
    assert (ended["HangupCauseCode"], ended["From"]) == ("4000", "+15550002222")
    assert (ended["BillRate"], ended["TotalCost"], ended["BillDuration"]) == ("0.00850", "0.00850", "60")
    record = await customer.cdr(call.call_uuid)
    assert (record.total_rate, record.total_amount) == ("0.00850", "0.00850")

    await until(
        lambda: told(customer, "/status")[-1:] and told(customer, "/status")[-1]["Event"] == "stopped", "the end"
    )
    started, degraded, stopped = told(customer, "/status")
    assert (started["Event"], degraded["Event"], degraded["StatusReason"]) == (
        "started",
        "degraded",
        "buffer_30_percent",
    )
    assert stopped["StatusReason"] == "completed"
    assert (started["From"], started["To"]) == ("+15550002222", f"+{number}")
    assert started["Timestamp"].endswith("Z")
    assert started["extraHeaders"] == "tenant=7;host=evil"
    request = customer.seen("/status")[0]
    assert request.headers["content-type"] == "application/json"
    assert validate_v3_signature(
        "POST",
        status_url,
        request.headers["x-plivo-signature-v3-nonce"],
        customer.platform.auth_token,
        request.headers["x-plivo-signature-v3"],
        {},
    )


async def test_streams_by_rest_with_every_switch_turned(
    customer: Customer, phone: Phone, platform: Platform, secure_agent: StreamAgent
) -> None:
    """`ws://` is refused, a stream that is stopped ends without `stop`, and the price is the operator's."""
    number = await customer.number(customer.serve("/wait", response('<Wait length="60"/>')))
    call = await answered(phone, platform, number)
    rest, path = RawApi(platform), f"Call/{call.call_uuid}/Stream/"
    plain = await rest("POST", path, {"service_url": secure_agent.url.replace("wss:", "ws:")})
    assert plain.status == 400
    assert "wss" in plain.json["error"]
    started = await rest("POST", path, {"service_url": secure_agent.url})
    connection = await connection_of(secure_agent, call)
    assert connection.messages[0]["extra_headers"] == "{}"
    assert (await rest("DELETE", f"{path}{started.json['stream_id']}/")).status == 204
    await until(lambda: connection.close_code is not None, "the close")
    assert connection.close_code == 1000
    assert not named(connection, "stop")
    price = await asyncio.to_thread(lambda: platform.sdk().pricing.get("DE"))
    assert price.voice["outbound"]["local"]["rate"] == "0.00850"
    assert price.message["outbound"]["rate"] == "0.00000"
    await hung_up(call)
