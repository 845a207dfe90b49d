"""One more than allowed, a customer who is away for a while, and what the logs must never hold."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.support.answering_phone import answering_phone
from tests.support.customer import Customer, response, stream
from tests.support.echo import assert_echoed
from tests.support.ports import free_port
from tests.support.raw_api import RawApi
from tests.support.sip_stranger import ECHO, Stranger, sdp
from tests.support.stream_agent import stream_agent
from tests.support.waiting import until

from ringback.phones.call import CallNotAnswered
from ringback.phones.phone import Phone
from ringback.testing import tones
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
CALLS_MAX = 4
LOGIN_REFUSED = "Could not verify your access level for that URL.\nYou have to login with proper credentials"
WAIT = response('<Wait length="60"/>')


@pytest.fixture(scope="module")
def running() -> Iterator[Platform]:
    """A platform of four calls."""
    settings = {"RINGBACK_LIMITS__CALLS": str(CALLS_MAX), "RINGBACK_LIMITS__API_PER_5S": "0"}
    with Platform.start(settings=settings) as platform:
        yield platform


async def test_one_call_too_many(platform: Platform, customer: Customer, phone: Phone) -> None:
    """503 with Retry-After to a caller, 429 with Retry-After to the API; the calls that are up go on."""
    api = RawApi(platform)
    answer_url = customer.serve("/wait", WAIT)
    async with answering_phone() as callee:
        inbound = [await phone.call(platform.uri(ECHO)) for _ in range(CALLS_MAX // 2)]
        await asyncio.gather(*(call.until_answered() for call in inbound))
        wanted = {"to": callee.uri, "answer_url": answer_url, "hangup_url": customer.url("/hangup")}
        made = [await api.make_call(**wanted) for _ in range(CALLS_MAX // 2)]
        outbound = [await callee.call_of(call_uuid) for call_uuid in made]
        await customer.until("/wait", len(made))

        with Stranger(platform) as stranger:
            refused = await stranger.answer(stranger.request(body=sdp("0")))
        assert refused.startswith("SIP/2.0 503 "), refused
        assert "Retry-After: 5" in refused
        another = await phone.call(platform.uri(ECHO))
        with pytest.raises(CallNotAnswered) as too_many:
            await another.until_answered()
        assert too_many.value.status == 503
        reply = await api("POST", "Call/", {"from": "15550001111", **wanted})
        assert (reply.status, reply.headers["retry-after"]) == (429, "5")
        assert reply.error == f"{CALLS_MAX} calls are live, at most {CALLS_MAX}"

        # The live ones are as they were, and a place that becomes free is given again.
        await assert_echoed(inbound[0], 21)
        outbound[0].hang_up()
        await customer.hangup_params("/hangup", made[0])
        await until(lambda: platform.metrics()['ringback_calls_active{direction="outbound"}'] == 1, "a free place")
        again = await api.make_call(**wanted)
        assert not any(call.is_over for call in (*inbound, outbound[1], await callee.call_of(again)))
        await phone.hang_up_all()
        assert (await api("DELETE", "Call/")).status == 204
        for call_uuid in (made[1], again):
            params = await customer.hangup_params("/hangup", call_uuid)
            assert params["HangupSource"] == "API Request"


async def test_callbacks_wait_for_a_customer_who_is_away(platform: Platform, customer: Customer) -> None:
    """In the order of the facts, each taken once; healthy targets do not wait."""
    api = RawApi(platform)
    port = free_port()
    away = f"http://127.0.0.1:{port}"
    taken: list[AppRequest] = []

    def take(request: AppRequest) -> AppReply:
        taken.append(request)
        return AppReply(b"", 200, "text/plain")

    async with answering_phone() as callee, stream_agent() as agent:
        element = stream(agent.url, statusCallbackUrl=f"{away}/status")
        made = [
            await api.make_call(
                to=callee.uri,
                answer_url=customer.serve(f"/answer-{number}", response(element)),
                ring_url=f"{away}/ring",
                hangup_url=f"{away}/hangup",
            )
            for number in range(3)
        ]
        for number, call_uuid in enumerate(made):
            await callee.call_of(call_uuid)
            await until(lambda number=number: len(agent.events("start")) > number, "the stream")  # type: ignore[misc]
        healthy = await api.make_call(
            to=callee.uri, answer_url=customer.serve("/bye", response("<Hangup/>")), hangup_url=customer.url("/hangup")
        )
        await customer.hangup_params("/hangup", healthy)
        await callee.phone.hang_up_all()
        await until(lambda: platform.metrics()["ringback_webhook_outbox_depth"] >= 9, "callbacks that wait")

        server = AnswerServer(take, port=port)
        await server.start()
        try:
            await until(lambda: len(taken) == 12, "all callbacks", timeout_s=40)
        finally:
            await server.close()
    for call_uuid in made:
        events = [request.params["Event"] for request in taken if request.params["CallUUID"] == call_uuid]
        of_stream = [event for event in events if event.endswith("Stream")]
        assert sorted(events) == ["Hangup", "Ring", "StartStream", "StopStream"]
        assert of_stream == ["StartStream", "StopStream"]
        assert events.index("Ring") < events.index("Hangup")
    ids = Counter(request.headers["x-ringback-event-id"] for request in taken)
    assert set(ids.values()) == {1}


async def test_logs_hold_no_token_and_no_audio(platform: Platform, customer: Customer, phone: Phone) -> None:
    """A whole call at INFO: neither log, nor output, nor timeline shows the auth token or a payload."""
    async with stream_agent() as agent:
        number = await customer.number(
            customer.serve("/answer", response(stream(agent.url))), hangup_url=customer.url("/hangup")
        )
        call = await phone.call(platform.uri(number))
        await call.until_answered()
        await until(lambda: agent.events("start"), "the stream")
        call.play(tones.melody(12, 600))
        call.send_digits("42#")
        await until(lambda: len(agent.events("dtmf")) == 3, "the digits")
        await until(lambda: len(agent.events("media")) > 50, "some audio")
        call.hang_up()
        await customer.hangup_params()
        payloads = {message["media"]["payload"] for message in agent.events("media")}
    secrets = {platform.auth_token, *(payload[:40] for payload in payloads)}
    secrets.add(base64.b64encode(f"{platform.auth_id}:{platform.auth_token}".encode()).decode())
    texts = {path.name: path.read_text() for path in platform.log_files()}
    assert len(texts) >= 2
    texts["timeline"] = str(await customer.events(call.call_uuid))
    assert "server ready" in texts["output.log"]
    assert "/answer" in texts["timeline"]
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text], name


async def test_wrong_passwords_are_answered_in_plain_text_and_then_slowed_down(platform: Platform) -> None:
    """Eleven wrong logins in a minute are too many; the right one is never locked out."""
    api = RawApi(platform)

    def basic(user: str, password: str) -> str:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    attempts = [
        "",
        "Bearer stk_1",
        basic(platform.auth_id, ""),
        basic(platform.auth_id, platform.auth_token + "x"),
        basic("MAXXXXXXXXXXXXXXXXXX", platform.auth_token),
        "Basic !!!",
    ]
    for header in attempts:
        reply = await api("GET", "Call/", None, Authorization=header)
        assert (reply.status, reply.text) == (401, LOGIN_REFUSED), header
        assert reply.headers["content-type"].startswith("text/plain")
        assert reply.headers["www-authenticate"] == 'Basic realm="Login Required"'
    other = await api("GET", "/v1/Account/MAXXXXXXXXXXXXXXXXXX/Call/")
    assert other.status == 401, "the right password for another account's path"
    statuses = [(await api("GET", "Call/", None, Authorization="")).status for _ in range(10)]
    assert statuses[-1] == 429
    assert set(statuses) == {401, 429}
    slowed = await api("GET", "Call/", None, Authorization="")
    assert 1 <= int(slowed.headers["retry-after"]) <= 60
    assert (await api("GET", "Call/")).status == 200
