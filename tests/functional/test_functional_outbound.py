"""Outbound calls by the official SDK to a phone of ours: what rings, what is heard, and how each call ends."""

import asyncio
import socket

import pytest
from tests.support.agent_audio import heard_by, say, sounding
from tests.support.customer import response, stream
from tests.support.judging import assert_sung_through
from tests.support.live_calls import connection_of, hung_up
from tests.support.waiting import until

from ringback.phones import tones
from ringback.testing.answer_server import AppReply

pytestmark = pytest.mark.functional
FROM = "15550003333"
REFUSALS = {
    400: (5020, "Routing Error", "NO_ROUTE_DESTINATION", "failed"),
    403: (3040, "Forbidden", "CALL_REJECTED", "failed"),
    404: (3050, "Unallocated number", "UNALLOCATED_NUMBER", "failed"),
    408: (3070, "Request timeout", "RECOVERY_ON_TIMER_EXPIRE", "failed"),
    410: (3050, "Unallocated number", "UNALLOCATED_NUMBER", "failed"),
    480: (3000, "No Answer", "NO_ANSWER", "no-answer"),
    484: (2000, "Invalid Destination Address", "INVALID_NUMBER_FORMAT", "failed"),
    486: (3010, "Busy Line", "USER_BUSY", "busy"),
    488: (5020, "Routing Error", "BEARERCAPABILITY_NOTAVAIL", "failed"),
    500: (3080, "Internal server error from carrier", "NETWORK_OUT_OF_ORDER", "failed"),
    503: (3090, "Network congestion", "NETWORK_OUT_OF_ORDER", "failed"),
    600: (3100, "Busy everywhere", "USER_BUSY", "busy"),
    603: (3110, "Declined", "CALL_REJECTED", "busy"),
    604: (3120, "User does not exist anywhere", "UNALLOCATED_NUMBER", "failed"),
}
"""SIP status of the callee → code, name, HangupCause, CallStatus (sip.md section 11)."""


@pytest.fixture
async def make_call(customer, agent):
    """Makes calls with the SDK; the document is one echoing stream unless the test serves another."""
    customer.serve("/answer", response(stream(agent.url)))

    async def make(to, **options):
        urls = {
            name: customer.url(f"/{name.removesuffix('_url')}") for name in ("answer_url", "hangup_url", "ring_url")
        }
        settings = urls | options
        made = await customer.sdk(lambda sdk: sdk.calls.create(FROM, to, **settings))
        assert made.message == "call fired"
        return made.request_uuid

    return make


async def assert_ended(customer, call_uuid, *, code, name, cause, source, status="completed", timeout_s=40):
    """Check hang-up callback and CDR against what must be, and against each other; return the callback."""
    params = await customer.hangup_params("/hangup", call_uuid, timeout_s)
    assert params["Event"] == "Hangup"
    assert params["Direction"] == "outbound"
    assert params["CallUUID"] == params["RequestUUID"] == params["ALegUUID"] == params["ALegRequestUUID"] == call_uuid
    found = (params["HangupCauseCode"], params["HangupCauseName"], params["HangupCause"], params["CallStatus"])
    assert found == (str(code), name, cause, status)
    assert params["HangupSource"] == source
    cdr = await customer.cdr(call_uuid)
    assert (cdr.hangup_cause_code, cdr.hangup_cause_name, cdr.hangup_source) == (code, name, source)
    assert (cdr.call_direction, cdr.from_number, cdr.to_number) == ("outbound", FROM, params["To"])
    assert cdr.call_duration == int(params["Duration"])
    assert len(customer.seen("/hangup", CallUUID=call_uuid)) == 1
    return params


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_call_rings_is_answered_and_audio_goes_both_ways(customer, agent, make_call, phone, transport):
    to = phone.uri if transport == "udp" else phone.tcp_uri
    uuid = await make_call(to, caller_name="Bob's Shop")
    call = await phone.next_call()
    assert call.request.headers.get("X-CallUUID") == call.call_uuid == uuid
    assert call.request.from_.display == "Bob's Shop"
    assert call.request.from_.uri.user == FROM
    call.ring()
    (ring,) = await customer.until("/ring")
    base = {
        "CallUUID": uuid,
        "RequestUUID": uuid,
        "ALegUUID": uuid,
        "ALegRequestUUID": uuid,
        "From": FROM,
        "To": to,
        "Direction": "outbound",
        "BillRate": "0.00000",
        "ParentAuthID": customer.platform.auth_id,
        "SessionStart": ring.params["SessionStart"],
    }
    assert ring.params == base | {"Event": "Ring", "CallStatus": "ringing"}
    assert not customer.seen("/answer"), "the document was fetched before the answer"
    call.answer()
    (answer,) = await customer.until("/answer")
    params = {name: value for name, value in answer.params.items() if not name.startswith("SIP-H-")}
    assert params == base | {"Event": "StartApp", "CallStatus": "in-progress", "CallerName": "Bob's Shop"}
    connection = await connection_of(agent, call)
    await assert_sung_through(call, 9, 1_000, lambda: heard_by(connection))
    heard = call.heard()
    assert heard.level_dbov == pytest.approx(heard.sent_level_dbov, abs=1)
    assert (await hung_up(call)).by == "us"
    ended = await assert_ended(
        customer, uuid, code=4000, name="Normal Hangup", cause="NORMAL_CLEARING", source="Callee"
    )
    assert int(ended["Duration"]) in range(1, 40)
    order = [request.path for request in customer.requests]
    assert order == ["/ring", "/answer", "/hangup"]


async def test_each_refusal_has_its_cause(customer, make_call, phone):
    async def one(status):
        uuid = await make_call(phone.uri.replace("sip:15550002222", f"sip:{status}"))
        code, name, cause, call_status = REFUSALS[status]
        params = await assert_ended(
            customer, uuid, code=code, name=name, cause=cause, source="Callee", status=call_status
        )
        assert (params["Duration"], params["BillDuration"], params["AnswerTime"]) == ("0", "0", "")

    async def refuse():
        for _ in REFUSALS:
            call = await phone.next_call()
            call.ring()
            call.reject(int(call.request.uri.user))

    await asyncio.gather(refuse(), *map(one, REFUSALS))
    assert not customer.seen("/answer")


async def test_nobody_there(customer, make_call):
    """A refused connection is a network error at once; silence on UDP meets the ring timeout."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        refusing, silent = (f"sip:nobody@127.0.0.1:{each.getsockname()[1]}" for each in (tcp, udp))
        refused, unanswered = await asyncio.gather(
            make_call(refusing + ";transport=tcp"), make_call(silent, ring_timeout=1)
        )
        await assert_ended(
            customer, refused, code=5000, name="Network Error", cause="NETWORK_OUT_OF_ORDER", source="Error",
            status="failed",
        )  # fmt: skip
        await assert_ended(
            customer, unanswered, code=6010, name="Ring Timeout Reached", cause="NO_ANSWER", source="Plivo",
            status="no-answer",
        )  # fmt: skip
    assert not customer.seen("/ring")


async def test_ring_timeout_cancels(customer, make_call, phone):
    uuid = await make_call(phone.uri, ring_timeout=1)
    call = await phone.next_call()
    call.ring()
    assert (await call.until_ended()).by == "them"
    await assert_ended(
        customer, uuid, code=6010, name="Ring Timeout Reached", cause="NO_ANSWER", source="Plivo", status="no-answer"
    )
    assert len(customer.seen("/ring")) == 1


@pytest.mark.parametrize("verb", ["delete", "cancel"])
async def test_cancelled_by_the_api_while_ringing(customer, make_call, phone, verb):
    uuid = await make_call(phone.uri)
    call = await phone.next_call()
    call.ring()
    await customer.until("/ring")
    live = await customer.sdk(lambda sdk: sdk.live_calls.get(uuid))
    assert live.call_status == "ringing"
    await customer.sdk(lambda sdk: getattr(sdk.calls, verb)(uuid))
    assert (await call.until_ended()).by == "them"
    await assert_ended(
        customer, uuid, code=1000, name="Canceled", cause="ORIGINATOR_CANCEL", source="API Request", status="cancel"
    )


async def test_cancelling_an_answered_request_finds_nothing(customer, agent, make_call, phone):
    uuid = await make_call(phone.uri)
    call = await phone.next_call()
    call.answer()
    await connection_of(agent, call)
    with pytest.raises(Exception) as refused:
        await customer.sdk(lambda sdk: sdk.calls.cancel(uuid))
    assert type(refused.value).__name__ == "ResourceNotFoundError"
    assert not call.is_over
    await hung_up(call)
    await customer.hangup_params(call_uuid=uuid)


@pytest.mark.parametrize("seconds", [0, 1])
async def test_hangup_on_ring(customer, make_call, phone, seconds):
    uuid = await make_call(phone.uri, hangup_on_ring=seconds)
    call = await phone.next_call()
    call.ring()
    assert (await call.until_ended()).by == "them"
    await assert_ended(
        customer, uuid, code=1000, name="Canceled", cause="ORIGINATOR_CANCEL", source="API Request", status="cancel"
    )


async def test_time_limit_ends_an_answered_call(customer, agent, make_call, phone):
    uuid = await make_call(phone.uri, time_limit=1)
    call = await phone.next_call()
    call.answer()
    await connection_of(agent, call)
    assert (await call.until_ended()).by == "them"
    params = await assert_ended(
        customer, uuid, code=6000, name="Scheduled Hangup", cause="ALLOTTED_TIMEOUT", source="Plivo"
    )
    assert int(params["Duration"]) in range(1, 5), "no more than a busy machine adds"


async def test_digits_and_headers_reach_the_phone(customer, agent, make_call, phone):
    uuid = await make_call(phone.uri, send_digits="w12#W9@200", sip_headers="Tenant=7,X-PH-Token=a b-c")
    call = await phone.next_call()
    assert call.request.headers.get("X-PH-Tenant") == "7"
    assert call.request.headers.get("X-PH-Token") == "a b-c"
    call.answer()
    await until(lambda: call.digits == "12#9", "digits at the phone")
    (answer,) = await customer.until("/answer")
    assert answer.params["X-PH-Tenant"] == "7"
    await connection_of(agent, call)
    await hung_up(call)
    await customer.hangup_params(call_uuid=uuid)


async def test_early_digits_are_sent_before_the_answer(customer, agent, make_call, phone):
    """`send_on_preanswer` needs early media; without any, the digits go after the answer as usual."""
    await make_call(phone.uri, send_digits="5", send_on_preanswer=True)
    call = await phone.next_call()
    call.ring()
    await customer.until("/ring")
    call.answer()
    await until(lambda: call.digits == "5", "the digit at the phone")
    await connection_of(agent, call)
    await hung_up(call)
    await customer.until("/hangup")


async def test_answer_url_by_get_and_fallback(customer, agent, make_call, phone):
    gone = customer.serve("/gone", AppReply(b"gone", 404, "text/plain"))
    uuid = await make_call(
        phone.uri,
        answer_url=gone + "?x=1",
        answer_method="GET",
        fallback_url=customer.url("/answer") + "?y=2",
        fallback_method="GET",
    )
    call = await phone.next_call()
    call.answer()
    await connection_of(agent, call)
    assert [request.path for request in customer.requests] == ["/gone", "/answer"]
    assert {request.method for request in customer.requests} == {"GET"}
    assert customer.requests[0].params["x"] == "1"
    assert customer.requests[1].params["y"] == "2"
    await hung_up(call)
    await customer.hangup_params(call_uuid=uuid)


async def test_call_to_an_own_number_joins_two_applications(customer, silent_agent, make_call, phone):
    """Both legs are calls of their own, each with its document and its agent."""
    number = await customer.number(customer.serve("/callee", response(stream(silent_agent.url + "&leg=callee"))))
    customer.serve("/answer", response(stream(silent_agent.url + "&leg=caller")))
    uuid = await make_call(number)
    await until(lambda: len([c for c in silent_agent.connections if c.messages]) == 2, "two streams")
    by_call = {c.messages[0]["start"]["callId"]: c for c in silent_agent.connections}
    caller = by_call.pop(uuid)
    ((callee_uuid, callee),) = by_call.items()
    live = await customer.sdk(lambda sdk: sdk.live_calls.list_ids())
    assert {uuid, callee_uuid} <= set(live.calls)
    say(caller, tones.tone(700, 500))
    say(callee, tones.tone(1500, 500))
    await until(lambda: len(sounding(heard_by(caller))) > 8 * 300, "the callee at the caller")
    await until(lambda: len(sounding(heard_by(callee))) > 8 * 300, "the caller at the callee")
    assert tones.pitch_hz(sounding(heard_by(caller))) == pytest.approx(1500, abs=3)
    assert tones.pitch_hz(sounding(heard_by(callee))) == pytest.approx(700, abs=3)
    await customer.sdk(lambda sdk: sdk.calls.delete(uuid))
    await customer.hangup_params(call_uuid=uuid)
    await until(lambda: callee.is_gone, "the callee's stream to end")


async def test_ten_calls_at_once(customer, agent, make_call, phone):
    """Each hears its own echo and no other's."""

    async def talk(seed):
        call = await phone.next_call()
        call.ring()
        call.answer()
        await connection_of(agent, call)
        await assert_sung_through(call, seed, 800)
        await hung_up(call)
        return call.call_uuid

    talks = asyncio.gather(*(talk(seed) for seed in range(10)))
    made = await asyncio.gather(*(make_call(phone.uri) for _ in range(10)))
    assert sorted(await talks) == sorted(made)
    for uuid in made:
        params = await customer.hangup_params(call_uuid=uuid)
        assert params["HangupCauseCode"] == "4000"
