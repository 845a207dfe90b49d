"""Sounds, speech and keys that the API adds to live calls, by the official SDK, judged by what phones hear."""

import pytest
from tests.support.customer import response, stream
from tests.support.dials import dial, hears, tone_ms, until_tone
from tests.support.live_calls import connection_of, hung_up, say_until
from tests.support.sounds import heard_tones, wav_reply
from tests.support.spoken import heard_clips
from tests.support.waiting import until

from ringback.phones import tones

pytestmark = pytest.mark.functional
CALLER_HZ, SOUND_HZ, OTHER_HZ, NEXT_HZ = 700, 1500, 1100, 1900


@pytest.fixture
def sound(customer):
    """Serves a tone and returns its URL."""
    return lambda pitch_hz, ms=400: customer.serve(f"/{pitch_hz}.wav", wav_reply(pitch_hz, ms))


@pytest.fixture
def run(customer, phone, platform):
    """Calls a number that answers with this document; returns the answered call."""

    async def place(*elements):
        number = await customer.number(customer.serve("/answer", response(*elements)), hangup_url=customer.url("/end"))
        call = await phone.call(platform.uri(number))
        await call.until_answered()
        return call

    return place


def sound_together_ms(call, *pitches_hz):
    """Return for how long the phone has heard all of these pitches at once."""
    heard = call.heard_samples()
    pieces = [heard[at : at + 320] for at in range(0, len(heard) - 320, 320)]
    return 40 * sum(all(tone_ms(piece, pitch_hz) for pitch_hz in pitches_hz) for piece in pieces)


async def until_no_tone(call, pitch_hz):
    """Return when the last 300 ms at the phone are without a pitch."""
    await until(
        lambda: len(call.heard_samples()) > 2_400 and tone_ms(call.heard_samples()[-2_400:], pitch_hz) == 0,
        f"the end of {pitch_hz} Hz",
        15,
    )


async def test_play_is_mixed_with_a_running_stream_until_it_is_stopped(customer, run, sound, agent):
    call = await run(stream(agent.url))
    await connection_of(agent, call)
    call.play(tones.tone(CALLER_HZ, 20_000))
    await until_tone(call, CALLER_HZ)
    url = sound(SOUND_HZ)
    await customer.sdk(lambda sdk: sdk.calls.play(call.call_uuid, url, loop=True))
    await until(lambda: sound_together_ms(call, SOUND_HZ, CALLER_HZ) >= 400, "the agent and the sound at once")
    await customer.sdk(lambda sdk: sdk.calls.play_stop(call.call_uuid))
    await until_no_tone(call, SOUND_HZ)
    await until_tone(call, CALLER_HZ, 300, len(call.heard_samples()))
    await hung_up(call)
    (over,) = await customer.events(call.call_uuid, "media", event="api play over")
    assert over["fields"]["reason"] == "stopped"


async def test_play_without_mixing_is_heard_alone_and_the_stream_comes_back(customer, run, sound, agent):
    call = await run(stream(agent.url))
    await connection_of(agent, call)
    call.play(tones.tone(CALLER_HZ, 20_000))
    await until_tone(call, CALLER_HZ)
    url = sound(SOUND_HZ, 1_500)
    await customer.sdk(lambda sdk: sdk.calls.play(call.call_uuid, url, mix=False))
    await customer.until_event(call.call_uuid, "media", event="api play over")
    await until_tone(call, CALLER_HZ, 300, len(call.heard_samples()))
    heard = call.heard_samples()
    assert tone_ms(heard, SOUND_HZ) >= 1_300
    assert sound_together_ms(call, SOUND_HZ, CALLER_HZ) <= 120, "they are heard together at the edges only"
    await hung_up(call)


async def test_speech_beside_a_document_does_not_end_its_play(customer, platform, run, sound):
    # For ever: how long a voice needs until it speaks is the machine's business.
    call = await run(f'<Play loop="0">{sound(SOUND_HZ, 2_400)}</Play>', f"<Play>{sound(NEXT_HZ)}</Play>")
    await until_tone(call, SOUND_HZ)
    reply = await customer.sdk(lambda sdk: sdk.calls.speak(call.call_uuid, "Somebody else says this."))
    assert reply.message == "speak started"
    await customer.until_event(call.call_uuid, "media", timeout_s=40, event="api speak over", reason="completed")
    assert heard_clips(platform, call, certain=0.35)
    await until_tone(call, SOUND_HZ, 1_000, len(call.heard_samples()))
    assert tone_ms(call.heard_samples(), NEXT_HZ) == 0
    await hung_up(call)


async def test_speech_is_stopped(customer, run):
    call = await run('<Wait length="20"/>')
    await customer.sdk(lambda sdk: sdk.calls.speak(call.call_uuid, "This never ends by itself.", loop=True))
    await customer.until_event(call.call_uuid, "media", event="play started")
    await customer.sdk(lambda sdk: sdk.calls.speak_stop(call.call_uuid))
    await customer.until_event(call.call_uuid, "media", event="api speak over", reason="stopped")
    await hung_up(call)


async def test_several_sounds_play_in_order_and_what_cannot_be_had_is_left_out(customer, run, sound):
    call = await run('<Wait length="20"/>')
    urls = ",".join([sound(SOUND_HZ), "http://127.0.0.1:1/nothing.mp3", sound(OTHER_HZ)])
    await customer.sdk(lambda sdk: sdk.calls.play(call.call_uuid, urls))
    over = await customer.until_event(call.call_uuid, "media", event="api play over")
    await until_tone(call, OTHER_HZ, 300)
    pitches = [pitch for pitch, _ in heard_tones(call.heard_samples()) if pitch]
    assert pitches == [pytest.approx(SOUND_HZ, abs=20), pytest.approx(OTHER_HZ, abs=20)]
    assert over["fields"]["reason"] == "completed"
    assert over["fields"]["detail"]
    await hung_up(call)


async def test_a_sound_ends_after_its_length(customer, run, sound):
    call = await run('<Wait length="20"/>')
    url = sound(SOUND_HZ)
    await customer.sdk(lambda sdk: sdk.calls.play(call.call_uuid, url, length=1, loop=True))
    over = await customer.until_event(call.call_uuid, "media", event="api play over")
    assert over["fields"]["reason"] == "stopped"
    await until_no_tone(call, SOUND_HZ)
    assert tone_ms(call.heard_samples(), SOUND_HZ) >= 400
    await hung_up(call)


async def test_keys_reach_the_far_party(customer, run):
    call = await run('<Wait length="20"/>')
    await customer.sdk(lambda sdk: sdk.calls.send_digits(call.call_uuid, "1w2#"))
    await until(lambda: call.digits == "12#", "keys at the phone")
    await hung_up(call)


async def test_each_leg_of_a_bridge_is_reached_by_its_name(customer, run, sound, new_phone):
    human = await new_phone(user="15550007777")
    call = await run(dial(human.uri))
    callee = await human.next_call()
    callee.answer()
    await until_tone_between(call, callee)
    to_callee, to_both = sound(SOUND_HZ), sound(OTHER_HZ)
    await customer.sdk(lambda sdk: sdk.calls.play(call.call_uuid, to_callee, legs="bleg"))
    await until_tone(callee, SOUND_HZ, 280)
    await customer.sdk(lambda sdk: sdk.calls.play(call.call_uuid, to_both, legs="both"))
    await until_tone(callee, OTHER_HZ, 280)
    await until_tone(call, OTHER_HZ, 280)
    assert tone_ms(call.heard_samples(), SOUND_HZ) == 0
    await customer.sdk(lambda sdk: sdk.calls.send_digits(call.call_uuid, "5", leg="bleg"))
    await until(lambda: callee.digits == "5", "a key at the callee")
    assert call.digits == ""
    await hung_up(call)


async def until_tone_between(call, callee):
    """Return when the callee hears the caller."""
    await say_until(call, tones.tone(CALLER_HZ, 600), lambda: hears(callee, CALLER_HZ), "the caller at the callee")


async def test_a_call_without_a_b_leg_says_so(customer, run, sound):
    call = await run('<Wait length="20"/>')
    url = sound(SOUND_HZ)
    for ask in (
        lambda sdk: sdk.calls.play(call.call_uuid, url, legs="bleg"),
        lambda sdk: sdk.calls.speak(call.call_uuid, "Hello", legs="both"),
        lambda sdk: sdk.calls.send_digits(call.call_uuid, "1", leg="bleg"),
    ):
        with pytest.raises(Exception, match="no B leg"):
            await customer.sdk(ask)
    await hung_up(call)
