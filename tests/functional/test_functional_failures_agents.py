"""Agents that send what they should not: each message costs what the specification says, the stream goes on, and a
bystander on the same media worker hears no gap.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.answering_phone import AnsweringPhone, answering_phone
from tests.support.bystander import bystander
from tests.support.customer import Customer, response, stream
from tests.support.echo import assert_echoed
from tests.support.raw_api import RawApi
from tests.support.stream_agent import AgentConnection, StreamAgent, stream_agent
from tests.support.waiting import until

from ringback.phones.call import PhoneCall
from ringback.testing.platform import Platform

pytestmark = [pytest.mark.functional, pytest.mark.timeout(240)]
CORPUS = Path(__file__).parents[1] / "vectors" / "json"
ECHO = "15550001000"
SECOND_OF_SILENCE = base64.b64encode(b"\xff" * 8_000).decode()


@dataclass
class Scene:
    """One call that streams to one agent, up to its first message."""

    customer: Customer
    call_uuid: str
    call: PhoneCall
    agent: StreamAgent
    began: float

    @property
    def connection(self) -> AgentConnection:
        """Return the newest connection."""
        return self.agent.connections[-1]

    def count(self, event: str) -> int:
        return len(self.agent.events(event))

    def assert_answers_are_limited(self) -> None:
        """Check that there are answers to bad messages, at most one a second."""
        lasted_s = asyncio.get_running_loop().time() - self.began
        assert 1 <= self.count("incorrectPayload") <= lasted_s + 1

    async def faults(self) -> Counter[str]:
        """Return how often each fault was noted in the timeline."""
        found: Counter[str] = Counter()
        for row in await self.customer.events(self.call_uuid, "stream", event="fault"):
            found[row["fields"]["reason"]] += row["fields"]["count"]
        return found

    async def assert_faults(self, expected: Counter[str], flush: dict[str, bytes]) -> None:
        """Check the faults noted so far; `flush` gives a message for each reason that brings the counts out.

        Faults of one reason are told at most once a second, with their number.
        """
        await asyncio.sleep(1.1)
        for message in flush.values():
            self.connection.send_text(message)
        wanted = expected + Counter(flush.keys())
        for _ in range(200):
            if (found := await self.faults()) == wanted:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"faults {found}, expected {wanted}")

    async def assert_replaced(self, code: int) -> None:
        """Check that the connection was closed with `code` and that another one took its place."""
        first = self.agent.connections[0]
        await until(lambda: len(self.agent.connections) == 2 and self.agent.connections[1].messages, "another socket")
        assert first.close_code == code
        assert self.connection.messages[0]["start"] == first.messages[0]["start"]
        await self.customer.until("/status", Event="DroppedStream", CallUUID=self.call_uuid)


@dataclass
class Bench:
    customer: Customer
    callee: AnsweringPhone

    @asynccontextmanager
    async def scene(self, name: str) -> AsyncIterator[Scene]:
        """Bring up a call to an echoing agent; afterwards it must end as usual when the callee hangs up."""
        customer, api = self.customer, RawApi(self.customer.platform)
        async with stream_agent() as agent:
            element = stream(
                agent.url, contentType="audio/x-mulaw;rate=8000", statusCallbackUrl=customer.url("/status")
            )
            call_uuid = await api.make_call(
                to=self.callee.uri,
                answer_url=customer.serve(f"/{name}", response(element)),
                hangup_url=customer.url("/hangup"),
            )
            began = asyncio.get_running_loop().time()
            call = await self.callee.call_of(call_uuid)
            await until(lambda: agent.connections and agent.connections[0].messages, "the start event")
            yield Scene(customer, call_uuid, call, agent, began)
            assert not call.is_over
            call.hang_up()
            assert (await customer.hangup_params("/hangup", call_uuid))["HangupCauseCode"] == "4000"
            await customer.until("/status", Event="StopStream", CallUUID=call_uuid)


def play_audio(**media: object) -> bytes:
    return json.dumps({"event": "playAudio", "media": media}).encode()


def play(payload: object, content_type: object = "audio/x-mulaw", rate: object = 8_000) -> bytes:
    return play_audio(contentType=content_type, sampleRate=rate, payload=payload)


UNUSABLE = {
    b"{not json": "invalid JSON",
    b"[1,2,3]": "message is not an object",
    b'"text"': "message is not an object",
    b"{}": "no event",
    b'{"event":null}': "no event",
    b'{"event":5}': "event is not a string",
    b'{"event":"clear"}': "unknown event",
    b'{"event":"speak","text":"hello"}': "unknown event",
    b'{"event":"playAudio"}': "playAudio without media",
    b'{"event":"playAudio","media":{}}': "playAudio without payload",
    play(5): "playAudio without payload",
    play("@@@@"): "invalid base64 payload",
    play("AAA"): "invalid base64 payload",
    play("AA AA"): "invalid base64 payload",
    play("AA\nAA"): "invalid base64 payload",
    play("////", "audio/ogg"): "invalid_content_type",
    play("////", 7): "invalid_content_type",
    play("////", "audio/x-l16", 44_100): "invalid_content_type",
    play("////", "audio/x-l16", "fast"): "invalid_content_type",
    play("////", "audio/x-l16", True): "invalid_content_type",
    play("AAAA", "wav"): "invalid_content_type",
    b'{"event":"checkpoint"}': "checkpoint without name",
    json.dumps({"event": "checkpoint", "name": "x" * 300}).encode(): "checkpoint name too long",
    b'{"event":"sendDTMF","dtmf":"12x"}': "invalid dtmf",
    b'{"event":"sendDTMF"}': "invalid dtmf",
    b'{"event":"clearAudio","a":' + b'{"a":' * 9 + b"1" + b"}" * 10: "nested too deeply",
    json.dumps({"event": "clearAudio"} | {f"k{n}": n for n in range(70)}).encode(): "too many keys",
}
"""Messages that are answered with `incorrectPayload`, and why."""
BEARABLE = [
    b'{"type":"rtvi","label":"x"}',
    b'{"event":"_lt_meta"}',
    play("////", "audio/x-mulaw;rate=8000", None),
    play("////", "audio/x-l16", "8000"),
    play("AAAA", "audio/x-l16", 8_000),
    play("////", "raw"),
    play_audio(payload="////"),
    play(""),
    b'{"event":"clearAudio","streamId":"somebody else"}',
    b' \n{ "event" : "clearAudio" }\r\n',
]
"""Messages that nobody complains about: ignored, or understood in spite of their form."""


async def corpus(bench: Bench) -> None:
    """Every file of the JSON corpus that is UTF-8, as a frame: none is an event, whatever a parser thinks of it."""
    async with bench.scene("corpus") as scene:
        texts = {path.name: path.read_bytes() for path in sorted(CORPUS.glob("*.json"))}
        assert len(texts) == 318
        sent = 0
        for text in texts.values():
            try:
                text.decode()
            except UnicodeDecodeError:
                continue
            scene.connection.send_text(text)
            sent += 1
        assert sent > 280
        await asyncio.sleep(1.1)
        flush = [b"{", b"[]", b"{}"]
        for text in flush:
            scene.connection.send_text(text)
        for _ in range(200):
            found = await scene.faults()
            if found.total() == sent + len(flush):
                break
            await asyncio.sleep(0.1)
        assert found.total() == sent + len(flush), found
        scene.assert_answers_are_limited()
        assert len(scene.agent.connections) == 1
        await assert_echoed(scene.call, 1)


async def broken_text(bench: Bench) -> None:
    """Text that is no UTF-8 is a breach of the WebSocket protocol: 1007, and the stream is dialled again."""
    async with bench.scene("broken-text") as scene:
        scene.connection.send_text((CORPUS / "n_string_invalid_utf8_after_escape.json").read_bytes())
        await scene.assert_replaced(1007)
        await assert_echoed(scene.call, 2)


async def unusable(bench: Bench) -> None:
    """Every kind of unusable message beside every kind of bearable one."""
    async with bench.scene("unusable") as scene:
        for message in UNUSABLE:
            scene.connection.send_text(message)
        for message in BEARABLE:
            scene.connection.send_text(message)
        scene.connection.send_binary(b"\x00\xff" * 1_000)
        await until(lambda: scene.count("incorrectPayload"), "an answer")
        first = scene.agent.events("incorrectPayload")[0]
        assert first["reason"].startswith("invalid JSON")
        assert first["streamId"] == scene.connection.messages[0]["start"]["streamId"]
        assert isinstance(first["sequenceNumber"], int)
        flush = {reason: message for message, reason in UNUSABLE.items()}
        await scene.assert_faults(Counter([*UNUSABLE.values(), "binary_ignored"]), flush)
        assert scene.count("clearedAudio") == 2
        await assert_echoed(scene.call, 3)


async def checkpoint_storm(bench: Bench) -> None:
    """1,000 marks may wait, each is answered once and in order; more are refused."""
    async with bench.scene("checkpoints") as scene:
        scene.connection.echoes = False
        scene.connection.play(SECOND_OF_SILENCE)
        scene.connection.play(SECOND_OF_SILENCE)
        for number in range(1_500):
            scene.connection.send({"event": "checkpoint", "name": f"mark-{number}"})
        await until(lambda: scene.count("playedStream") == 1_000, "all marks")
        assert [each["name"] for each in scene.agent.events("playedStream")] == [f"mark-{n}" for n in range(1_000)]
        assert (await scene.faults()).keys() == {"too many checkpoints"}
        scene.assert_answers_are_limited()
        scene.connection.echoes = True
        await assert_echoed(scene.call, 4)


async def clear_storm(bench: Bench) -> None:
    """Every clearAudio is answered, also 2,000 in one go, each behind some audio."""
    async with bench.scene("clears") as scene:
        scene.connection.echoes = False
        for _ in range(1_000):
            scene.connection.play("/w==")
            scene.connection.send({"event": "clearAudio"})
            scene.connection.send({"event": "clearAudio"})
        await until(lambda: scene.count("clearedAudio") == 2_000, "all answers")
        assert not await scene.faults()
        scene.connection.echoes = True
        await assert_echoed(scene.call, 5)


async def large_messages(bench: Bench) -> None:
    """Above 1 MiB a message is refused, above 2 MiB the connection is closed with 1009 and dialled again."""
    async with bench.scene("large") as scene:
        scene.connection.send_text(b'{"event":"x"' + b" " * 1_500_000 + b"}")
        await until(lambda: scene.count("incorrectPayload"), "an answer")
        [answer] = scene.agent.events("incorrectPayload")
        assert answer["reason"].startswith("message too large")
        scene.connection.send_text(b" " * (2 * 1024 * 1024 + 1))
        await scene.assert_replaced(1009)
        await assert_echoed(scene.call, 6)


async def overflow(bench: Bench) -> None:
    """Audio beyond 60 s is refused chunk by chunk; the customer was warned at 30, 60 and 90 % of 40 s."""
    async with bench.scene("overflow") as scene:
        scene.connection.echoes = False
        for _ in range(65):
            scene.connection.play(SECOND_OF_SILENCE)
        await until(lambda: scene.count("playFailed"), "a refusal")
        failed = scene.agent.events("playFailed")[0]
        assert failed["reason"] == "buffer_overflow"
        degraded = await scene.customer.until("/status", 3, Event="DegradedStream", CallUUID=scene.call_uuid)
        assert [each.params["StatusReason"] for each in degraded] == [
            f"buffer_{percent}_percent" for percent in (30, 60, 90)
        ]
        scene.connection.send({"event": "clearAudio"})
        await until(lambda: scene.count("clearedAudio"), "the queue to be cleared")
        scene.connection.echoes = True
        await assert_echoed(scene.call, 7)


async def flood(bench: Bench) -> None:
    """More than 1,000 messages a second wait in the agent's own TCP; none is lost."""
    async with bench.scene("flood") as scene:
        scene.connection.echoes = False
        for _ in range(6_000):
            scene.connection.send_text(b'{"event":"noise"}')
        scene.connection.send({"event": "checkpoint", "name": "behind the flood"})
        await until(lambda: scene.count("playedStream"), "the end of the flood", timeout_s=40)
        await scene.assert_faults(Counter({"unknown event": 6_000}), {"unknown event": b'{"event":"noise"}'})
        scene.assert_answers_are_limited()
        scene.connection.echoes = True
        await assert_echoed(scene.call, 8)


async def test_agents_that_send_what_they_should_not(platform: Platform, customer: Customer) -> None:
    async with answering_phone() as callee, bystander(platform.uri(ECHO)) as witness:
        bench = Bench(customer, callee)
        kinds = (corpus, broken_text, unusable, checkpoint_storm, clear_storm, large_messages, overflow, flood)
        outcomes = await asyncio.gather(*(kind(bench) for kind in kinds), return_exceptions=True)
        verdict = await witness.verdict()
    failures = []
    for kind, outcome in zip(kinds, outcomes, strict=True):
        if isinstance(outcome, Exception):
            outcome.add_note(f"kind: {kind.__name__}")
            failures.append(outcome)
    if failures:
        raise ExceptionGroup("agents", failures)
    assert verdict.ended_by == "us"
    assert verdict.heard_ms > 3_000
    verdict.assert_whole()
