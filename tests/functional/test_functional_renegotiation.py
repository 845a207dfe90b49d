"""re-INVITEs in the middle of a call: hold, resume, another codec, another packet time; the stream never notices."""

import pytest
from tests.support.agent_audio import assert_gapless, heard_by, say, sounding
from tests.support.customer import response, stream
from tests.support.live_calls import answered, connection_of, hung_up, say_until, until_heard_ms
from tests.support.waiting import until

from ringback.phones import tones

pytestmark = pytest.mark.functional


@pytest.fixture
async def number(customer, silent_agent):
    return await customer.number(customer.serve("/answer", response(stream(silent_agent.url))))


async def pitch_from(call, already, expected_hz):
    """Check that the sound heard after sample `already` is one tone of this pitch; return where it ends."""
    await until(
        lambda: len(sounding(call.heard_samples()[already:])) > 8 * 300, f"a tone of {expected_hz} Hz at the phone"
    )
    heard = call.heard_samples()
    assert tones.pitch_hz(sounding(heard[already:])) == pytest.approx(expected_hz, abs=4)
    return len(heard)


async def agent_pitch_from(call, connection, already, expected_hz):
    """Let the phone play a tone and check that the agent hears it, and nothing else, after sample `already`."""
    rate_hz = connection.format[1]

    def loud():
        return len(sounding(heard_by(connection)[already:])) > rate_hz * 0.2

    await say_until(call, tones.tone(expected_hz, 500), loud, f"a tone of {expected_hz} Hz at the agent")
    heard = heard_by(connection)
    assert tones.pitch_hz(sounding(heard[already:]), rate_hz) == pytest.approx(expected_hz, abs=4)


async def test_hold_silences_the_caller_and_resume_brings_audio_back(customer, silent_agent, number, phone, platform):
    call = await answered(phone, platform, number)
    connection = await connection_of(silent_agent, call)
    say(connection, tones.tone(800, 400))
    at = await pitch_from(call, 0, 800)
    await until(lambda: not len(sounding(call.heard_samples()[-8 * 200 :])), "the end of the tone")

    call.hold()
    held = await customer.until_event(call.call_uuid, "leg", event="renegotiated", direction="recvonly")
    before, chunks = len(call.heard_samples()), len(connection.messages)
    say(connection, tones.tone(1000, 400))
    # On hold the agent still hears the caller's side: frames go on, 50 a second.
    await agent_pitch_from(call, connection, 0, 600)
    await until(lambda: len(connection.messages) > chunks + 40, "0.8 s of stream on hold")
    assert not len(sounding(call.heard_samples()[before:])), "the caller on hold heard the agent"

    call.resume()
    await customer.until_event(call.call_uuid, "leg", held["id"], event="renegotiated", direction="sendrecv")
    say(connection, tones.tone(1300, 400))
    await pitch_from(call, max(at, len(call.heard_samples())), 1300)
    already = len(heard_by(connection))
    await agent_pitch_from(call, connection, already, 700)
    assert_gapless(connection)
    await hung_up(call)


@pytest.mark.parametrize("first", ["PCMU", "PCMA"])
async def test_codec_changes_and_the_stream_keeps_its_format(
    customer, silent_agent, number, new_phone, platform, first
):
    other = {"PCMU": "PCMA", "PCMA": "PCMU"}[first]
    phone = await new_phone(codecs=(first,))
    call = await answered(phone, platform, number)
    connection = await connection_of(silent_agent, call)
    assert call.codec == first
    say(connection, tones.tone(800, 400))
    at = await pitch_from(call, 0, 800)
    call.renegotiate(codecs=(other,))
    await until(lambda: call.codec == other, "the other codec")
    say(connection, tones.tone(1900, 400))
    await pitch_from(call, at, 1900)
    already = len(heard_by(connection))
    await agent_pitch_from(call, connection, already, 500)
    level = tones.level_dbov(sounding(heard_by(connection)[already:]))
    assert level == pytest.approx(-15, abs=1)
    assert_gapless(connection)
    await hung_up(call)


async def test_renegotiation_that_changes_nothing_is_answered_alike(customer, silent_agent, number, phone, platform):
    call = await answered(phone, platform, number)
    connection = await connection_of(silent_agent, call)
    for _ in range(3):
        call.renegotiate()
    await agent_pitch_from(call, connection, 0, 900)
    await until_heard_ms(call, 500)
    assert_gapless(connection)
    await hung_up(call)
