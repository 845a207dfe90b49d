"""GetInput on live calls: words spoken by a phone, keys, and whichever comes first."""

import asyncio

import pytest
from tests.support.customer import response
from tests.support.live_calls import answered
from tests.support.sounds import heard_tones, wav_reply
from tests.support.spoken import words
from tests.support.stalls import undisturbed
from tests.support.waiting import until

pytest.importorskip("pocketsphinx")

pytestmark = pytest.mark.functional

PROMPT_HZ, NEXT_HZ = 600, 1500


@pytest.fixture
def sound(customer):
    """Serves a tone and returns its URL."""
    return lambda pitch_hz, ms=300: customer.serve(f"/{pitch_hz}.wav", wav_reply(pitch_hz, ms))


@pytest.fixture
def run(customer, phone, platform):
    """Calls a number that answers with this document; returns the answered call."""

    async def place(name, *elements):
        number = await customer.number(customer.serve(f"/{name}", response(*elements)))
        return await answered(phone, platform, number)

    return place


def pitches(call):
    """Return the pitches of what the phone has heard, in order."""
    return [pitch for pitch, _ in heard_tones(call.heard_samples()) if pitch]


def near(*expected):
    """Return pitches as approximations."""
    return [pytest.approx(pitch, abs=20) for pitch in expected]


async def spoken_phrase_stops_the_prompt_and_reaches_the_action(customer, run, sound, attempt):
    """Say what is expected."""
    path, interim_url = f"/action-phrase-{attempt}", customer.url(f"/interim-{attempt}")
    action = customer.serve(path, response(f"<Play>{sound(NEXT_HZ)}</Play>"))
    call = await run(
        f"phrase-{attempt}",
        f'<GetInput action="{action}" inputType="dtmf speech" hints="Technical Support, billing, check balance" '
        f'executionTimeout="60" speechEndTimeout="3" interimSpeechResultsCallback="{interim_url}">'
        f"<Play>{sound(PROMPT_HZ, 20_000)}</Play></GetInput>",
        '<Wait length="30"/>',
    )
    await until(lambda: pitches(call) == near(PROMPT_HZ), "the prompt")
    call.play(words("technical_support"))
    await call.until_ended(60)
    (request,) = customer.seen(path)
    wanted = {"InputType": "speech", "Speech": "Technical Support", "Digits": "", "BilledAmount": "0.00000"}
    assert request.params == request.params | wanted
    assert 0 < float(request.params["SpeechConfidenceScore"]) <= 1
    assert pitches(call) == near(PROMPT_HZ, NEXT_HZ), "the prompt of 20 s is cut"
    interim = await customer.until(f"/interim-{attempt}")
    assert [each.params["SequenceNumber"] for each in interim] == [str(n) for n in range(1, len(interim) + 1)]
    guess = interim[-1].params
    assert f"{guess['StableSpeech']} {guess['UnstableSpeech']}".strip() == "Technical Support"
    assert {"StableSpeech", "Stability", "CallUUID"} <= set(interim[0].params)


async def test_key_pressed_first_is_the_input(customer, run):
    action = customer.serve("/action", response())
    call = await run(
        "key",
        f'<GetInput action="{action}" inputType="dtmf speech" hints="sales" numDigits="2" digitEndTimeout="10" '
        'executionTimeout="60"/>',
    )
    await customer.until_event(call.call_uuid, "element", phase="started", name="GetInput")
    call.send_digits("42")
    await call.until_ended()
    (request,) = customer.seen("/action")
    assert (request.params["InputType"], request.params["Digits"], request.params["Speech"]) == ("dtmf", "42", "")


async def spoken_digits_are_input(customer, run, sound, attempt):
    """Say digits."""
    path = f"/action-digits-{attempt}"
    action = customer.serve(path, response())
    call = await run(
        f"digits-{attempt}",
        f'<GetInput action="{action}" inputType="speech" hints="sales, technical support" executionTimeout="60" '
        'redirect="false" log="false"/>',
        f"<Play>{sound(NEXT_HZ)}</Play>",
    )
    await customer.until_event(call.call_uuid, "element", phase="started", name="GetInput")
    call.play(words("three_four_five"))
    await call.until_ended(60)
    (request,) = await customer.until(path)
    assert request.params["Speech"] == "345"
    assert pitches(call) == near(NEXT_HZ)
    await customer.until_event(call.call_uuid, "webhook", target="action")
    rows = await customer.events(call.call_uuid)
    assert "345" not in "".join(str(row["fields"]) for row in rows if row["kind"] in ("webhook", "element"))


async def silence_repeats_the_prompt_then_the_document_goes_on(customer, run, sound):
    """Say nothing."""
    action = customer.serve("/action-silent", response())
    call = await run(
        "silent",
        f'<GetInput action="{action}" inputType="speech" startInputTimeout="1" retries="2">'
        f"<Play>{sound(PROMPT_HZ)}</Play></GetInput>",
        f"<Play>{sound(NEXT_HZ)}</Play>",
    )
    await call.until_ended()
    assert pitches(call) == near(PROMPT_HZ, PROMPT_HZ, NEXT_HZ)
    assert not customer.seen("/action-silent")


async def test_speech_is_input(customer, phone, run, sound):
    async def all_at_once(attempt):
        await asyncio.gather(
            spoken_phrase_stops_the_prompt_and_reaches_the_action(customer, run, sound, attempt),
            spoken_digits_are_input(customer, run, sound, attempt),
            silence_repeats_the_prompt_then_the_document_goes_on(customer, run, sound),
        )

    await undisturbed(phone, all_at_once)


async def test_speech_that_cannot_be_recognised_is_told_before_the_document_begins(customer, phone, platform):
    document = response('<GetInput action="http://127.0.0.1:1/" inputType="speech" language="fr-FR"/>')
    number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
    call = await phone.call(platform.uri(number))
    assert (await call.until_ended()).status == 503
    assert (await customer.hangup_params(call_uuid=call.call_uuid))["HangupCauseCode"] == "8011"
    refused = await customer.until_event(call.call_uuid, "element", phase="refused")
    assert "speech in fr-FR cannot be recognised" in refused["fields"]["detail"]
