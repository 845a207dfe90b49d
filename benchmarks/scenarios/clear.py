"""How long a caller still hears an agent that has sent `clearAudio`."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import partial

import picows
from pybase64 import b64decode, b64encode

from benchmarks.callers import Caller, Load, percentile
from benchmarks.figures import Figure, Outcome, Table
from benchmarks.frames import read_frame
from benchmarks.options import SECOND_NUMBER, Options
from benchmarks.waiting import until
from ringback import clock
from ringback.testing.agent import stream_document
from ringback.testing.answer_server import AnswerServer, AppReply
from ringback.testing.platform import Platform

CALLS = 10
ROUNDS = 4
"""Clears per call."""
_SPEECH_S = 1.5
_WATCH_NS = 250_000_000
"""Audio is looked for so long after a clear."""
_LOUD = bytes(int(value & 0x7F < 0x60) for value in range(256))
"""1 for the µ-law values above about -50 dBov."""
_SPEECH = (bytes((0x90,)) * 8 + bytes((0x10,)) * 8) * int(8_000 * _SPEECH_S / 16)
_PAYLOAD = b'"payload":"'


@dataclass(slots=True)
class Talks:
    """What agents and callers noted, by the caller's index."""

    cleared: list[tuple[int, int]] = field(default_factory=list)
    """Caller and the instant at which `clearAudio` was sent."""
    loud_at: dict[int, list[int]] = field(default_factory=dict)
    """When packets with anything audible arrived."""
    quiet_at: dict[int, list[int]] = field(default_factory=dict)
    """For each of them, when its last audible sample is over if it is played on arrival."""

    def note(self, caller: Caller, audio: bytes, now: int) -> None:
        """Take a packet that a caller received."""
        last = audio.translate(_LOUD).rfind(1)
        if last >= 0:
            self.loud_at.setdefault(caller.index, []).append(now)
            self.quiet_at.setdefault(caller.index, []).append(now + (last + 1) * 125_000)

    def delays_ms(self) -> tuple[list[float], list[float]]:
        """Return for each clear the time to the last loud packet, and to the end of its last audible sample."""
        packets, silences = [], []
        for caller, cleared in self.cleared:
            arrivals = self.loud_at.get(caller, [])
            if bisect_left(arrivals, cleared - _WATCH_NS) == bisect_left(arrivals, cleared):
                # Nothing was audible before the clear: there was nothing to end.
                continue
            last = bisect_right(arrivals, cleared + _WATCH_NS) - 1
            packets.append((arrivals[last] - cleared) / 1e6)
            silences.append((self.quiet_at[caller][last] - cleared) / 1e6)
        return packets, silences


class Speaker(picows.WSListener):
    """An agent that speaks a long sentence and breaks it off, `ROUNDS` times."""

    def __init__(self, talks: Talks) -> None:
        self._talks = talks
        self._caller: int | None = None
        self._speaking: asyncio.Task[None] | None = None

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Learn from the first named frame who calls, then begin to speak."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type == picows.WSMsgType.TEXT and self._caller is None:
            message = frame.get_payload_as_bytes()
            start = message.find(_PAYLOAD)
            if start < 0:
                return
            start += len(_PAYLOAD)
            named = read_frame(b64decode(message[start : message.index(b'"', start)]))
            if named is not None:
                self._caller = named[0]
                self._speaking = asyncio.get_running_loop().create_task(self._speak(transport, self._caller))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Fall silent."""
        if self._speaking is not None:
            self._speaking.cancel()

    async def _speak(self, transport: picows.WSTransport, caller: int) -> None:
        media = b'{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"' + b64encode(_SPEECH) + b'"}'
        draw = random.Random(caller)
        for _ in range(ROUNDS):
            transport.send(picows.WSMsgType.TEXT, b'{"event":"playAudio","media":' + media + b"}")
            await asyncio.sleep(0.3 + 0.3 * draw.random())
            self._talks.cleared.append((caller, clock.now()))
            transport.send(picows.WSMsgType.TEXT, b'{"event":"clearAudio"}')
            await asyncio.sleep(2 * _WATCH_NS / 1e9)


async def run(options: Options) -> Outcome:
    """Break off 40 sentences on 10 calls."""
    outcome = Outcome("clearAudio")
    talks = Talks()
    websocket = await picows.ws_create_server(lambda _request: Speaker(talks), "127.0.0.1", 0)
    document = stream_document(f"ws://127.0.0.1:{websocket.sockets[0].getsockname()[1]}/")
    application = AnswerServer(lambda _request: AppReply(document))
    await application.start()
    try:
        apps = {SECOND_NUMBER: application.url}
        start = partial(Platform.start, workers=options.workers, apps=apps)
        with start() as platform:
            load = Load((platform.sip_host, platform.sip_port), SECOND_NUMBER, on_packet=talks.note)
            await load.start()
            try:
                load.open_window()
                await load.place(CALLS, 20)
                await until(lambda: len(talks.cleared) >= CALLS * ROUNDS, 30)
                await asyncio.sleep(2 * _WATCH_NS / 1e9)
                await load.hang_up()
            finally:
                await load.close()
    finally:
        await application.close()
        websocket.close()
    packets, silences = talks.delays_ms()
    if len(silences) < CALLS * ROUNDS:
        outcome.faults.append(f"{CALLS * ROUNDS - len(silences)} sentences were not heard before they were broken off")
    outcome.figures.append(
        Figure("clearAudio sent → caller hears silence, p99", percentile(silences, 99), 40, 20, "ms")
        if silences
        else Figure("clearAudio sent → caller hears silence, p99", None, 40, 20, "ms")
    )
    outcome.remarks.append(
        f"{len(silences)} sentences broken off at any moment on {CALLS} calls. Silence begins when the last sample "
        "above -50 dBov of the last loud packet has been played by a caller who plays each packet when it arrives."
    )
    outcome.tables.append(
        Table(
            "Time from clearAudio sent by the agent",
            ("until", "p50, ms", "p99, ms", "worst, ms"),
            tuple(
                (name, *(f"{percentile(values, percent):.1f}" for percent in (50, 99, 100)))
                for name, values in (("the last loud packet arrives", packets), ("silence is heard", silences))
            ),
        )
    )
    return outcome
