"""What an agent is told about its audio against the packets that really left: never more than one frame apart."""

from __future__ import annotations

import audioop
import base64
import json
import random
import warnings
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.support.media_leg import PCMA_CODEC, PCMU_CODEC, SLOT_NS, WALL_MS, Leg, play_audio, remote, stream_settings

from ringback.ids import SessionId
from ringback.machine import Instant
from ringback.media.codecs.convert import L16_8K, L16_16K, ULAW_8K
from ringback.media.control.values import AudioFormat, Encoding, MediaDirection, StreamEnd
from ringback.media.played import NEW_UTTERANCE_SLOTS, PlayedAudio
from ringback.media.session import Datagram, MediaSession
from ringback.media.settings import MediaSettings
from ringback.media.stream.session import StreamSession
from ringback.media.stream.truth import AudioReport, wants_truth

with warnings.catch_warnings():
    # The SDK itself uses what pydantic deprecates.
    warnings.simplefilter("ignore")
    from plivo_stream import types as plivo_types

OPT_IN = "tenant=7,ringback.truth=1"
TOLERANCE_MS = 20
HEADER_BYTES = 12
L16_24K = AudioFormat(Encoding.L16, 24_000)
FORMATS = (ULAW_8K, L16_8K, L16_16K, L16_24K)
LEVEL = 8_000
"""All that the agents of the conversations say."""
LOUD = {
    name: bytes(code for code in range(256) if audioop.max(decode(bytes([code]), 2), 2) > LEVEL * 15 // 16)
    for name, decode in (("PCMU", audioop.ulaw2lin), ("PCMA", audioop.alaw2lin))
}
"""The codes of the agent's audio; what fades out behind it has lower ones."""
NOTHING = {
    "playedMs": 0,
    "utteranceMs": 0,
    "droppedMs": 0,
    "queuedMs": 0,
    "playedCheckpoints": 0,
    "droppedCheckpoints": 0,
    "queuedCheckpoints": 0,
}


def asking(**more: Any) -> Leg:
    """Return a leg whose agent asked for the truth."""
    return Leg(stream=stream_settings(extra_headers=OPT_IN, **more))


def last_audio(leg: Leg, event: str) -> dict[str, int]:
    """Return the figures of the last message of that name."""
    audio: dict[str, int] = leg.named(event)[-1]["audio"]
    return audio


# -- asking for it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra_headers",
    [
        "ringback.truth=1",
        "ringback.truth=true",
        "a=b,ringback.truth=1",
        "a=b; ringback.truth=TRUE ;c=d",
        '{"ringback.truth": 1}',
        ' {"a":"b","ringback.truth":"true"}',
        '{"ringback.truth":true}',
    ],
)
def test_extra_headers_that_ask(extra_headers: str) -> None:
    assert wants_truth(extra_headers)


@pytest.mark.parametrize(
    "extra_headers",
    [
        "",
        "ringback.truth",
        "ringback.truth=0",
        "ringback.truth=false",
        "xringback.truth=1",
        "a=ringback.truth=1",
        '{"a":"ringback.truth=1"}',
        '{"ringback.truth":0}',
        '{"ringback.truth":[1]}',
        '{"ringback.truth":1',
        "[" * 5000 + "ringback.truth=1",
        '{"ringback.truth":' + "[" * 200,
        '{"ringback.truth":"\ud800"}',
    ],
)
def test_extra_headers_that_do_not_ask(extra_headers: str) -> None:
    assert not wants_truth(extra_headers)


def test_messages_keep_their_shape_for_who_does_not_ask() -> None:
    leg = Leg(stream=stream_settings(extra_headers="tenant=7"))
    leg.command({"event": "checkpoint", "name": "a"})
    leg.command({"event": "clearAudio"})
    assert set(leg.heard[0]) == {"event", "sequenceNumber", "start", "extra_headers"}
    assert set(leg.named("playedStream")[0]) == {"event", "sequenceNumber", "streamId", "name"}
    assert set(leg.named("clearedAudio")[0]) == {"event", "sequenceNumber", "streamId"}


def test_a_query_is_answered_whether_or_not_the_stream_asked() -> None:
    for leg in (Leg(), asking()):
        leg.command({"event": "queryAudio"})
        [answer] = leg.named("queriedAudio")
        assert set(answer) == {"event", "sequenceNumber", "streamId", "audio"}
        assert answer["audio"] == NOTHING
        leg.assert_gapless()


def test_a_one_way_stream_has_no_audio_to_ask_for() -> None:
    leg = asking(bidirectional=False)
    leg.command({"event": "queryAudio"})
    assert leg.named("incorrectPayload")[0]["reason"] == "stream is not bidirectional"
    assert leg.heard[0]["reconnects"] == 0
    assert "audio" not in leg.heard[0]


def test_extra_headers_stay_verbatim_for_who_asks() -> None:
    leg = asking()
    leg.slots(1)
    assert {message["extra_headers"] for message in leg.heard} == {OPT_IN}


def test_the_official_client_accepts_the_further_members() -> None:
    leg = asking()
    leg.play(b"\x80" * 1600)
    leg.command({"event": "checkpoint", "name": "a"})
    leg.slots(11)
    leg.command({"event": "clearAudio"})
    for event, model in (
        ("start", plivo_types.StartEvent),
        ("playedStream", plivo_types.PlayedStreamEvent),
        ("clearedAudio", plivo_types.ClearedAudioEvent),
    ):
        [message] = leg.named(event)
        assert set(message["audio"]) == set(NOTHING)
        TypeAdapter(model).validate_python(message)


# -- what is told --------------------------------------------------------------------------------------------------


def test_a_reply_that_is_interrupted() -> None:
    leg = asking()
    leg.play(b"\x80" * 80_000)
    leg.command({"event": "checkpoint", "name": "whole"})
    leg.slots(150)
    leg.command({"event": "clearAudio"})
    assert last_audio(leg, "clearedAudio") == {
        "playedMs": 3_000,
        "utteranceMs": 3_000,
        "droppedMs": 7_000,
        "queuedMs": 0,
        "playedCheckpoints": 0,
        "droppedCheckpoints": 1,
        "queuedCheckpoints": 0,
    }
    leg.slots(10)
    leg.play(b"\x80" * 800)
    leg.command({"event": "checkpoint", "name": "next"})
    leg.slots(2)
    leg.command({"event": "queryAudio"})
    assert last_audio(leg, "queriedAudio") == {
        "playedMs": 3_040,
        "utteranceMs": 40,
        "droppedMs": 7_000,
        "queuedMs": 60,
        "playedCheckpoints": 0,
        "droppedCheckpoints": 1,
        "queuedCheckpoints": 1,
    }
    leg.slots(4)
    assert last_audio(leg, "playedStream") == {
        "playedMs": 3_100,
        "utteranceMs": 100,
        "droppedMs": 7_000,
        "queuedMs": 0,
        "playedCheckpoints": 1,
        "droppedCheckpoints": 1,
        "queuedCheckpoints": 0,
    }


def test_audio_that_the_queue_refused_is_dropped_audio() -> None:
    leg = asking(playout_max_ms=1_000)
    leg.play(b"\x80" * 8_000)
    leg.play(bytes(640), L16_16K)
    leg.command({"event": "queryAudio"})
    assert last_audio(leg, "queriedAudio") == NOTHING | {"queuedMs": 1_000, "droppedMs": 20}


def test_audio_that_was_due_on_hold_is_dropped_audio() -> None:
    leg = asking()
    leg.play(b"\x80" * 8_000)
    leg.slots(10)
    leg.session.set_remote(Instant(leg.now), remote(direction=MediaDirection.RECVONLY))
    leg.slots(20)
    leg.session.set_remote(Instant(leg.now), remote())
    leg.slots(5)
    leg.command({"event": "queryAudio"})
    report = last_audio(leg, "queriedAudio")
    assert (report["playedMs"], report["droppedMs"], report["queuedMs"]) == (300, 400, 300)


def test_nothing_is_heard_without_a_remote() -> None:
    session = MediaSession(MediaSettings(), session_id=SessionId("s"), now=Instant(0), chance=lambda: 0.5)
    stream = StreamSession(stream_settings(extra_headers=OPT_IN))
    assert session.attach(Instant(0), stream)
    stream.open(Instant(0), WALL_MS)
    stream.feed_text(Instant(0), json.dumps(play_audio(b"\x80" * 1_600)).encode())
    for slot in range(1, 4):
        session.tick(Instant(slot * SLOT_NS), [])
    session.set_remote(Instant(3 * SLOT_NS), remote())
    session.tick(Instant(4 * SLOT_NS), [])
    assert (session.audio_report().played_ms, session.audio_report().dropped_ms) == (20, 60)


def test_a_short_pause_stays_within_the_utterance() -> None:
    leg = asking()
    for silent_slots, utterance_ms in ((0, 100), (40, 200), (NEW_UTTERANCE_SLOTS + 10, 100)):
        leg.slots(silent_slots)
        leg.play(b"\x80" * 800)
        leg.slots(6)
        assert leg.session.audio_report().utterance_ms == utterance_ms
    assert leg.session.audio_report().played_ms == 300


def test_a_chunk_without_a_sample_begins_nothing() -> None:
    leg = asking()
    leg.play(b"\x80" * 800)
    leg.slots(70)
    leg.play(b"")
    leg.play(b"\x01", L16_8K)
    assert leg.session.audio_report().utterance_ms == 100


def test_a_second_stream_of_the_leg_begins_at_zero() -> None:
    leg = asking()
    leg.play(b"\x80" * 8_000)
    leg.slots(10)
    leg.session.detach(Instant(leg.now), leg.stream.stream_id)
    closed = leg.stream.closed(Instant(leg.now), leg.session.session_id, StreamEnd.AGENT_CLOSED)
    assert closed.played_ms == 200
    second = StreamSession(stream_settings(stream_id="b", extra_headers=OPT_IN))
    assert leg.session.attach(Instant(leg.now), second)
    second.open(Instant(leg.now), WALL_MS)
    assert json.loads(second.outbox[0])["audio"] == NOTHING


def test_an_agent_that_comes_back_is_told_what_was_played_meanwhile() -> None:
    leg = asking()
    assert (leg.heard[0]["reconnects"], leg.heard[0]["audio"]) == (0, NOTHING)
    leg.play(b"\x80" * 1_600)
    leg.command({"event": "checkpoint", "name": "lost"})
    leg.slots(5)
    leg.stream.suspend(Instant(leg.now))
    leg.slots(20)
    leg.stream.open(Instant(leg.now), WALL_MS)
    leg.collect()
    start = leg.named("start")[-1]
    assert start["reconnects"] == 1
    assert start["audio"] == NOTHING | {"playedMs": 200, "utteranceMs": 200, "playedCheckpoints": 1}
    assert not leg.named("playedStream")


def test_the_account_of_audio_that_was_cut_out() -> None:
    account = PlayedAudio(1_000, 50, is_audible=True)
    account.settle(1_800, 210)
    assert (account.played, account.dropped) == (640, 160)


def test_a_report_is_small() -> None:
    assert AudioReport() == AudioReport(played_ms=0)


# -- 1000 conversations --------------------------------------------------------------------------------------------


class Conversation:
    """An agent with random habits on a leg whose packets are counted."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.law = self.dice.choice((PCMU_CODEC, PCMA_CODEC))
        self.loud = LOUD[self.law.name]
        self.ptime_ms = self.dice.choice((10, 20, 20, 20, 30))
        # A longer packet waits for its second frame.
        self.tolerance_ms = max(TOLERANCE_MS, self.ptime_ms)
        self.session = MediaSession(MediaSettings(), session_id=SessionId("s"), now=Instant(0), chance=lambda: 0.25)
        self.slot = 0
        self.direct(MediaDirection.SENDRECV)
        self.stream = StreamSession(stream_settings(extra_headers=OPT_IN))
        assert self.session.attach(Instant(0), self.stream)
        self.stream.open(Instant(0), WALL_MS)
        self.emitted = 0
        """Samples of agent audio in packets so far."""
        self.sent = 0
        """Samples that the agent sent."""
        self.utterance_from = 0
        self.checked = 0
        self.names: list[str] = []
        self.acknowledged: list[str] = []
        self.check()

    @property
    def now(self) -> Instant:
        return Instant(self.slot * SLOT_NS)

    def direct(self, direction: MediaDirection) -> None:
        """Negotiate."""
        command = remote(codec=self.law, ptime_ms=self.ptime_ms, direction=direction)
        self.session.set_remote(self.now, command)

    def send(self, message: dict[str, Any]) -> None:
        """Let the agent send a message."""
        assert self.stream.feed_text(self.now, json.dumps(message).encode()) == 0
        self.check()

    def say(self, duration_ms: int, format: AudioFormat) -> None:
        """Let the agent send a loud chunk."""
        samples = duration_ms * format.rate_hz // 1000
        pcm = LEVEL.to_bytes(2, "little") * samples
        audio = audioop.lin2ulaw(pcm, 2) if format is ULAW_8K else pcm
        self.sent += duration_ms * 8
        media = {
            "contentType": format.encoding.value,
            "sampleRate": format.rate_hz,
            "payload": base64.b64encode(audio).decode(),
        }
        self.send({"event": "playAudio", "media": media})

    def run(self, slots: int) -> None:
        """Let time pass."""
        out: list[Datagram] = []
        for _ in range(slots):
            self.slot += 1
            self.session.tick(self.now, out)
            for data, _ in out:
                if data[1] & 0x7F != 101:
                    payload = data[HEADER_BYTES:]
                    self.emitted += len(payload) - len(payload.translate(None, self.loud))
            out.clear()
            self.check()

    def check(self) -> None:
        """Compare what the agent was told with what was emitted."""
        outbox = self.stream.outbox
        while outbox:
            text = outbox.popleft()
            if text.startswith(b'{"event":"media"'):
                continue
            message = json.loads(text)
            assert message["event"] != "incorrectPayload", message
            if message["event"] == "playedStream":
                self.acknowledged.append(message["name"])
            report = message.get("audio")
            if report is None:
                continue
            self.checked += 1
            emitted_ms, utterance_ms = self.emitted / 8, (self.emitted - self.utterance_from) / 8
            assert abs(report["playedMs"] - emitted_ms) <= self.tolerance_ms, (message, emitted_ms)
            assert abs(report["utteranceMs"] - utterance_ms) <= self.tolerance_ms, (message, utterance_ms)
            sent_ms = self.sent / 8
            assert abs(report["playedMs"] + report["droppedMs"] + report["queuedMs"] - sent_ms) <= 3, (message, sent_ms)
            assert report["playedCheckpoints"] == len(self.acknowledged)
            told = report["playedCheckpoints"] + report["droppedCheckpoints"] + report["queuedCheckpoints"]
            assert told == len(self.names)

    def utterance(self) -> None:
        """Say something of up to 3 s in the agent's way, and interrupt it or let it end."""
        dice = self.dice
        self.utterance_from = self.emitted
        format = dice.choice(FORMATS)
        chunk_ms = dice.choice((20, 20, 60, 137, 400, 1_000))
        total_ms = dice.randint(chunk_ms, 3_000)
        # After each gap a resampler's filter takes 1.5 ms to rise, which is not counted as loud.
        is_paced = format.rate_hz == 8_000 and dice.random() < 0.5
        said_ms = 0
        while said_ms < total_ms:
            self.say(chunk_ms, format)
            said_ms += chunk_ms
            if dice.random() < 0.15:
                self.mark()
            if is_paced:
                self.run(max(1, chunk_ms // 20 + dice.choice((-1, 0, 0, 0, 1, 3))))
        self.mark()
        if dice.random() < 0.6:
            self.run(dice.randint(0, total_ms // 20))
            if dice.random() < 0.3:
                self.send({"event": "queryAudio"})
            if dice.random() < 0.2:
                self.send({"event": "sendDTMF", "dtmf": "5"})
                self.run(dice.randint(0, 15))
            # A negotiation gives up a packet that is not full.
            if self.ptime_ms <= 20 and dice.random() < 0.2:
                self.direct(MediaDirection.INACTIVE)
                self.run(dice.randint(0, 20))
                self.direct(MediaDirection.SENDRECV)
                self.run(dice.randint(0, 20))
            self.send({"event": "clearAudio"})
            self.run(dice.randint(1, 10))
        else:
            while self.session.quality().queued_ms:
                self.run(1)
            if dice.random() < 0.5:
                # Out of breath for less than a second: the same utterance goes on.
                self.run(dice.randint(1, NEW_UTTERANCE_SLOTS - 30))
                self.say(200, format)
                self.mark()
                self.run(20)
            self.send({"event": "queryAudio"})
            self.run(NEW_UTTERANCE_SLOTS + 5)

    def mark(self) -> None:
        """Set a checkpoint."""
        self.names.append(f"cp-{len(self.names)}")
        self.send({"event": "checkpoint", "name": self.names[-1]})


@pytest.mark.parametrize("block", range(10))
def test_what_is_told_is_what_was_emitted(block: int) -> None:
    checked = 0
    for seed in range(block * 100, block * 100 + 100):
        talk = Conversation(seed)
        try:
            for _ in range(talk.dice.randint(1, 3)):
                talk.utterance()
            talk.send({"event": "queryAudio"})
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        assert talk.acknowledged == [name for name in talk.names if name in set(talk.acknowledged)], "out of order"
        checked += talk.checked
    assert checked > 500
