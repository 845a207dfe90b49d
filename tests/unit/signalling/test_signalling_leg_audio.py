"""A leg's media session with its offer/answer state."""

from __future__ import annotations

import pytest
from tests.support.fake_media import FakeMediaPort
from tests.support.fake_sip import ANSWER, OFFER

from ringback.ids import SessionId
from ringback.media.control.commands import CloseSession, OpenSession, SetRemote
from ringback.media.control.port import CommandRejected
from ringback.media.control.values import RejectCode
from ringback.sdp.errors import NoCommonCodec
from ringback.sdp.parser import parse_sdp
from ringback.signalling.errors import LegOver
from ringback.signalling.leg_audio import LegAudio
from ringback.signalling.settings import SignallingSettings


def audio_on(media: FakeMediaPort, codecs: tuple[str, ...] = ()) -> LegAudio:
    """Return a leg's audio that is not open yet."""
    return LegAudio(media, SignallingSettings(), SessionId("s"), sdp_id="5", codecs=codecs, affinity="conference")


async def opened(media: FakeMediaPort) -> LegAudio:
    """Return a leg's audio that is open."""
    audio = audio_on(media)
    await audio.open(lambda event: None, signalling_host="127.0.0.1")
    return audio


async def test_session_opens_once_with_its_affinity_and_closes() -> None:
    media = FakeMediaPort()
    audio = audio_on(media)
    assert not audio.is_open
    await audio.close()
    with pytest.raises(LegOver):
        _ = audio.local
    await audio.open(lambda event: None, signalling_host="127.0.0.1")
    assert audio.is_open
    assert media.sessions[SessionId("s")].affinity == "conference"
    await audio.close()
    audio.forget()
    assert not audio.is_open
    await audio.close()
    assert [type(command) for command in media.commands] == [OpenSession, CloseSession]


async def test_offer_without_our_codec_opens_nothing() -> None:
    media = FakeMediaPort()
    audio = audio_on(media, ("PCMU",))
    with pytest.raises(NoCommonCodec):
        await audio.open(
            lambda event: None,
            signalling_host="127.0.0.1",
            offer=parse_sdp(OFFER.replace(b"AVP 8 0 96", b"AVP 8")),
        )
    assert media.commands == []


async def test_refused_command_leaves_the_exchange_as_it_was() -> None:
    media = FakeMediaPort()
    audio = await opened(media)
    first, changed = await audio.answer(parse_sdp(OFFER))
    assert changed
    remote = audio.remote
    media.fail(SetRemote, CommandRejected("no", reject=RejectCode.LIMIT))
    with pytest.raises(CommandRejected):
        await audio.answer(parse_sdp(OFFER + b"a=sendonly\r\n"))
    assert audio.remote is remote
    media.failures.clear()
    assert await audio.answer(parse_sdp(OFFER)) == (first, False)


async def test_offer_and_answer_of_the_peer() -> None:
    media = FakeMediaPort()
    audio = await opened(media)
    assert parse_sdp(audio.offer()).media[0].port == 20_000
    assert await audio.apply(ANSWER)
    assert not await audio.apply(ANSWER)
    assert len(media.of_type(SetRemote)) == 1
