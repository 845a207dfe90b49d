"""A live call under the customer's control: looked up, transferred; and numbers wired, rewired and taken away."""

import asyncio
import re

import pytest
from plivo.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError
from tests.support.agent_audio import say, sounding
from tests.support.customer import response, stream
from tests.support.live_calls import answered, connection_of, hung_up, until_heard_ms
from tests.support.raw_api import RawApi
from tests.support.sounds import heard_tones, wav_reply
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import CallNotAnswered
from ringback.testing.answer_server import AppReply

pytestmark = pytest.mark.functional


@pytest.fixture
def rest(platform):
    return RawApi(platform)


@pytest.fixture
async def number(customer, silent_agent):
    """A number whose document is one stream that keeps the call alive."""
    document = response(stream(silent_agent.url, statusCallbackUrl=customer.url("/status")))
    return await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))


def pitches(call):
    return [pitch for pitch, _ in heard_tones(call.heard_samples()) if pitch]


# ── looking up ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_live_calls_are_listed_and_shown(customer, silent_agent, number, phone, platform, rest):
    one, two = [await answered(phone, platform, number) for _ in range(2)]
    for call in (one, two):
        await connection_of(silent_agent, call)
    listed = await customer.sdk(lambda sdk: sdk.live_calls.list_ids())
    assert listed.calls == [two.call_uuid, one.call_uuid], "newest first"
    filtered = await rest("GET", f"Call/?status=live&to_number={number}&call_direction=inbound&limit=1&offset=1")
    assert filtered.json["calls"] == [one.call_uuid]
    assert (await rest("GET", "Call/?status=live&call_direction=outbound")).json["calls"] == []
    assert (await rest("GET", "Call/?status=queued")).json["calls"] == []
    live = await customer.sdk(lambda sdk: sdk.live_calls.get(one.call_uuid))
    shown = {name: value for name, value in live.__dict__.items() if name not in ("client", "_name", "api_id")}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", shown.pop("session_start"))
    assert shown == {
        "call_status": "in-progress",
        "call_uuid": one.call_uuid,
        "caller_name": "Alice Example",
        "direction": "inbound",
        "from": "15550002222",
        "to": number,
        "request_uuid": one.call_uuid,
        "parent_call_uuid": None,
        "stir_attestation": "",
        "stir_verification": "Not Applicable",
    }
    # Node's SDK leaves the slash out.
    assert (await rest("GET", f"Call/{one.call_uuid}?status=live")).status == 200
    assert (await rest("GET", f"Call/{one.call_uuid}/?status=queued")).status == 404
    with pytest.raises(ResourceNotFoundError):
        await customer.sdk(lambda sdk: sdk.calls.get(one.call_uuid))
    await hung_up(one)
    await customer.hangup_params(call_uuid=one.call_uuid)
    with pytest.raises(ResourceNotFoundError):
        await customer.sdk(lambda sdk: sdk.live_calls.get(one.call_uuid))
    assert (await customer.sdk(lambda sdk: sdk.live_calls.list_ids())).calls == [two.call_uuid]
    assert (await customer.cdr(one.call_uuid)).call_uuid == one.call_uuid
    await hung_up(two)
    await customer.hangup_params(call_uuid=two.call_uuid)


async def test_records_are_listed_with_filters(customer, silent_agent, number, phone, platform):
    for _ in range(3):
        call = await answered(phone, platform, number)
        await connection_of(silent_agent, call)
        await hung_up(call)
        await customer.hangup_params(call_uuid=call.call_uuid)

    def list_records(**filters):
        return customer.sdk(lambda sdk: sdk.calls.list(to_number=number, **filters))

    page = await list_records(limit=2)
    assert len(page["objects"]) == 2
    assert page["meta"]["total_count"] == 3
    assert page["objects"][0]["call_uuid"] == call.call_uuid, "newest first"
    rest = await list_records(limit=2, offset=2)
    assert len(rest["objects"]) == 1
    assert len((await list_records(hangup_cause_code=4000, hangup_source="Caller"))["objects"]) == 3
    assert len((await list_records(hangup_cause_code=4010))["objects"]) == 0
    assert len((await list_records(end_time__lt="2020-01-01 00:00"))["objects"]) == 0
    record = page["objects"][0]
    assert record["call_state"] == "ANSWER"
    assert (record["bill_duration"] > 0) == (record["call_duration"] > 0)


# ── transfer ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_transfer_out_of_a_kept_alive_stream_happens_at_once(
    customer, silent_agent, number, phone, platform, rest, method
):
    sound = customer.serve("/beep.wav", wav_reply(1200, 400))
    url = customer.serve("/new-flow", response(f"<Play>{sound}</Play>", '<Wait length="30"/>'))
    call = await answered(phone, platform, number)
    connection = await connection_of(silent_agent, call)
    say(connection, tones.tone(500, 20_000))
    await until(lambda: len(sounding(call.heard_samples())) > 8 * 200, "the agent")
    moved = await customer.sdk(
        lambda sdk: sdk.calls.transfer(call.call_uuid, legs="aleg", aleg_url=url + "?to=sales", aleg_method=method)
    )
    assert moved["message"] == "call transfered"
    (request,) = await customer.until("/new-flow")
    assert request.method == method
    params = {
        "CallUUID": call.call_uuid,
        "CallStatus": "in-progress",
        "to": "sales",
        "To": number,
        "From": "15550002222",
    }
    assert request.params == request.params | params
    await until(lambda: connection.is_gone, "the stream to end")
    assert connection.messages[-1]["event"] == "stop"
    await until(
        lambda: len(pitches(call)) >= 2 and pitches(call)[-1] == pytest.approx(1200, abs=10), "the new document"
    )
    # What Dograh does next must be harmless.
    assert (await rest("DELETE", f"Call/{call.call_uuid}/Stream/")).status in (204, 404)
    (stopped,) = await customer.until("/status", Event="StopStream")
    assert stopped.params["StatusReason"] == "completed"
    assert not call.is_over
    await hung_up(call)
    assert (await customer.hangup_params())["HangupCauseCode"] == "4000"


async def test_transfer_into_another_stream_and_back(customer, silent_agent, number, phone, platform):
    other = customer.serve(
        "/other", response(stream(silent_agent.url + "&other=1", contentType="audio/x-l16;rate=16000"))
    )
    call = await answered(phone, platform, number)
    first = await connection_of(silent_agent, call)
    for url, count, pitch in ((other, 2, 900), (customer.url("/answer"), 3, 1400)):
        await customer.sdk(lambda sdk, url=url: sdk.calls.transfer(call.call_uuid, legs="aleg", aleg_url=url))
        connection = await connection_of(silent_agent, call, count)
        assert connection.messages[0]["start"]["streamId"] != first.messages[0]["start"]["streamId"]
        say(connection, tones.tone(pitch, 400, connection.format[1]))
        await until(lambda pitch=pitch: pitches(call)[-1:] == [pytest.approx(pitch, abs=10)], f"{pitch} Hz")
    await hung_up(call)
    await customer.hangup_params()


async def test_transfer_interrupts_play_and_wait(customer, phone, platform):
    long, short = (
        customer.serve("/long.wav", wav_reply(600, 20_000)),
        customer.serve("/short.wav", wav_reply(1500, 300)),
    )
    url = customer.serve("/new", response(f"<Play>{short}</Play>"))
    number = await customer.number(customer.serve("/answer", response(f"<Play>{long}</Play>")))
    call = await answered(phone, platform, number)
    await until_heard_ms(call, 500)
    await customer.sdk(lambda sdk: sdk.calls.transfer(call.call_uuid, legs="aleg", aleg_url=url))
    await call.until_ended()
    assert pitches(call) == [pytest.approx(600, abs=10), pytest.approx(1500, abs=10)]


@pytest.mark.parametrize(
    ("reply", "code"),
    [(AppReply(b"down", 500, "text/plain"), "7013"), (AppReply(b"<Response><Play>", 200), "8013")],
)
async def test_transfer_to_a_broken_document_ends_the_call(
    customer, silent_agent, number, phone, platform, reply, code
):
    url = customer.serve("/broken", reply)
    call = await answered(phone, platform, number)
    await connection_of(silent_agent, call)
    await customer.sdk(lambda sdk: sdk.calls.transfer(call.call_uuid, legs="aleg", aleg_url=url))
    await call.until_ended()
    assert (await customer.hangup_params())["HangupCauseCode"] == code


async def test_refused_transfers(customer, silent_agent, number, phone, platform, rest):
    call = await answered(phone, platform, number)
    await connection_of(silent_agent, call)
    path = f"Call/{call.call_uuid}/"
    for body, words in (
        ({}, "aleg_url parameter is missing"),
        ({"legs": "both", "aleg_url": "http://127.0.0.1/"}, "bleg_url parameter is missing"),
        ({"legs": "bleg", "bleg_url": "http://127.0.0.1/"}, "no B leg"),
        ({"legs": "aleg", "aleg_url": "gopher://127.0.0.1/"}, "aleg_url"),
        ({"legs": "aleg", "aleg_url": "http://127.0.0.1/", "aleg_method": "PUT"}, "aleg_method"),
    ):
        reply = await rest("POST", path, body)
        assert reply.status == 400, (body, reply)
        assert words in reply.error
    assert (
        await rest("POST", "Call/00000000-0000-4000-8000-000000000000/", {"aleg_url": "http://x.example/"})
    ).status == 404
    assert not call.is_over
    await hung_up(call)
    await customer.hangup_params()


# ── account, applications, numbers ──────────────────────────────────────────────────────────────────────────────────


async def test_a_number_is_wired_called_rewired_and_taken_away(customer, phone, platform):
    """What a customer's set-up script does, with a call between any two steps."""
    urls = {pitch: customer.serve(f"/{pitch}.wav", wav_reply(pitch, 300)) for pitch in (600, 1000)}
    for pitch, url in urls.items():
        customer.serve(f"/says-{pitch}", response(f"<Play>{url}</Play>"))
    number = "15558887777"

    async def heard():
        call = await answered(phone, platform, number)
        await call.until_ended()
        return pitches(call)

    async def status():
        call = await phone.call(platform.uri(number))
        with pytest.raises(CallNotAnswered) as refused:
            await call.until_answered()
        await call.until_ended()
        return refused.value.status

    sdk = customer.sdk
    account = await sdk(lambda sdk: sdk.account.get())
    assert account.auth_id == platform.auth_id
    assert await status() == 404
    first = await sdk(lambda sdk: sdk.applications.create("first", answer_url=customer.url("/says-600")))
    second = await sdk(lambda sdk: sdk.applications.create("second", answer_url=customer.url("/says-1000")))
    free = await sdk(lambda sdk: sdk.numbers.search("US", pattern="5558887777"))
    assert [each["number"] for each in free["objects"]] == [number]
    bought = await sdk(lambda sdk: sdk.numbers.buy(number, app_id=first["app_id"]))
    assert bought["status"] == "fulfilled"
    assert await heard() == [pytest.approx(600, abs=10)]
    found = await sdk(lambda sdk: sdk.numbers.get(number))
    assert found.application == f"/v1/Account/{platform.auth_id}/Application/{first['app_id']}/"
    changed = await sdk(lambda sdk: sdk.numbers.update(number, app_id=second["app_id"]))
    assert changed["message"] == "changed"
    assert await heard() == [pytest.approx(1000, abs=10)]
    await sdk(lambda sdk: sdk.applications.update(second["app_id"], answer_url=customer.url("/says-600")))
    assert await heard() == [pytest.approx(600, abs=10)]
    listed = await sdk(lambda sdk: sdk.numbers.list(number_startswith="1555888"))
    assert [each["number"] for each in listed["objects"]] == [number]
    names = {each["app_name"] for each in (await sdk(lambda sdk: sdk.applications.list()))["objects"]}
    assert {"first", "second"} <= names
    await sdk(lambda sdk: sdk.numbers.update(number, app_id=""))
    assert await status() == 404
    await sdk(lambda sdk: sdk.numbers.delete(number))
    for app in (first, second):
        await sdk(lambda sdk, app=app: sdk.applications.delete(app["app_id"]))
    with pytest.raises(ResourceNotFoundError):
        await sdk(lambda sdk: sdk.numbers.get(number))
    with pytest.raises(ResourceNotFoundError):
        await sdk(lambda sdk: sdk.applications.get(first["app_id"]))


async def test_wrong_token_and_wrong_parameters_raise_the_sdks_own_errors(customer, platform):
    def wrong(work):
        stranger = platform.sdk()
        stranger.session.auth = (platform.auth_id, "x" * 40)
        try:
            return work(stranger)
        finally:
            stranger.session.close()

    for work in (lambda sdk: sdk.account.get(), lambda sdk: sdk.applications.list(), lambda sdk: sdk.calls.list()):
        with pytest.raises(AuthenticationError):
            await asyncio.to_thread(wrong, work)
    with pytest.raises(ValidationError, match="app_id"):
        await customer.sdk(lambda sdk: sdk.numbers.create("15558887770", "c", "US", app_id="12345678901234567"))
    with pytest.raises(ValidationError, match="answer_url"):
        await customer.sdk(lambda sdk: sdk.applications.create("x", answer_url="nowhere"))
