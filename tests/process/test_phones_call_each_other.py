import asyncio

import numpy as np
import pytest
from tests.support.live_calls import until_heard_ms
from tests.support.tries import in_some_try
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import CallNotAnswered
from ringback.phones.phone import Phone, PhoneSettings


@pytest.fixture
async def phones():
    phones = [Phone(PhoneSettings(user="15550000001")), Phone(PhoneSettings(user="15550000002"))]
    for phone in phones:
        await phone.start()
    yield phones
    for phone in phones:
        await phone.close()


async def answered(caller, callee, uri=None, **options):
    call = await caller.call(uri or callee.uri, **options)
    other = await callee.next_call()
    other.ring()
    other.answer()
    await call.until_answered()
    return call, other


async def heard_whole(speaker, listener):
    """Return when a phone has said everything and the other one has heard it."""
    await speaker.until_played()
    await until_heard_ms(listener, len(listener.heard_samples()) / 8 + 200)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_audio_passes_both_ways_at_pitch_and_level(phones, transport):
    one, two = phones

    async def talk(_number):
        call, other = await answered(one, two, two.uri if transport == "udp" else two.tcp_uri)
        assert call.responses == [180, 200]
        call.play(tones.tone(700, 600))
        other.play(tones.tone(1900, 600))
        await asyncio.gather(heard_whole(call, other), heard_whole(other, call))
        call.hang_up()
        assert (await call.until_ended()).by == "us"
        assert (await other.until_ended()).by == "them"
        assert other.totals.lost_packets == 0
        for end, pitch in ((call, 1900), (other, 700)):
            heard = end.heard()
            assert heard.has_audio
            assert heard.pitch_hz == pytest.approx(pitch, abs=2)
            assert heard.level_dbov == pytest.approx(-15, abs=1)

    await in_some_try(talk)


async def test_digits_arrive_once_each(phones):
    call, other = await answered(*phones)
    call.send_digits("1#")
    await until(lambda: other.digits == "1#", "both digits")
    # A digit is three packets and more; none of them counts again.
    await until_heard_ms(other, len(other.heard_samples()) / 8 + 200)
    assert other.digits == "1#"
    call.hang_up()
    await other.until_ended()


async def test_own_headers_travel(phones):
    _call, other = await answered(*phones, headers=(("X-PH-tenant", "7"),))
    assert other.request.headers.get("X-PH-tenant") == "7"


async def test_refusal_is_reported_with_its_status(phones):
    one, two = phones
    call = await one.call(two.uri)
    (await two.next_call()).reject(486)
    with pytest.raises(CallNotAnswered) as caught:
        await call.until_answered()
    assert caught.value.status == 486
    assert (await call.until_ended()).by == "them"


async def test_call_given_up_while_ringing_is_cancelled(phones):
    one, two = phones
    call = await one.call(two.uri)
    other = await two.next_call()
    other.ring()
    await until(lambda: 180 in call.responses, "ringing")
    call.hang_up()
    assert (await call.until_ended()).by == "us"
    assert (await other.until_ended()).by == "them"


async def test_nobody_at_the_address_is_not_an_answer():
    phone = Phone(PhoneSettings())
    await phone.start()
    call = await phone.call("sip:1@127.0.0.1:1;transport=tcp")
    with pytest.raises(CallNotAnswered) as caught:
        await call.until_answered()
    assert caught.value.is_local
    await phone.close()


async def test_hold_stops_the_audio_and_resume_brings_it_back(phones):
    call, other = await answered(*phones)
    other.play(tones.tone(1000, 60_000))

    def level():
        """Return the level of the last 200 ms."""
        return tones.level_dbov(call.heard_samples()[-1600:])

    await until(lambda: abs(level() + 15) < 3, "the tone")
    call.hold()
    await until(lambda: level() < -60, "silence on hold")
    call.resume()
    await until(lambda: abs(level() + 15) < 3, "the tone again")
    call.hang_up()
    await call.until_ended()


async def test_codec_can_be_changed_during_the_call(phones):
    call, other = await answered(*phones)
    assert call.codec == "PCMU"
    call.renegotiate(codecs=("PCMA",))
    await until(lambda: (call.codec, other.codec) == ("PCMA", "PCMA"), "the other codec")

    async def listen(_number):
        other.play(tones.tone(1000, 400))
        await heard_whole(other, call)
        assert call.heard().pitch_hz == pytest.approx(1000, abs=2)

    await in_some_try(listen)
    call.hang_up()
    await call.until_ended()


async def test_phones_are_idle_after_their_calls(phones):
    one, two = phones
    call, other = await answered(one, two)
    call.hang_up()
    await call.until_ended()
    await other.until_ended()
    assert not one.pacer.is_ticking
    assert not two.pacer.is_ticking


async def test_many_calls_share_one_phone(phones):
    one, two = phones

    async def talk(_number):
        pairs = [await answered(one, two) for _ in range(10)]
        for index, (call, _other) in enumerate(pairs):
            call.play(tones.encode_number(index))
        await asyncio.gather(*(heard_whole(call, other) for call, other in pairs))
        for call, other in pairs:
            call.hang_up()
            await other.until_ended()
        assert [tones.decode_number(other.heard_samples()) for _call, other in pairs] == list(range(10))

    await in_some_try(talk)


async def test_what_is_heard_is_exactly_what_was_said_after_mulaw(phones):
    call, other = await answered(*phones)

    async def listen(number):
        said = tones.melody(9 + number, 300)
        call.play(said)
        await heard_whole(call, other)
        match = tones.find(said, other.heard_samples())
        assert match.likeness > 0.99
        found = other.heard_samples()[match.lag_samples :][: len(said)]
        assert np.max(np.abs(found.astype(int) - said)) < 1100

    await in_some_try(listen, 10)
    call.hang_up()
    await other.until_ended()
