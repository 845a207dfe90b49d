"""What an agent is told that its caller heard, against what the caller did hear."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tests.support.agent_audio import say
from tests.support.customer import Customer, response, stream
from tests.support.live_calls import answered, connection_of, hung_up, until_heard_ms
from tests.support.stream_agent import AgentConnection, StreamAgent
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
INTERRUPTIONS = 6
REPLY_MS = 2_000
WINDOW_MS = 20
BUSY_MS = 40
"""What the phone's own jitter buffer may add or leave out on a loaded machine, besides the 20 ms that are promised."""


def heard_ms(call: PhoneCall, since: int) -> int:
    """Return how long the phone has heard the agent's tone; its edges of less than a window are counted whole."""
    loud = np.flatnonzero(tones.levels_dbov(call.heard_samples()[since:]) > -40)
    return len(loud) * WINDOW_MS


async def told(connection: AgentConnection, event: str, count: int) -> dict[str, Any]:
    """Return the figures of the `count`-th message of a name."""

    def find() -> list[dict[str, Any]]:
        return [message for message in connection.messages if message["event"] == event][count - 1 :]

    audio: dict[str, Any] = (await until(find, f"{event} number {count}"))[0]["audio"]
    return audio


async def test_interrupted_replies_were_heard_as_long_as_the_agent_is_told(
    customer: Customer, silent_agent: StreamAgent, phone: Phone, platform: Platform
) -> None:
    """Replies are cleared at random moments; each time the count of what was heard agrees, and so does the total."""
    document = response(stream(silent_agent.url, extraHeaders="tenant=7,ringback.truth=1"))
    call = await answered(phone, platform, await customer.number(customer.serve("/answer", document)))
    connection = await connection_of(silent_agent, call)
    dice = random.Random(8)
    played = 0
    for count in range(1, INTERRUPTIONS + 1):
        since, still_before_ms = len(call.heard_samples()), call.stood_still_ms
        say(connection, tones.tone(900, REPLY_MS // 2))
        connection.send({"event": "checkpoint", "name": f"half {count}"})
        say(connection, tones.tone(900, REPLY_MS // 2))
        connection.send({"event": "checkpoint", "name": f"all {count}"})
        wanted_ms = dice.randint(100, 1_500)
        await until(lambda since=since, wanted_ms=wanted_ms: heard_ms(call, since) > wanted_ms, "the reply")  # type: ignore[misc]
        connection.send({"event": "clearAudio"})
        audio = await told(connection, "clearedAudio", count)
        await until_heard_ms(call, len(call.heard_samples()) / 8 + 300)
        within_ms = WINDOW_MS + BUSY_MS + call.stood_still_ms - still_before_ms
        assert audio["utteranceMs"] == pytest.approx(heard_ms(call, since), abs=within_ms)
        assert audio["playedMs"] == played + audio["utteranceMs"]
        assert audio["playedMs"] + audio["droppedMs"] == count * REPLY_MS
        assert audio["queuedMs"] == 0
        played = audio["playedMs"]
        acknowledged = [message["name"] for message in connection.messages if message["event"] == "playedStream"]
        assert audio["playedCheckpoints"] == len(acknowledged)
        assert audio["playedCheckpoints"] + audio["droppedCheckpoints"] == 2 * count
        assert f"all {count}" not in acknowledged
        assert (f"half {count}" in acknowledged) == (audio["utteranceMs"] >= REPLY_MS // 2)
    connection.send({"event": "queryAudio"})
    asked = await told(connection, "queriedAudio", 1)
    assert asked["playedMs"] == played
    await hung_up(call)
