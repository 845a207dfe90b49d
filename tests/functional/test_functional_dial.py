"""`<Dial>`: a caller is joined with a phone of ours, judged by what both hear and by every record and callback."""

import asyncio
import socket

import pytest
from tests.support.customer import response
from tests.support.dials import RING_HZ, assert_joined, dial, element, tone_ms, until_tone, user
from tests.support.live_calls import hung_up
from tests.support.sounds import wav_reply
from tests.support.waiting import until

from ringback.phones import tones
from ringback.testing.answer_server import AppReply

pytestmark = pytest.mark.functional
BACK_HZ, MUSIC_HZ, ASK_HZ = 900, 1100, 1900
"""What is heard when the document goes on, while it rings, and by a party that is asked."""


@pytest.fixture
async def human(new_phone):
    """The party that is dialled."""
    return await new_phone(user="15550007777")


@pytest.fixture
async def call_in(customer, platform, phone):
    """Places the caller's call to a number with a document of these elements; the last one says that it came back."""
    back = element("Play", customer.serve("/back.wav", wav_reply(BACK_HZ, 600)))

    async def call(*elements):
        answer_url = customer.serve("/answer", response(*elements, back))
        number = await customer.number(answer_url, hangup_url=customer.url("/hangup"))
        return await phone.call(platform.uri(number))

    return call


async def outcome_of(customer, call, path="/after"):
    """Return what the action URL was told of a call's dial."""
    await call.until_identified()
    (told,) = await customer.until(path, CallUUID=call.call_uuid)
    assert told.params["DialALegUUID"] == call.call_uuid
    names = ("DialStatus", "DialRingStatus", "DialHangupCause", "DialBLegUUID")
    return tuple(told.params[name] for name in names)


async def assert_record(customer, callee, code, source, parent):
    """Check the record of a party."""
    record = await until_record(customer, callee.call_uuid)
    assert (record.hangup_cause_code, record.hangup_source) == (code, source)
    assert (record.call_direction, record.parent_call_uuid) == ("outbound", parent.call_uuid)
    return record


async def until_record(customer, call_uuid):
    """Return the record of a call as soon as it has one."""
    await customer.until_event(call_uuid, "call", state="ended")
    while True:
        try:
            return await customer.cdr(call_uuid)
        except Exception as error:
            if type(error).__name__ != "ResourceNotFoundError":
                raise


def events_of(customer, party_uuid):
    """Return the callback's actions for one party, in order."""
    return [request.params["DialAction"] for request in customer.seen("/events", DialBLegUUID=party_uuid)]


async def test_two_phones_hear_each_other_until_the_callee_hangs_up(customer, call_in, human):
    action = customer.serve("/after", response(element("Play", customer.serve("/after.wav", wav_reply(1300)))))
    call = await call_in(dial(human.uri, action=action, callbackUrl=customer.url("/events"), callerName="Front Desk"))
    callee = await human.next_call()
    assert callee.request.from_.display == "Front Desk"
    assert callee.request.from_.uri.user == "15550002222"
    callee.ring()
    await call.until_answered()
    await until_tone(call, RING_HZ)
    callee.answer()
    await assert_joined(call, callee)
    live = await customer.sdk(lambda sdk: sdk.live_calls.get(callee.call_uuid))
    assert (live.parent_call_uuid, live.direction) == (call.call_uuid, "outbound")
    await hung_up(callee)
    assert await outcome_of(customer, call) == ("completed", "true", "NORMAL_CLEARING", callee.call_uuid)
    await until_tone(call, 1300)
    await call.until_ended()
    record = await assert_record(customer, callee, 4000, "Callee", call)
    assert record.call_duration in range(1, 40)
    (hangup,) = await customer.until("/events", DialAction="hangup")
    assert events_of(customer, callee.call_uuid) == ["answer", "connected", "hangup"]
    assert all(hangup.params[f"{name}Time"] for name in ("Start", "Answer", "End"))
    assert (hangup.params["DialBLegPosition"], hangup.params["DialBLegTotalCost"]) == ("1", "0.00000")
    wanted = {
        "CallUUID": call.call_uuid,
        "DialBLegStatus": "hangup",
        "DialALegUUID": call.call_uuid,
        "DialBLegUUID": callee.call_uuid,
        "DialBLegFrom": "15550002222",
        "DialBLegTo": human.uri,
        "DialBLegDuration": str(record.call_duration),
        "DialBLegBillDuration": "60",
        "DialBLegHangupCauseName": "Normal Hangup",
        "DialBLegHangupCauseCode": "4000",
        "DialBLegHangupSource": "Callee",
    }
    assert wanted.items() <= hangup.params.items()
    ended = await customer.hangup_params(call_uuid=call.call_uuid)
    assert ended["HangupCauseCode"] == "4010"


async def test_caller_hangs_up_in_the_bridge_and_while_it_rings(customer, call_in, human):
    action = customer.serve("/after", response())
    call = await call_in(dial(human.uri, action=action, callbackUrl=customer.url("/events")))
    callee = await human.next_call()
    callee.answer()
    await assert_joined(call, callee)
    await hung_up(call)
    assert (await callee.until_ended()).by == "them"
    assert await outcome_of(customer, call) == ("completed", "true", "NORMAL_CLEARING", callee.call_uuid)
    await assert_record(customer, callee, 4000, "Caller", call)
    ended = await customer.hangup_params(call_uuid=call.call_uuid)
    assert (ended["HangupCauseCode"], ended["HangupSource"]) == ("4000", "Caller")
    told = [request.path for request in customer.requests if request.params.get("CallUUID") == call.call_uuid]
    assert told[-2:] == ["/events", "/hangup"], "the end of the call is told last"

    call = await call_in(dial(human.uri, action=action))
    callee = await human.next_call()
    callee.ring()
    await until_tone(call, RING_HZ)
    await hung_up(call)
    assert (await callee.until_ended()).by == "them"
    assert await outcome_of(customer, call) == ("cancel", "true", "ORIGINATOR_CANCEL", "")
    await assert_record(customer, callee, 1000, "Caller", call)


async def test_first_of_three_to_answer_wins(customer, call_in, new_phone):
    phones = [await new_phone(user=f"1555000800{at}", codecs=("PCMA",)) for at in range(3)]
    action = customer.serve("/after", response())
    call = await call_in(dial(*(each.uri for each in phones), action=action, callbackUrl=customer.url("/events")))
    first, winner, last = await asyncio.gather(*(each.next_call() for each in phones))
    for each in (first, winner, last):
        each.ring()
    winner.answer()
    await assert_joined(call, winner)
    for loser in (first, last):
        assert (await loser.until_ended()).by == "them"
        await assert_record(customer, loser, 9000, "Plivo", call)
    await hung_up(winner)
    assert await outcome_of(customer, call) == ("completed", "true", "NORMAL_CLEARING", winner.call_uuid)
    await customer.until("/events", 3, DialAction="hangup")
    assert events_of(customer, first.call_uuid) == ["hangup"]
    await call.until_ended()


async def test_busy_then_the_next_dial_then_back_in_the_document(customer, call_in, human):
    told = customer.serve("/told", "the reply of this one is not a document")
    call = await call_in(
        dial(human.uri, action=told, redirect="false"),
        dial(human.uri, timeout=1),
        dial(human.uri.replace("15550007777", "third")),
    )
    busy = await human.next_call()
    busy.reject(486)
    slow = await human.next_call()
    slow.ring()
    assert (await slow.until_ended()).by == "them"
    third = await human.next_call()
    third.reject(603)
    await until_tone(call, BACK_HZ)
    assert await outcome_of(customer, call, "/told") == ("busy", "false", "USER_BUSY", "")
    await call.until_ended()
    await assert_record(customer, busy, 3010, "Callee", call)
    await assert_record(customer, slow, 6010, "Plivo", call)
    await assert_record(customer, third, 3110, "Callee", call)
    finished = await customer.events(call.call_uuid, "dial", event="ended")
    assert [fact["fields"]["status"] for fact in finished] == ["busy", "timeout", "busy"]


async def test_nobody_can_be_reached(customer, call_in):
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        dead = f"sip:nobody@127.0.0.1:{tcp.getsockname()[1]};transport=tcp"
        action = customer.serve("/after", response())
        nowhere = "<Number>15559990001</Number>"
        call = await call_in(
            dial(
                dead,
                "sip:x@169.254.169.254",
                "sips:x@127.0.0.1",
                nowhere,
                action=action,
                callbackUrl=customer.url("/events"),
            )
        )
        assert (await outcome_of(customer, call))[0] == "failed"
        await call.until_ended()
    codes = {request.params["DialBLegHangupCauseCode"] for request in await customer.until("/events", 3)}
    assert codes == {"5000", "3040", "5020"}
    records = await customer.sdk(lambda sdk: sdk.calls.list(parent_call_uuid=call.call_uuid))
    assert {each.hangup_cause_code for each in records} == {5000, 3040, 5020}


async def test_party_is_asked_for_a_key(customer, call_in, human):
    sound = customer.serve("/ask.wav", wav_reply(ASK_HZ, 400))
    ask = customer.serve("/ask", response(element("Play", sound), "<Hangup/>"))
    asked = {"confirmSound": ask, "confirmKey": 5, "confirmTimeout": 1}
    told = customer.serve("/told", response())
    patient = asked | {"confirmTimeout": 40}
    call = await call_in(dial(human.uri, action=told, redirect="false", **asked), dial(human.uri, **patient))
    silent = await human.next_call()
    silent.answer()
    await until_tone(silent, ASK_HZ)
    assert (await silent.until_ended()).by == "them"
    assert await outcome_of(customer, call, "/told") == ("no-answer", "true", "NORMAL_CLEARING", "")
    callee = await human.next_call()
    callee.answer()
    await until_tone(callee, ASK_HZ)
    callee.send_digits("4")
    await customer.until_event(callee.call_uuid, "digit", digit="4")
    callee.send_digits("5")
    await assert_joined(call, callee)
    assert tone_ms(call.heard_samples(), ASK_HZ) == 0, "the caller heard the question"
    await hung_up(callee)
    await call.until_ended()
    await assert_record(customer, silent, 9110, "Plivo", call)
    await assert_record(customer, callee, 4000, "Callee", call)


async def test_party_hears_an_announcement_before_it_is_joined(customer, call_in, human):
    sound = customer.serve("/announce.wav", wav_reply(ASK_HZ, 400))
    announcement = customer.serve("/announce", response(element("Play", sound)))
    call = await call_in(dial(human.uri, confirmSound=announcement, callbackUrl=customer.url("/events")))
    callee = await human.next_call()
    callee.answer()
    await customer.until("/events", DialAction="connected")
    await assert_joined(call, callee)
    assert tone_ms(callee.heard_samples(), ASK_HZ) >= 320, "the whole announcement"
    assert tone_ms(call.heard_samples(), ASK_HZ) == 0, "the caller heard what was for the party"
    await hung_up(callee)
    await until_tone(call, BACK_HZ)
    await call.until_ended()


async def test_time_limit_and_star_bring_the_caller_back(customer, call_in, human):
    call = await call_in(dial(human.uri, timeLimit=1), dial(human.uri, hangupOnStar="true"))
    limited = await human.next_call()
    limited.answer()
    assert (await limited.until_ended()).by == "them"
    starred = await human.next_call()
    starred.answer()
    await assert_joined(call, starred)
    call.send_digits("*")
    assert (await starred.until_ended()).by == "them"
    await until_tone(call, BACK_HZ)
    await call.until_ended()
    await assert_record(customer, limited, 6000, "Plivo", call)
    await assert_record(customer, starred, 4000, "Caller", call)


async def test_digits_of_both_are_matched_and_passed_on(customer, call_in, human):
    events = customer.url("/events")
    call = await call_in(
        dial(human.uri, digitsMatch="12,9", digitsMatchBLeg="*4", callbackUrl=events, callbackMethod="GET")
    )
    callee = await human.next_call()
    callee.answer()
    await customer.until("/events", DialAction="connected")
    call.send_digits("3129")
    callee.send_digits("*4")
    matched = await customer.until("/events", 3, DialAction="digits")
    assert {request.method for request in matched} == {"GET"}
    found = [(request.params["DialDigitsPressedBy"], request.params["DialDigitsMatch"]) for request in matched]
    assert [match for who, match in found if who == "ALeg"] == ["12", "9"]
    assert [match for who, match in found if who == "BLeg"] == ["*4"]
    await until(lambda: callee.digits == "3129", "the caller's keys at the callee")
    await until(lambda: call.digits == "*4", "the callee's keys at the caller")
    await hung_up(call)
    await callee.until_ended()


async def test_music_is_heard_again_and_again_until_the_answer(customer, call_in, human):
    music = element("Play", customer.serve("/music.wav", wav_reply(MUSIC_HZ, 200))) + "<Wait/><Hangup/>"
    call = await call_in(dial(human.uri, dialMusic=customer.serve("/music", response(music))))
    callee = await human.next_call()
    callee.ring()
    await until_tone(call, MUSIC_HZ, 360)
    callee.answer()
    await assert_joined(call, callee)
    assert tone_ms(call.heard_samples(), RING_HZ) == 0
    assert len(customer.seen("/music")) == 1, "the document is fetched once"
    await hung_up(callee)
    await until_tone(call, BACK_HZ)
    await call.until_ended()


async def test_real_ringing_is_what_the_network_of_the_callee_sends(customer, call_in, human):
    call = await call_in(dial(user(human.uri, sendDigits="42", sendOnPreanswer="true"), dialMusic="real"))
    callee = await human.next_call()
    callee.ring_with_audio()
    callee.play(tones.tone(MUSIC_HZ, 1000))
    await until_tone(call, MUSIC_HZ)
    await until(lambda: callee.digits == "42", "keys before the answer")
    assert tone_ms(call.heard_samples(), RING_HZ) == 0
    callee.answer()
    await until(lambda: tone_ms(call.heard_samples(), MUSIC_HZ) >= 800, "the rest of the tone")
    await assert_joined(call, callee)
    await hung_up(call)
    await callee.until_ended()


async def test_early_media_of_a_party_that_is_busy_ends_with_it(customer, call_in, human):
    call = await call_in(dial(human.uri, dialMusic="real"), dial(human.uri))
    busy = await human.next_call()
    busy.ring_with_audio()
    busy.play(tones.tone(MUSIC_HZ, 2000))
    await until_tone(call, MUSIC_HZ)
    busy.reject(486)
    callee = await human.next_call()
    callee.answer()
    await assert_joined(call, callee)
    await hung_up(call)
    await callee.until_ended()


async def test_digits_headers_and_caller_id_reach_the_party(customer, call_in, human):
    party = user(human.uri, sendDigits="w12#", sipHeaders="X-PH-Tenant=8,Plivo-Id=1,Lang=de")
    call = await call_in(dial(party, callerId="+15550003131", sipHeaders="Tenant=7,Team=red"))
    callee = await human.next_call()
    headers = callee.request.headers
    assert callee.request.from_.uri.user == "15550003131"
    assert [headers.get(f"X-PH-{name}") for name in ("Tenant", "Lang", "Team", "Plivo-Id")] == ["8", "de", "red", None]
    callee.answer()
    await until(lambda: callee.digits == "12#", "digits at the party")
    await hung_up(call)
    await callee.until_ended()


async def test_party_is_shown_a_caller_id_of_its_own(call_in, human):
    call = await call_in(dial(user(human.uri, callerId="15550004242", callerName="Desk"), callerId="15550003131"))
    callee = await human.next_call()
    shown = callee.request.from_
    assert (shown.uri.user, shown.display) == ("15550004242", "Desk")
    callee.reject(486)
    await until_tone(call, BACK_HZ)
    await call.until_ended()


async def test_number_of_ours_is_called_through_our_own_door(customer, call_in, platform):
    """The party is another application; a document that dials its own number ends by itself."""
    sound = element("Play", customer.serve("/own.wav", wav_reply(1700, 700)))
    number = await customer.number(customer.serve("/own", response(sound)))
    call = await call_in(f"<Dial><Number>{number}</Number></Dial>")
    await until_tone(call, 1700, 400)
    await until_tone(call, BACK_HZ)
    await call.until_ended()


async def test_document_that_dials_itself_ends(customer, platform, phone):
    looping = []

    async def answer(request):
        return AppReply(response(f"<Dial><Number>{looping[0]}</Number></Dial>").encode())

    looping.append(await customer.number(customer.serve("/loop", answer)))
    call = await phone.call(platform.uri(looping[0]))
    await call.until_ended(60)
    asked = customer.seen("/loop")
    assert len(asked) == 6, "the caller's call and five that lead through our own door"
    assert len({request.params["CallUUID"] for request in asked}) == 6


async def test_party_is_hung_up_by_the_api(customer, call_in, human):
    call = await call_in(dial(human.uri))
    callee = await human.next_call()
    callee.answer()
    await assert_joined(call, callee)
    await customer.sdk(lambda sdk: sdk.calls.delete(callee.call_uuid))
    await until_tone(call, BACK_HZ)
    await assert_record(customer, callee, 4000, "API Request", call)
    await call.until_ended()
