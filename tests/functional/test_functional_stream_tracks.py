"""What both tracks of a stream carry whatever the call does: prompts, recordings, the API's sounds, rooms, bridges.

The outbound track is compared with what the phone has heard, the inbound one with what it has said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.agent_audio import assert_gapless, heard_by, sounding
from tests.support.conference import conference
from tests.support.customer import Customer, response, stream
from tests.support.dials import assert_joined, dial, tone_ms, until_tone
from tests.support.live_calls import answered, connection_of, hung_up, say_until, until_heard_ms
from tests.support.raw_api import RawApi
from tests.support.sounds import wav_reply
from tests.support.stream_agent import AgentConnection, StreamAgent, stream_agent
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone

pytestmark = pytest.mark.functional
PROMPT_HZ, CALLER_HZ, MUSIC_HZ, FRIEND_HZ, API_HZ = 600.0, 850.0, 1350.0, 1850.0, 2350.0
BEEP_HZ = 1000.0
LONG_MS, ENOUGH_MS = 800, 400
PIECE_SAMPLES, ALIKE = 8 * 100, 0.6
SAME_SHARE = 0.7
"""How much of the outbound track must stand in what the phone has heard: its jitter buffer may repair at any place."""


@pytest.fixture
async def listeners() -> AsyncIterator[StreamAgent]:
    """An agent that listens on as many streams as one asks for."""
    async with stream_agent(echo=False) as agent:
        yield agent


def listening_to(agent: StreamAgent, tracks: str = "both") -> str:
    """Return a one-way stream beside which the document goes on."""
    return stream(
        agent.url,
        bidirectional="false",
        keepCallAlive="false",
        audioTrack=tracks,
        contentType="audio/x-mulaw;rate=8000",
    )


async def call_of(customer: Customer, phone: Phone, name: str, *elements: str) -> PhoneCall:
    """Return an answered call with this document."""
    number = await customer.number(customer.serve(f"/{name}", response(*elements)))
    return await answered(phone, customer.platform, number)


async def until_carries(connection: AgentConnection, track: str, pitch_hz: float) -> None:
    """Return when a track has carried enough of a pitch."""
    what = f"{pitch_hz} Hz on the {track} track"
    await until(lambda: tone_ms(heard_by(connection, track), pitch_hz) >= ENOUGH_MS, what)


async def say_until_carried(call: PhoneCall, connection: AgentConnection, track: str, pitch_hz: float) -> None:
    """Let a phone play a pitch until a track has carried enough of it."""

    def carried() -> bool:
        return tone_ms(heard_by(connection, track), pitch_hz) >= ENOUGH_MS

    await say_until(call, tones.tone(pitch_hz, LONG_MS), carried, f"{pitch_hz} Hz on the {track} track")


async def assert_heard_alike(connection: AgentConnection, call: PhoneCall) -> None:
    """Check that the outbound track is what the phone has heard, and that both tracks are whole."""
    carried = sounding(heard_by(connection, "outbound"))
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 300)
    heard = sounding(call.heard_samples())
    assert len(carried) > 8 * ENOUGH_MS
    pieces = [carried[at : at + PIECE_SAMPLES] for at in range(0, len(carried) - PIECE_SAMPLES + 1, PIECE_SAMPLES)]
    # Not in their order: a piece of a tone fits anywhere into the tone.
    found = sum(tones.find(piece, heard).likeness > ALIKE for piece in pieces)
    assert found >= SAME_SHARE * len(pieces), f"{found} of {len(pieces)} pieces were heard"
    assert len(heard) >= SAME_SHARE * len(carried)
    for track in ("inbound", "outbound"):
        assert_gapless(connection, track)


async def test_prompts_of_the_document_are_on_the_outbound_track(
    customer: Customer, phone: Phone, listeners: StreamAgent
) -> None:
    """Speak, a prompt for keys, the beep of a recording; what the caller says and presses meanwhile is inbound."""
    prompt = customer.serve("/prompt.wav", wav_reply(PROMPT_HZ, LONG_MS))
    call = await call_of(
        customer,
        phone,
        "prompts",
        listening_to(listeners),
        "<Speak>Good morning to all of you.</Speak>",
        f'<GetDigits action="{customer.url("/keys")}" redirect="false" numDigits="1" timeout="20" retries="1">'
        f"<Play>{prompt}</Play></GetDigits>",
        f'<Record action="{customer.url("/recorded")}" redirect="false" finishOnKey="#" maxLength="20"/>',
        "<Wait length='30'/>",
    )
    connection = await connection_of(listeners, call)
    await until(lambda: len(sounding(heard_by(connection, "outbound"))) > 8 * 500, "the voice on the outbound track")
    await until_carries(connection, "outbound", PROMPT_HZ)
    call.send_digits("4")
    await customer.until("/keys", Digits="4")
    await until(lambda: tone_ms(heard_by(connection, "outbound"), BEEP_HZ) >= 200, "the beep")
    await say_until_carried(call, connection, "inbound", CALLER_HZ)
    call.send_digits("#")
    await customer.until("/recorded")
    keys = [message["dtmf"]["digit"] for message in connection.messages if message["event"] == "dtmf"]
    assert keys == ["4", "#"]
    assert tone_ms(heard_by(connection, "outbound"), CALLER_HZ) <= 80, "the caller is on the outbound track"
    assert tone_ms(heard_by(connection, "inbound"), PROMPT_HZ) <= 80, "the prompt is on the inbound track"
    await assert_heard_alike(connection, call)
    await hung_up(call)


async def test_what_the_api_plays_and_says_is_on_the_outbound_track(
    customer: Customer, phone: Phone, listeners: StreamAgent
) -> None:
    sound = customer.serve("/api.wav", wav_reply(API_HZ, LONG_MS))
    call = await call_of(customer, phone, "api", listening_to(listeners), "<Wait length='60'/>")
    connection = await connection_of(listeners, call)
    await customer.sdk(lambda sdk: sdk.calls.play(call.call_uuid, urls=[sound], length=5, legs="aleg"))
    await until_carries(connection, "outbound", API_HZ)
    before = len(sounding(heard_by(connection, "outbound")))
    await customer.sdk(lambda sdk: sdk.calls.speak(call.call_uuid, text="Good morning to all of you."))
    await until(lambda: len(sounding(heard_by(connection, "outbound"))) > before + 8 * 700, "the voice")
    await assert_heard_alike(connection, call)
    await hung_up(call)


async def test_a_room_is_on_the_outbound_track_and_the_member_on_the_inbound_one(
    customer: Customer, phone: Phone, new_phone: Any, listeners: StreamAgent
) -> None:
    """First the music that a lonely member hears, then the others; each member's stream is its own."""
    music = customer.serve("/music.wav", wav_reply(MUSIC_HZ, LONG_MS))
    wait = customer.serve("/wait.xml", response(f"<Play>{music}</Play>"))
    friend = await new_phone(user="15550008888")
    first = await call_of(
        customer, phone, "first", listening_to(listeners), conference("Tracks", waitSound=wait, stayAlone="true")
    )
    mine = await connection_of(listeners, first)
    await until_carries(mine, "outbound", MUSIC_HZ)
    second = await call_of(customer, friend, "second", listening_to(listeners), conference("Tracks"))
    theirs = await connection_of(listeners, second)
    first.play(tones.tone(CALLER_HZ, 20_000))
    second.play(tones.tone(FRIEND_HZ, 20_000))
    for connection, said_hz, heard_hz in ((mine, CALLER_HZ, FRIEND_HZ), (theirs, FRIEND_HZ, CALLER_HZ)):
        await until_carries(connection, "inbound", said_hz)
        await until_carries(connection, "outbound", heard_hz)
        assert tone_ms(heard_by(connection, "inbound"), heard_hz) <= 80, "the room is on the inbound track"
        assert tone_ms(heard_by(connection, "outbound"), said_hz) <= 80, "the member hears itself"
    await assert_heard_alike(mine, first)
    await asyncio.gather(hung_up(first), hung_up(second))


async def test_the_leg_that_was_dialled_has_streams_of_its_own(
    customer: Customer, phone: Phone, new_phone: Any, listeners: StreamAgent
) -> None:
    """By its own CallUUID; the tracks are seen from that leg."""
    human = await new_phone(user="15550009999")
    number = await customer.number(customer.serve("/bridge", response(dial(human.uri))))
    call = await phone.call(customer.platform.uri(number))
    callee = await human.next_call()
    callee.answer()
    await assert_joined(call, callee)
    reply = await RawApi(customer.platform)(
        "POST", f"Call/{callee.call_uuid}/Stream/", {"service_url": listeners.url, "audio_track": "both"}
    )
    assert reply.status == 202, reply
    connection = await connection_of(listeners, callee)
    await say_until_carried(callee, connection, "inbound", FRIEND_HZ)
    await say_until_carried(call, connection, "outbound", CALLER_HZ)
    await until_tone(call, FRIEND_HZ)
    for track in ("inbound", "outbound"):
        assert_gapless(connection, track)
    await hung_up(call)
    await callee.until_ended()
