"""Live calls of our phone on a platform: dialled, matched with their stream, watched, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ringback.phones.call import CallEnd, PhoneCall
from ringback.phones.phone import Phone
from ringback.phones.tones import Samples
from ringback.testing.platform import Platform
from tests.support.stream_agent import AgentConnection, StreamAgent
from tests.support.waiting import PATIENCE_S, until

_ON_ITS_WAY_S = 1.5
"""How long what a phone has said may take to arrive before it says it again."""


async def answered(phone: Phone, platform: Platform, number: str, transport: str = "udp", **options: Any) -> PhoneCall:
    """Return an answered call of `phone` to a number of the platform."""
    call = await phone.call(platform.uri(number, transport), **options)
    await call.until_answered()
    return call


async def connection_of(agent: StreamAgent, call: PhoneCall, count: int = 1) -> AgentConnection:
    """Return the call's WebSocket at the agent, the `count`-th of them, as soon as its `start` has arrived."""

    def find() -> list[AgentConnection]:
        started = [each for each in agent.connections if each.messages]
        return [each for each in started if each.messages[0]["start"]["callId"] == call.call_uuid][count - 1 :]

    return (await until(find, "the stream of the call"))[0]


async def until_heard_ms(call: PhoneCall, at_least_ms: float) -> None:
    """Return when the phone has received that much audio, sound or silence."""
    await until(lambda: len(call.heard_samples()) / 8 >= at_least_ms, f"{at_least_ms} ms of audio at the phone")


async def say_until(
    call: PhoneCall, samples: Samples, look: Callable[[], object], what: str, timeout_s: float = PATIENCE_S
) -> None:
    """Let the phone say `samples` until `look` is true, again if need be.

    A media worker that got no processor for a while drops what arrived meanwhile: it would be heard late.

    Raises:
        AssertionError: it does not become true.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        call.play(samples)
        try:
            await until(look, what, len(samples) / 8_000 + _ON_ITS_WAY_S)
        except AssertionError:
            if loop.time() > deadline:
                raise
        else:
            return


async def hung_up(call: PhoneCall) -> CallEnd:
    """Hang up at the phone and return what became of the call."""
    call.hang_up()
    return await call.until_ended()
