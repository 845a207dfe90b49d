"""Keys from callers and to them: GetDigits, DTMF, and early media before the answer, judged by what phones hear."""

from dataclasses import replace

import pytest
from tests.support.agent_audio import sounding
from tests.support.customer import response
from tests.support.live_calls import hung_up
from tests.support.sounds import heard_tones, wav_reply
from tests.support.waiting import until

from ringback.phones.call import CallNotAnswered

pytestmark = pytest.mark.functional

PROMPT_HZ, INVALID_HZ, NEXT_HZ, BEEP_HZ = 600, 1900, 1500, 1000


@pytest.fixture
def sound(customer):
    """Serves a tone and returns its URL."""
    return lambda pitch_hz, ms=300: customer.serve(f"/{pitch_hz}.wav", wav_reply(pitch_hz, ms))


@pytest.fixture
def dial(customer, phone, platform):
    """Calls a number that answers with this document; returns the call before its answer."""

    async def place(*elements):
        document = response(*elements)
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        return await phone.call(platform.uri(number))

    return place


@pytest.fixture
def run(dial):
    """Calls a number that answers with this document; returns the answered call."""

    async def place(*elements):
        call = await dial(*elements)
        await call.until_answered()
        return call

    return place


def pitches(call):
    """Return the pitches of what the phone has heard, in order, without the edges at which one tone cuts another."""
    return [pitch for pitch, ms in heard_tones(call.heard_samples()) if pitch and ms >= 100]


def near(*expected):
    """Return pitches as approximations."""
    return [pytest.approx(pitch, abs=20) for pitch in expected]


async def until_hears(call, *expected):
    """Return when the phone has heard these tones, and no others."""
    try:
        await until(lambda: pitches(call) == near(*expected), f"tones of {expected} Hz")
    except AssertionError as error:
        raise AssertionError(f"heard {heard_tones(call.heard_samples())}, expected {expected}") from error


async def test_keys_by_rtp_and_info_stop_the_prompt_and_reach_the_action(customer, run, sound):
    action = customer.serve("/action", response(f"<Play>{sound(NEXT_HZ)}</Play>"))
    call = await run(
        f'<GetDigits action="{action}?menu=1" numDigits="9" digitTimeout="20">'
        f"<Play>{sound(PROMPT_HZ, 20_000)}</Play></GetDigits>",
        f"<Play>{sound(INVALID_HZ)}</Play>",
    )
    await until_hears(call, PROMPT_HZ)
    call.send_digits("12")
    await customer.until_event(call.call_uuid, "digit", digit="2")
    call.send_info_digits("3")
    await customer.until_event(call.call_uuid, "digit", digit="3")
    call.send_digits("#")
    await call.until_ended()
    (request,) = customer.seen("/action")
    wanted = {"Digits": "123", "menu": "1", "CallUUID": call.call_uuid, "CallStatus": "in-progress"}
    assert request.params == request.params | wanted
    assert pitches(call) == near(PROMPT_HZ, NEXT_HZ), "the prompt of 20 s is cut, and what follows GetDigits is skipped"


async def test_key_counts_while_the_prompt_is_still_being_fetched(customer, run, sound):
    action = customer.serve("/action", response(f"<Play>{sound(NEXT_HZ)}</Play>"))
    slow = customer.serve("/slow.wav", replace(wav_reply(PROMPT_HZ), delay_ms=40_000))
    call = await run(f'<GetDigits action="{action}" numDigits="1"><Play>{slow}</Play></GetDigits>')
    await customer.until("/slow.wav")
    call.send_digits("5")
    await call.until_ended(60)
    assert pitches(call) == near(NEXT_HZ)


async def test_silence_repeats_the_prompt_then_the_document_goes_on(customer, run, sound):
    action = customer.serve("/action", response())
    call = await run(
        f'<GetDigits action="{action}" timeout="1" retries="2"><Play>{sound(PROMPT_HZ)}</Play></GetDigits>',
        f"<Play>{sound(NEXT_HZ)}</Play>",
    )
    await call.until_ended()
    assert pitches(call) == near(PROMPT_HZ, PROMPT_HZ, NEXT_HZ)
    assert not customer.seen("/action")


async def test_invalid_key_is_answered_by_its_sound_and_another_attempt(customer, run, sound):
    action = customer.serve("/action", response())
    call = await run(
        f'<GetDigits action="{action}" retries="2" numDigits="1" validDigits="12" playBeep="true" timeout="20" '
        f'invalidDigitsSound="{sound(INVALID_HZ)}"><Play>{sound(PROMPT_HZ)}</Play></GetDigits>',
    )
    await until_hears(call, PROMPT_HZ, BEEP_HZ)
    call.send_digits("9")
    await until_hears(call, PROMPT_HZ, BEEP_HZ, INVALID_HZ, PROMPT_HZ, BEEP_HZ)
    call.send_digits("2")
    await call.until_ended()
    (request,) = customer.seen("/action")
    assert request.params["Digits"] == "2"


async def test_hidden_digits_reach_the_action_and_not_the_event_log(customer, run, sound):
    call = await run(
        f'<GetDigits action="{customer.url("/action")}" redirect="false" log="false" numDigits="3" timeout="20" '
        'digitTimeout="20"/>',
        f"<Play>{sound(NEXT_HZ)}</Play>",
    )
    await customer.until_event(call.call_uuid, "element", phase="started", name="GetDigits")
    call.send_info_digits("7")
    await customer.until_event(call.call_uuid, "digit", digit="*")
    call.send_digits("53")
    await call.until_ended()
    (request,) = await customer.until("/action")
    assert request.params["Digits"] == "753"
    assert pitches(call) == near(NEXT_HZ), "the document goes on"
    await customer.until_event(call.call_uuid, "webhook", target="action")
    rows = await customer.events(call.call_uuid)
    assert [row["fields"]["digit"] for row in rows if row["kind"] == "digit"] == ["*", "*", "*"]
    (action,) = [row["fields"] for row in rows if row["kind"] == "webhook" and row["fields"]["target"] == "action"]
    assert action["params"]["Digits"] == "***"
    assert "Digits***" in action["signed"]
    infos = [row["fields"]["raw"] for row in rows if row["kind"] == "sip" and row["fields"]["summary"][:5] == "INFO "]
    assert infos
    assert not any("Signal" in raw for raw in infos)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ('action="http://127.0.0.1:1/x"', 7012),
        ('action="nonsense"', 7022),
        ('action="{bad}" method="PUT"', 7032),
        ('action="{bad}"', 8012),
    ],
)
async def test_action_that_fails_ends_the_call_with_its_code(customer, run, action, code):
    bad = customer.serve("/bad", "<Response><Play></Response>")
    call = await run(f'<GetDigits {action.format(bad=bad)} numDigits="1" timeout="20"/>', '<Wait length="30"/>')
    await customer.until_event(call.call_uuid, "element", phase="started", name="GetDigits")
    call.send_digits("1")
    await call.until_ended()
    assert int((await customer.hangup_params(call_uuid=call.call_uuid))["HangupCauseCode"]) == code


async def test_keys_are_sent_to_the_far_party(run, sound):
    call = await run(
        '<DTMF async="false">12w</DTMF>',
        "<DTMF>*#</DTMF>",
        f"<Play>{sound(NEXT_HZ, 600)}</Play>",
        "<DTMF>90</DTMF>",
    )
    await call.until_ended()
    assert call.digits == "12*#90"
    assert near(NEXT_HZ)[0] == pitches(call)[-1]


# ── before the answer ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_early_media_is_heard_before_the_answer_and_not_billed(customer, dial, sound):
    call = await dial(
        f"<PreAnswer><Play>{sound(PROMPT_HZ, 1400)}</Play></PreAnswer>",
        f"<Play>{sound(NEXT_HZ, 400)}</Play>",
    )
    await until_hears(call, PROMPT_HZ)
    assert call.answered_at is None
    assert call.responses[-1] == 183
    await call.until_answered()
    await call.until_ended()
    assert pitches(call) == near(PROMPT_HZ, NEXT_HZ)
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(1800, abs=150 + call.stood_still_ms)
    params = await customer.hangup_params(call_uuid=call.call_uuid)
    assert params["HangupCauseCode"] == "4010"
    assert int(params["Duration"]) <= 1
    cdr = await customer.cdr(call.call_uuid)
    assert cdr.answer_time > cdr.initiation_time


async def test_keys_before_the_answer_choose_how_the_call_goes_on(customer, dial, sound):
    busy = customer.serve("/busy", response('<Hangup reason="busy"/>'))
    call = await dial(
        f'<PreAnswer><GetDigits action="{busy}" numDigits="1" timeout="20"><Play>{sound(PROMPT_HZ, 9000)}</Play>'
        "</GetDigits></PreAnswer>",
        "<Wait/>",
    )
    await until_hears(call, PROMPT_HZ)
    call.send_digits("1")
    with pytest.raises(CallNotAnswered) as refused:
        await call.until_answered()
    assert refused.value.status == 486
    await call.until_ended()
    (request,) = customer.seen("/busy")
    assert (request.params["Digits"], request.params["CallStatus"]) == ("1", "ringing")
    await customer.hangup_params(call_uuid=call.call_uuid)
    assert (await customer.cdr(call.call_uuid)).answer_time is None


async def test_caller_gives_up_during_early_media(customer, dial, sound):
    call = await dial(f"<PreAnswer><Play>{sound(PROMPT_HZ, 9000)}</Play></PreAnswer>", "<Wait/>")
    await until_hears(call, PROMPT_HZ)
    await hung_up(call)
    params = await customer.hangup_params(call_uuid=call.call_uuid)
    assert (params["HangupCauseCode"], params["Duration"]) == ("1000", "0")


async def test_early_media_of_an_answered_call_just_plays(run, sound):
    call = await run(f"<Play>{sound(PROMPT_HZ)}</Play>", f"<PreAnswer><Play>{sound(NEXT_HZ)}</Play></PreAnswer>")
    await call.until_ended()
    assert pitches(call) == near(PROMPT_HZ, NEXT_HZ)
