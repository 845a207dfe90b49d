"""The stream protocol: what the agent gets, what it may send, what happens to everything else."""

from __future__ import annotations

import base64
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.support.media_leg import (
    CALL_UUID,
    PCMA_CODEC,
    STREAM_UUID,
    WALL_MS,
    Leg,
    play_audio,
    remote,
    sine_pcm,
    sine_ulaw,
    stream_settings,
    unhurried,
)

from ringback.machine import Instant
from ringback.media.codecs.convert import L16_8K, L16_16K, ULAW_8K
from ringback.media.codecs.g711 import PCMU
from ringback.media.control.events import StreamFaulted
from ringback.media.control.values import AudioFormat, Encoding, StreamEnd, Track
from ringback.media.session import AgentStopped
from ringback.media.stream import messages
from ringback.media.stream.session import CLOSE_INVALID_TEXT, CLOSE_TOO_BIG, StreamSession

with warnings.catch_warnings():
    # The SDK itself uses what pydantic deprecates.
    warnings.simplefilter("ignore")
    from plivo_stream import types as plivo_types

VECTORS = Path(__file__).parents[2] / "vectors" / "json"
HOSTILE_TEXT = 'a="b"\\c\n\u2028%d%%é😀</script>'


def refused(leg: Leg) -> list[str]:
    """Return the reasons of the `incorrectPayload` answers."""
    return [frame["reason"] for frame in leg.named("incorrectPayload")]


def test_start_is_first_and_has_the_documented_fields() -> None:
    leg = Leg(stream=stream_settings(extra_headers="tenant=7;lang=en"))
    assert leg.heard[0] == {
        "event": "start",
        "sequenceNumber": 1,
        "start": {
            "callId": CALL_UUID,
            "streamId": STREAM_UUID,
            "accountId": "MADEVDEVDEVDEVDEVDEV",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        },
        "extra_headers": "tenant=7;lang=en",
    }


def test_media_frames_have_the_documented_fields() -> None:
    leg = Leg()
    leg.slots(2)
    assert leg.heard[1] == {
        "event": "media",
        "sequenceNumber": 2,
        "streamId": STREAM_UUID,
        "media": {
            "track": "inbound",
            "timestamp": str(WALL_MS),
            "chunk": 1,
            "payload": base64.b64encode(b"\xff" * 160).decode(),
        },
        "extra_headers": "",
    }
    assert leg.heard[2]["media"]["timestamp"] == str(WALL_MS + 20)


@pytest.mark.parametrize("text", [HOSTILE_TEXT, "100%", "", "{}", "\ud800"])
def test_extra_headers_are_delivered_verbatim(text: str) -> None:
    leg = Leg(stream=stream_settings(extra_headers=text))
    leg.slots(1)
    leg.session.signalled_digit(Instant(leg.now), "5")
    leg.collect()
    expected = text.encode("utf-8", "replace").decode()
    assert [frame["extra_headers"] for frame in leg.heard] == [expected] * 3


@pytest.mark.parametrize(
    ("format", "raw_bytes", "characters"), [(ULAW_8K, 160, 216), (L16_8K, 320, 428), (L16_16K, 640, 856)]
)
def test_payload_sizes_are_those_of_the_specification(format: AudioFormat, raw_bytes: int, characters: int) -> None:
    leg = Leg(format=format)
    leg.slots(5)
    for media in leg.media():
        assert len(media["payload"]) == characters
        assert len(base64.b64decode(media["payload"])) == raw_bytes
    assert leg.heard[0]["start"]["mediaFormat"] == {"encoding": format.encoding.value, "sampleRate": format.rate_hz}


def test_the_official_sdk_accepts_every_documented_event() -> None:
    leg = Leg(stream=stream_settings(extra_headers="k=v"))
    leg.slots(2)
    leg.session.signalled_digit(Instant(leg.now), "#")
    leg.play(b"\x80" * 160)
    leg.command({"event": "checkpoint", "name": "turn-1"})
    leg.slots(2)
    leg.command({"event": "clearAudio"})
    models = {
        "start": plivo_types.StartEvent,
        "media": plivo_types.MediaEvent,
        "dtmf": plivo_types.DtmfEvent,
        "playedStream": plivo_types.PlayedStreamEvent,
        "clearedAudio": plivo_types.ClearedAudioEvent,
    }
    assert {frame["event"] for frame in leg.heard} == set(models)
    for frame in leg.heard:
        TypeAdapter(models[frame["event"]]).validate_python(frame)
    leg.assert_gapless()


def test_the_official_sdk_commands_are_understood() -> None:
    leg = Leg()
    payload = base64.b64encode(b"\x80" * 160).decode()
    leg.command(
        {"event": "playAudio", "media": {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": payload}}
    )
    leg.command({"event": "checkpoint", "streamId": STREAM_UUID, "name": "a"})
    assert leg.slots(1) == b"\x80" * 160
    assert [frame["name"] for frame in leg.named("playedStream")] == ["a"]
    leg.command({"event": "clearAudio", "streamId": STREAM_UUID})
    assert len(leg.named("clearedAudio")) == 1
    assert not refused(leg)


@pytest.mark.parametrize(
    "media",
    [
        {"contentType": "audio/x-mulaw", "sampleRate": 8000},
        {"contentType": "audio/x-mulaw", "sampleRate": "8000"},
        {"contentType": "audio/x-mulaw", "sampleRate": 8000.0},
        {"contentType": "audio/x-mulaw;rate=8000"},
        {"contentType": "audio/x-mulaw; rate=8000", "sampleRate": None},
        {"contentType": "AUDIO/X-MULAW", "sampleRate": " 8000 "},
        {"contentType": "raw", "sampleRate": 8000},
        {"contentType": None, "sampleRate": None},
        {"sampleRate": 8000},
        {},
    ],
)
def test_usual_ways_to_write_the_format_play(media: dict[str, Any]) -> None:
    leg = Leg()
    leg.command({"event": "playAudio", "media": {**media, "payload": base64.b64encode(b"\x81" * 160).decode()}})
    assert leg.slots(1) == b"\x81" * 160
    assert not refused(leg)


def test_raw_and_missing_types_mean_the_format_of_the_stream() -> None:
    for media in ({"contentType": "raw", "sampleRate": 16000}, {"contentType": "raw"}, {}):
        leg = Leg(format=L16_16K)
        leg.command({"event": "playAudio", "media": {**media, "payload": base64.b64encode(bytes(640)).decode()}})
        assert leg.session.quality().queued_ms == 20
    leg = Leg(format=L16_16K)
    leg.command({"event": "playAudio", "media": {"contentType": "audio/x-mulaw", "payload": "gICA" * 40}})
    assert leg.session.quality().queued_ms == 15


@pytest.mark.parametrize(
    "media",
    [
        {"contentType": "audio/mpeg", "sampleRate": 8000},
        {"contentType": "audio/x-mulaw", "sampleRate": 11025},
        {"contentType": "audio/x-mulaw", "sampleRate": "fast"},
        {"contentType": "audio/x-mulaw", "sampleRate": True},
        {"contentType": "audio/x-mulaw", "sampleRate": [8000]},
        {"contentType": "audio/x-mulaw", "sampleRate": 8000.5},
        {"contentType": 7},
        {"contentType": "wav"},
    ],
)
def test_unusable_formats_are_refused_and_the_next_chunk_plays(media: dict[str, Any]) -> None:
    leg = Leg()
    leg.command({"event": "playAudio", "media": {**media, "payload": base64.b64encode(b"\x81" * 160).decode()}})
    assert refused(leg)[0].startswith("invalid_content_type")
    leg.play(b"\x82" * 160)
    assert leg.slots(1) == b"\x82" * 160


@pytest.mark.parametrize("payload", ["gICA!", "gIC", "g ICA", "gICA\n", "====", "gI==gI=="])
def test_base64_is_strict_also_behind_a_known_shape(payload: str) -> None:
    leg = Leg()
    leg.play(b"\x81" * 160)
    leg.command(
        {"event": "playAudio", "media": {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": payload}}
    )
    assert refused(leg) == ["invalid base64 payload"]
    assert leg.slots(1) == b"\x81" * 160
    assert leg.session.quality().queued_ms == 0


def test_an_empty_payload_is_harmless() -> None:
    leg = Leg()
    for _ in range(3):
        leg.play(b"")
    assert not refused(leg)
    assert leg.session.quality().queued_ms == 0


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("extra", [{}, {"streamId": STREAM_UUID}, {"sequenceNumber": 4}])
def test_the_recogniser_hears_the_same_as_the_parser(separators: tuple[str, str], extra: dict[str, Any]) -> None:
    leg = Leg()
    audio = b""
    for number in range(8):
        chunk = bytes([number + 1]) * (100 + 60 * (number % 3))
        audio += chunk
        message = json.dumps({**play_audio(chunk), **extra}, separators=separators)
        leg.command(message.encode())
    assert leg.slots(20).rstrip(b"\xff").startswith(audio)
    assert not refused(leg)


def test_the_recogniser_follows_a_change_of_format() -> None:
    leg = Leg()
    for _ in range(3):
        leg.play(b"\x81" * 160)
        leg.play(bytes(320), L16_8K)
    assert leg.session.quality().queued_ms == 120
    assert leg.slots(6) == (b"\x81" * 160 + b"\xff" * 160) * 3


@pytest.mark.parametrize(
    "message",
    [
        b'{"event":"playAudio","media":{"payload":"gICA","payload":"gICB"}}',
        b'{"event":"playAudio","media":{"payload":"gIC\\u0041"},"x":{"payload":"gICA"}}',
        b'{"event":"playAudio","x":"gICA","media":{"payload":"gICA"}}',
        b'{"event":"playAudio","media":{"payload"  :  "gICA"}}',
    ],
)
def test_odd_but_valid_messages_never_teach_a_wrong_shape(message: bytes) -> None:
    leg = Leg()
    leg.command(message)
    assert leg.session.quality().queued_ms == 0
    leg.command(message.replace(b"gICA", b"gICAgICA" * 20))
    leg.command(message)
    assert not refused(leg)
    sent = leg.slots(4)
    # µ-law 0x80 and 0x81 alone: never anything decoded from other bytes of the message.
    assert set(sent[:3]) <= {0x80, 0x81}


def test_a_cut_message_of_a_known_shape_is_invalid() -> None:
    leg = Leg()
    leg.play(b"\x81" * 160)
    good = json.dumps(play_audio(b"\x81" * 160)).encode()
    start = good[: good.index(b'"payload": "') + 12]
    leg.command(start + b"}}")
    leg.command(good[:-1])
    assert leg.session.quality().queued_ms == 20
    assert refused(leg) == [refused(leg)[0]]
    assert refused(leg)[0].startswith("invalid JSON")


def test_wav_is_read_by_its_header() -> None:
    audio = sine_pcm(500, 100, 16_000)
    header = b"RIFF" + (36 + len(audio)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += (
        b"\x01\x00\x01\x00" + (16_000).to_bytes(4, "little") + (32_000).to_bytes(4, "little") + b"\x02\x00\x10\x00"
    )
    header += b"data" + len(audio).to_bytes(4, "little")
    for content_type in ("wav", "audio/x-mulaw", "audio/wav"):
        leg = Leg()
        for _ in range(2):
            leg.command(
                {
                    "event": "playAudio",
                    "media": {
                        "contentType": content_type,
                        "sampleRate": "8000",
                        "payload": base64.b64encode(header + audio).decode(),
                    },
                }
            )
        assert leg.session.quality().queued_ms == 200
        assert not refused(leg)


def test_wav_behind_a_known_shape_is_still_seen() -> None:
    leg = Leg()
    leg.play(b"\x81" * 160)
    leg.play(b"RIFF\x00\x00\x00\x00WAVEjunk")
    assert refused(leg) == ["invalid_content_type: unreadable wav"]
    leg.play(b"RIFF" + b"\x81" * 156)
    assert leg.session.quality().queued_ms == 40


def test_commands_of_others_are_ignored_silently() -> None:
    leg = Leg()
    for message in ({"type": "rtvi", "data": {}}, {"event": "_lt_meta", "x": 1}):
        assert leg.command(message) == 0
    leg.stream.feed_binary(Instant(leg.now))
    assert leg.stream.ignored_binary == 1
    assert len(leg.heard) == 1


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"not json", "invalid JSON"),
        (b"[]", "message is not an object"),
        (b'"event"', "message is not an object"),
        (b"{}", "no event"),
        (b'{"event":"clear"}', "unknown event: clear"),
        (b'{"event":7}', "event is not a string"),
        (b'{"event":"playAudio"}', "playAudio without media"),
        (b'{"event":"playAudio","media":{}}', "playAudio without payload"),
        (b'{"event":"playAudio","media":{"payload":7}}', "playAudio without payload"),
        (b'{"event":"checkpoint"}', "checkpoint without name"),
        (b'{"event":"checkpoint","name":"' + b"x" * 257 + b'"}', "checkpoint name too long"),
        (b'{"event":"sendDTMF"}', "invalid dtmf"),
        (b'{"event":"sendDTMF","dtmf":"12x"}', "invalid dtmf"),
        (b'{"event":"sendDTMF","dtmf":1' + b"0" * 5000 + b"}", "number out of range"),
        (b'{"event":"sendDTMF","dtmf":-1}', "invalid dtmf"),
        (b'{"event":"playAudio","media":{"payload":"","sampleRate":1' + b"0" * 5000 + b"}}", "number out of range"),
        (b'{"event":"playAudio","media":{"payload":"","sampleRate":1e300}}', "invalid_content_type"),
        (b'{"event":"sendDTMF","dtmf":"w"}', "invalid dtmf"),
        (b'{"event":"x","a":' + b"[" * 9 + b"]" * 9 + b"}", "nested too deeply"),
        (b'{"event":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"event":"x","n":NaN}', "invalid JSON"),
        (b'{"event":"x","n":"\\ud800"}', "invalid JSON"),
        (b"{" + b",".join(b'"k%d":1' % number for number in range(65)) + b"}", "too many keys"),
    ],
)
def test_bad_messages_are_answered_and_the_stream_lives_on(message: bytes, reason: str) -> None:
    leg = Leg()
    assert leg.command(message) == 0
    assert len(refused(leg)) == 1
    assert refused(leg)[0].startswith(reason)
    answer = leg.named("incorrectPayload")[0]
    assert set(answer) == {"event", "sequenceNumber", "streamId", "reason"}
    assert leg.of(StreamFaulted)[0].count == 1
    leg.play(b"\x81" * 160)
    assert leg.slots(1) == b"\x81" * 160
    leg.assert_gapless()


def test_limits_of_depth_and_keys_are_exact() -> None:
    leg = Leg()
    leg.command(b'{"type":"x","a":' + b"[" * 7 + b"]" * 7 + b"}")
    leg.command(b'{"type":1,' + b",".join(b'"k%d":1' % number for number in range(63)) + b"}")
    leg.command({"event": "checkpoint", "name": "x" * 256})
    assert not refused(leg)


def test_a_flood_of_bad_messages_is_answered_once_a_second() -> None:
    leg = Leg()
    for _ in range(1000):
        leg.command(b"{")
    assert len(refused(leg)) == 1
    leg.slots(50)
    leg.command(b"{")
    assert len(refused(leg)) == 2
    assert [event.count for event in leg.of(StreamFaulted)] == [1, 1000]


def test_message_size_limits() -> None:
    leg = Leg()
    pad = json.dumps({"type": ""}).encode()
    assert leg.command(pad + b" " * (1_048_576 - len(pad))) == 0
    assert not refused(leg)
    assert leg.command(pad + b" " * (1_048_577 - len(pad))) == 0
    assert refused(leg) == ["message too large: 1048577 bytes"]
    assert leg.command(b" " * 2_097_152) == 0
    assert leg.command(b" " * 2_097_153) == CLOSE_TOO_BIG


def test_a_large_play_of_a_known_shape_keeps_the_size_limit() -> None:
    leg = Leg()
    leg.play(b"\x81" * 160)
    leg.play(b"\x81" * 790_000)
    assert refused(leg)[0].startswith("message too large")


def test_text_that_is_not_utf8_asks_for_1007() -> None:
    leg = Leg()
    assert leg.command(b'{"type":"\xff"}') == CLOSE_INVALID_TEXT


def test_foreign_stream_id_is_processed() -> None:
    leg = Leg()
    leg.command({"event": "clearAudio", "streamId": "someone-else"})
    assert len(leg.named("clearedAudio")) == 1


def test_stop_of_the_agent_is_reported() -> None:
    leg = Leg()
    leg.command({"event": "stop", "streamId": STREAM_UUID})
    assert leg.of(AgentStopped) == [AgentStopped(leg.stream.stream_id)]


def test_one_way_streams_refuse_commands() -> None:
    leg = Leg(stream=stream_settings(bidirectional=False))
    leg.play(b"\x81" * 160)
    assert refused(leg) == ["stream is not bidirectional"]
    assert leg.slots(1) == b"\xff" * 160
    leg.command({"event": "stop"})
    assert leg.of(AgentStopped)


def test_our_stop_is_last_and_can_be_switched_off() -> None:
    leg = Leg()
    leg.slots(1)
    leg.stream.stop(Instant(leg.now))
    leg.stream.stop(Instant(leg.now))
    leg.slots(3)
    leg.session.signalled_digit(Instant(leg.now), "1")
    leg.collect()
    assert leg.heard[-1] == {"event": "stop", "sequenceNumber": 3, "streamId": STREAM_UUID}
    assert not leg.stream.is_open
    silent = Leg(stream=stream_settings(send_stop=False))
    silent.stream.stop(Instant(0))
    silent.collect()
    assert not silent.named("stop")


def test_a_reconnect_starts_again_with_the_same_ids() -> None:
    leg = Leg()
    leg.slots(5)
    leg.stream.suspend(Instant(leg.now))
    leg.slots(5)
    leg.heard.clear()
    leg.stream.open(Instant(leg.now), WALL_MS)
    leg.slots(3)
    assert leg.heard[0]["event"] == "start"
    assert leg.heard[0]["start"]["streamId"] == STREAM_UUID
    leg.assert_gapless()


def test_a_socket_that_is_not_read_loses_the_oldest_audio_first() -> None:
    leg = Leg(stream=stream_settings(uplink_max_ms=2_000))
    leg.command({"event": "checkpoint", "name": "kept"})
    for slot in range(1, 151):
        leg.session.tick(Instant(slot * 20_000_000), [])
    outbox = list(leg.stream.outbox)
    assert len(outbox) <= 101
    assert leg.stream.dropped_frames == 50
    assert leg.stream.sent_frames == 150
    leg.now = 150 * 20_000_000
    leg.collect()
    assert [media["chunk"] for media in leg.media()] == list(range(51, 151))
    assert len(leg.named("playedStream")) == 1
    leg.slots(50)
    faults = leg.of(StreamFaulted)
    assert sum(event.count for event in faults) == 50
    assert {event.reason for event in faults} == {"uplink_dropped"}
    assert leg.stream.closed(Instant(0), leg.session.session_id, StreamEnd.API_REQUEST).dropped_frames == 50


def test_answers_waiting_for_a_socket_are_bounded() -> None:
    leg = Leg()
    for _ in range(3000):
        leg.stream.feed_text(Instant(0), b'{"event":"clearAudio"}')
    assert len(leg.stream.outbox) == 1100
    leg.slots(50)
    assert [event.count for event in leg.of(StreamFaulted) if event.reason == "answers_dropped"] == [1900]


def test_an_unattached_stream_refuses_and_plays_nothing() -> None:
    stream = StreamSession(stream_settings())
    stream.open(Instant(0), WALL_MS)
    for message in (
        play_audio(b"\x80"),
        {"event": "clearAudio"},
        {"event": "stop"},
        {"event": "sendDTMF", "dtmf": "1"},
    ):
        assert stream.feed_text(Instant(0), json.dumps(message).encode()) == 0
    assert stream.feed_text(Instant(0), b'{"event":"checkpoint","name":"x"}') == 0
    assert stream.settings.call_uuid == CALL_UUID


def test_both_tracks_have_their_own_chunks() -> None:
    leg = Leg(stream=stream_settings(track=Track.BOTH, bidirectional=False))
    leg.slots(10)
    assert leg.heard[0]["start"]["tracks"] == ["inbound", "outbound"]
    leg.assert_gapless("inbound")
    leg.assert_gapless("outbound")
    assert [media["track"] for media in leg.media()] == ["inbound"] * len(leg.media())
    assert abs(len(leg.media("inbound")) - len(leg.media("outbound"))) <= 1
    order = [frame["media"]["track"] for frame in leg.heard[1:]]
    assert order[:4] == ["inbound", "outbound", "inbound", "outbound"]


def test_the_outbound_track_carries_what_is_sent() -> None:
    leg = Leg(stream=stream_settings(track=Track.OUTBOUND, bidirectional=False, format=L16_8K))
    agent = StreamSession(stream_settings(stream_id="a", track=Track.INBOUND))
    assert leg.session.attach(Instant(0), agent)
    agent.open(Instant(0), WALL_MS)
    agent.feed_text(Instant(0), json.dumps(play_audio(sine_ulaw(400, 100))).encode())
    leg.slots(5)
    assert leg.audio("outbound") == PCMU.decode(sine_ulaw(400, 100))
    assert not leg.media("inbound")


def test_totals_of_a_stream() -> None:
    leg = Leg()
    leg.play(b"\x80" * 1600)
    leg.slots(3)
    leg.command({"event": "clearAudio"})
    leg.play(b"\x80" * 160)
    leg.slots(2)
    leg.session.detach(Instant(leg.now), leg.stream.stream_id)
    closed = leg.stream.closed(Instant(leg.now), leg.session.session_id, StreamEnd.CALL_ENDED, 1000, "bye")
    assert closed.played_ms == 80
    assert closed.received_messages == 3
    assert closed.sent_frames == 5
    assert closed.duration_ms == 100
    assert (closed.reason, closed.close_code, closed.detail) == (StreamEnd.CALL_ENDED, 1000, "bye")


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.name)
def test_json_corpus_never_crashes_and_is_judged_strictly(path: Path) -> None:
    raw = path.read_bytes()
    leg = Leg()
    code = leg.command(raw)
    inside = leg.command(b'{"type":"x","value":' + raw + b"}")
    judged = messages.parse_command(b'{"type":"x","value":' + raw.strip() + b"}", ULAW_8K)
    if path.name.startswith("y_"):
        assert isinstance(judged, messages.Ignored), judged
    elif path.name.startswith("n_"):
        assert isinstance(judged, (messages.Unusable, messages.InvalidText)), judged
    assert code in (0, CLOSE_INVALID_TEXT)
    assert inside in (0, CLOSE_INVALID_TEXT)
    leg.play(b"\x81" * 160)
    assert leg.slots(1) == b"\x81" * 160


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    leg = Leg()
    assert leg.command(data) in (0, CLOSE_INVALID_TEXT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@unhurried
@given(
    st.fixed_dictionaries(
        {"event": st.sampled_from(["playAudio", "checkpoint", "clearAudio", "sendDTMF", "stop", "x"])},
        optional={
            "media": JSON
            | st.fixed_dictionaries(
                {},
                optional={
                    "contentType": JSON,
                    "sampleRate": JSON,
                    "payload": st.sampled_from(["", "gICA", "*"]) | JSON,
                },
            ),
            "name": JSON,
            "dtmf": JSON,
            "streamId": JSON,
        },
    )
)
def test_any_typed_message_is_survived(message: dict[str, Any]) -> None:
    leg = Leg()
    assert leg.command(json.dumps(message).encode()) == 0
    leg.slots(1)


@unhurried
@given(st.binary(max_size=120))
def test_any_wav_is_survived(rest: bytes) -> None:
    messages.read_wav(b"RIFF" + rest[:4].ljust(4, b"\x00") + b"WAVE" + rest)
    messages.read_wav(b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + rest)


def wav(kind: int, channels: int, rate: int, bits: int, data: bytes, size: int | None = None) -> bytes:
    """Return a wav file with an unknown chunk before its data."""
    header = kind.to_bytes(2, "little") + channels.to_bytes(2, "little") + rate.to_bytes(4, "little")
    header += (rate * channels * bits // 8).to_bytes(4, "little") + (channels * bits // 8).to_bytes(2, "little")
    header += bits.to_bytes(2, "little")
    chunks = b"fmt " + len(header).to_bytes(4, "little") + header + b"LIST\x03\x00\x00\x00abc\x00"
    return (
        b"RIFF\x00\x00\x00\x00WAVE"
        + chunks
        + b"data"
        + (len(data) if size is None else size).to_bytes(4, "little")
        + data
    )


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF])
def test_wav_kinds(size: int | None) -> None:
    pcm = sine_pcm(500, 100)
    read = messages.read_wav(wav(1, 1, 8000, 16, pcm, size))
    assert read == (pcm, L16_8K)
    assert messages.read_wav(wav(7, 1, 8000, 8, b"\x81" * 80, size)) == (b"\x81" * 80, ULAW_8K)
    alaw = messages.read_wav(wav(6, 1, 8000, 8, b"\xd5" * 80, size))
    assert alaw is not None
    assert alaw[1] is L16_8K
    eight = messages.read_wav(wav(1, 1, 8000, 8, b"\x80" * 80, size))
    assert eight == (bytes(160), L16_8K)
    stereo = messages.read_wav(wav(1, 2, 16_000, 16, b"\x10\x00\x20\x00" * 50, size))
    assert stereo == (b"\x18\x00" * 50, L16_16K)
    odd = messages.read_wav(wav(1, 1, 22_050, 16, bytes(2 * 2205), size))
    assert odd is not None
    assert len(odd[0]) == 1600
    assert messages.read_wav(wav(1, 3, 8000, 16, pcm, size)) is None
    assert messages.read_wav(wav(1, 1, 96_000, 16, pcm, size)) is None
    assert messages.read_wav(wav(1, 1, 8000, 24, pcm, size)) is None
    assert messages.read_wav(b"RIFF") is None
    assert AudioFormat(Encoding.L16, 8000) == L16_8K


def test_digits_may_be_a_number() -> None:
    leg = Leg()
    leg.command(b'{"event":"sendDTMF","dtmf":12}')
    assert not refused(leg)


def test_wav_headers_are_bounded() -> None:
    extensible = wav(0xFFFE, 1, 8000, 16, bytes(320))
    start = extensible.index(b"fmt ") + 4
    header = extensible[start + 4 : start + 20]
    body = header + b"\x16\x00\x10\x00\x00\x00\x00\x00" + b"\x01\x00" + bytes(14)
    grown = extensible[:start] + len(body).to_bytes(4, "little") + body + extensible[start + 20 :]
    assert messages.read_wav(grown) == (bytes(320), L16_8K)
    assert messages.read_wav(wav(7, 1, 16_000, 8, b"\xff" * 160)) == (bytes(320), L16_16K)
    assert messages.read_wav(b"RIFF\x00\x00\x00\x00WAVEdata\x02\x00\x00\x00ab") is None
    assert messages.read_wav(b"RIFF\x00\x00\x00\x00WAVE" + b"junk\x00\x00\x00\x00" * 65 + extensible[12:]) is None


def test_a_stream_takes_commands_of_every_kind_from_an_a_law_leg() -> None:
    leg = Leg(stream=stream_settings(track=Track.BOTH, bidirectional=False, format=L16_16K))
    leg.session.set_remote(Instant(0), remote(codec=PCMA_CODEC))
    leg.slots(3)
    assert {len(base64.b64decode(media["payload"])) for media in leg.media("outbound") + leg.media("inbound")} == {640}
    leg.stream.stop(Instant(leg.now))
    leg.slots(2)
    assert leg.heard[-1]["event"] == "stop"
