"""Speech out: what `<Speak>` says is heard by a phone, in order, cut, repeated and skipped as documents want it."""

import pytest
from tests.support.customer import response
from tests.support.dials import assert_joined, dial
from tests.support.live_calls import hung_up
from tests.support.sounds import heard_tones, wav_reply
from tests.support.spoken import heard_clips, spoken_ms
from tests.support.waiting import until

pytestmark = pytest.mark.functional
NEXT_HZ = 1500


@pytest.fixture
def after(customer):
    """An element by whose tone a test knows that the document went on."""
    return f"<Play>{customer.serve(f'/{NEXT_HZ}.wav', wav_reply(NEXT_HZ, 400))}</Play>"


@pytest.fixture
def run(customer, phone, platform):
    """Calls a number that answers with this document; returns the answered call."""

    async def place(*elements):
        number = await customer.number(customer.serve("/answer", response(*elements)), hangup_url=customer.url("/end"))
        call = await phone.call(platform.uri(number))
        await call.until_answered()
        return call

    return place


def went_on(call):
    """Return whether the phone has heard the tone of `after`."""
    return any(abs(pitch - NEXT_HZ) < 20 for pitch, ms in heard_tones(call.heard_samples()) if ms >= 200)


async def until_said(platform, call, count):
    """Return the clips that the phone has heard as soon as there are so many."""
    await until(lambda: len(heard_clips(platform, call)) >= count, f"{count} clips at the phone", 60)
    return heard_clips(platform, call)


async def test_a_text_is_said_and_the_document_goes_on(customer, platform, run, after):
    call = await run("<Speak>One sentence is here. Here comes another.</Speak>", after)
    await call.until_ended(60)
    assert len(heard_clips(platform, call)) == 2
    assert spoken_ms(call.heard_samples()) > 1_500
    assert went_on(call)
    (speech,) = await customer.events(call.call_uuid, "media", event="speech")
    assert speech["fields"]["asked"] == "WOMAN"
    plays = await customer.events(call.call_uuid, "media", event="play finished")
    assert [play["fields"]["reason"] for play in plays] == ["completed"] * 3


async def test_what_is_repeated_is_said_from_the_cache(customer, platform, run, after):
    text = "Once more."
    call = await run(f"<Speak loop='2'>{text}</Speak>", f"<Speak>{text}</Speak>", after)
    await call.until_ended(60)
    (clip,) = heard_clips(platform, call)
    speech = [row["fields"]["is_cached"] for row in await customer.events(call.call_uuid, "media", event="speech")]
    assert speech == [False, True]
    finished = await customer.events(call.call_uuid, "media", event="play finished")
    twice, once = (row["fields"]["played_ms"] for row in finished[:2])
    assert twice == pytest.approx(2 * once, abs=40)
    assert clip.stat().st_size == pytest.approx(once * 16, abs=700)


async def test_a_key_cuts_a_prompt_and_is_collected(customer, platform, run, after):
    action = customer.serve("/keyed", response(after))
    prompt = "Press one for sales, or any other key. " * 20
    call = await run(f'<GetDigits action="{action}" numDigits="1" timeout="20"><Speak>{prompt}</Speak></GetDigits>')
    await until_said(platform, call, 1)
    call.send_digits("7")
    await call.until_ended(60)
    (request,) = customer.seen("/keyed")
    assert request.params["Digits"] == "7"
    assert went_on(call)


async def test_a_prompt_is_heard_before_the_answer(platform, customer, phone):
    document = response("<PreAnswer><Speak>This call is not answered yet.</Speak></PreAnswer>", "<Hangup/>")
    number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/end"))
    call = await phone.call(platform.uri(number))
    await until_said(platform, call, 1)
    await call.until_ended()
    assert call.answered_at is None


async def test_voices_languages_and_ssml(customer, platform, run):
    call = await run(
        '<Speak voice="Polly.Vicki">Guten Tag.</Speak>',
        '<Speak voice="MAN" language="fr-FR">Bonjour.</Speak>',
        '<Speak voice="Polly.Joanna">One<break time="600ms"/><prosody rate="fast" volume="loud">two</prosody></Speak>',
    )
    await call.until_ended(60)
    assert len(heard_clips(platform, call)) >= 3
    rows = await customer.events(call.call_uuid, "media", event="speech")
    assert [row["fields"]["language"] for row in rows] == ["de-DE", "fr-FR", "en-US"]
    assert rows[0]["fields"]["voice"].startswith("de")
    assert rows[1]["fields"]["voice"].startswith("fr")
    assert not any("detail" in row["fields"] for row in rows)


async def test_odd_texts_are_bearable_and_noted(customer, run, after):
    call = await run(
        "<Speak> </Speak>",
        '<Speak>-h $(id) [[hE]] &lt;b&gt; "</Speak>',
        '<Speak language="xx-YY" voice="Polly.Nobody"><audio src="x">Oh.</audio></Speak>',
        "<Speak>… — !</Speak>",
        after,
    )
    await call.until_ended(60)
    assert went_on(call)
    notes = " | ".join(row["fields"]["text"] for row in await customer.events(call.call_uuid, "element", phase="note"))
    for words in ("nothing to say", "'Polly.Nobody' is unknown", "<audio> is not supported"):
        assert words in notes
    assert "not spoken" not in notes
    (foreign,) = await customer.events(call.call_uuid, "media", event="speech", language="xx-YY")
    assert foreign["fields"]["detail"] == "no installed voice speaks xx-YY"


async def test_ten_kilobytes_begin_at_once_and_end_with_the_call(platform, run):
    call = await run(f"<Speak>{'All of our agents are busy, please hold the line number ten thousand. ' * 140}</Speak>")
    await until_said(platform, call, 1)
    await hung_up(call)


async def test_a_transfer_silences_speech(customer, run, after):
    call = await run(f"<Speak loop='0'>{'This goes on and on until somebody says stop. ' * 5}</Speak>")
    await customer.until_event(call.call_uuid, "media", event="play started")
    other = customer.serve("/other", response(after))
    await customer.sdk(lambda sdk: sdk.calls.transfer(call.call_uuid, legs="aleg", aleg_url=other))
    await call.until_ended(60)
    assert went_on(call)
    stopped = await customer.events(call.call_uuid, "media", event="play finished", reason="stopped")
    assert stopped


async def test_a_caller_and_a_party_that_is_dialled_are_spoken_to(customer, platform, run, new_phone):
    human = await new_phone(user="15550007777")
    music = customer.serve("/music", response("<Speak>You are being connected.</Speak>"))
    confirm = customer.serve("/confirm", response("<Speak>Press one to take this call.</Speak>"))
    call = await run(dial(human.uri, dialMusic=music, confirmSound=confirm, confirmKey="1"))
    callee = await human.next_call()
    callee.ring()
    await until_said(platform, call, 1)
    callee.answer()
    await until_said(platform, callee, 1)
    callee.send_digits("1")
    await assert_joined(call, callee)
    await hung_up(call)
