"""Calls behind a bad network in real time: the whole server, an agent that checks every message, a seeded fault proxy.

    make soak        ten minutes, two calls: 2 % loss, 30 ms jitter, overtaking, duplicates
    make soak ARGS="--minutes 60 --calls 10 --seed 7 --loss 0.05"

Exits with 1 when a chunk was missing, a timestamp was not exact, or the audio was not good. `tests/sim` runs the same
faults on fake time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
from collections import deque
from functools import partial

import numpy as np
import picows
import uvloop

from benchmarks.calibration import is_calm
from ringback import clock
from ringback.media.codecs.g711 import PCMU
from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone, PhoneSettings
from ringback.testing.agent import BEHAVIOURS, Agent, EchoListener
from ringback.testing.bad_network import Faults, ProxiedAudio
from ringback.testing.platform import Platform

CALLER_HZ, AGENT_HZ = 500.0, 800.0
LEVEL_DBOV = -15.0
NUMBER = "15550004000"
WINDOW_SAMPLES = 8_000
LEVEL_WITHIN_DB = 2.0
PURITY_MIN_DB = 9.0
"""Over a second in which 2 % of the packets were made up; µ-law alone gives 34."""
HOLES_MAX = 0.004
"""Share of 20 ms windows without sound: of several packets lost in a row only the first 60 ms are made up."""
EDGE_S = 2.0
COUNT_WITHIN = 0.01
"""How far the number of chunks may be from the time that the stream was open: its ends are not sharp."""


class CheckingListener(EchoListener):
    """Checks every message, speaks a tone, a second ahead, and keeps what it heard."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent)
        self.faults: deque[str] = deque(maxlen=10)
        self.chunks = 0
        self.heard: list[bytes] = []
        self._sequence = 0
        self._first_ms = 0
        tone = PCMU.encode(tones.tone(AGENT_HZ, 1_000, level_dbov=LEVEL_DBOV)[160:-640].tobytes())
        # A whole number of periods, so that the loop has no seam.
        self._second = base64.b64encode((tone[:800] * 10)[:8_000])
        CHECKED.append(self)

    def _take(self, transport: picows.WSTransport, message: bytes) -> None:
        event = json.loads(message)
        self._sequence += 1
        if event["sequenceNumber"] != self._sequence:
            self.faults.append(f"sequenceNumber {event['sequenceNumber']} instead of {self._sequence}")
            self._sequence = event["sequenceNumber"]
        if event["event"] != "media":
            super()._take(transport, message)
            return
        media = event["media"]
        self.chunks += 1
        timestamp = int(media["timestamp"])
        self._first_ms = self._first_ms or timestamp
        if (media["chunk"], timestamp) != (self.chunks, self._first_ms + 20 * (self.chunks - 1)):
            self.faults.append(f"chunk {media['chunk']} at {timestamp} instead of {self.chunks}")
        self.heard.append(base64.b64decode(media["payload"]))
        # A second ahead of what is played, as speech engines are: their clocks and our calls' have nothing in common.
        for _ in range(2 if self.chunks == 1 else self.chunks % 50 == 0):
            transport.send(picows.WSMsgType.TEXT, self._prefix + self._second + b'"}}')


CHECKED: list[CheckingListener] = []
"""The agent's side of every call, in the order of their streams."""


def main() -> int:
    """Hold the calls, print what was measured, and say whether it was good."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Calls behind a bad network.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--calls", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loss", type=float, default=Faults().loss)
    parser.add_argument("--jitter", type=float, default=Faults().jitter_ms, help="ms")
    options = parser.parse_args()
    faults = Faults(loss=options.loss, jitter_ms=options.jitter)
    wrong = uvloop.run(soak(options.minutes * 60, options.calls, options.seed, faults))
    for line in wrong:
        _print(f"WRONG: {line}")
    return 1 if wrong else 0


async def soak(seconds: float, calls: int, seed: int, faults: Faults) -> list[str]:
    """Return what was wrong, empty when all was good."""
    if not await is_calm():
        _print("The machine is not calm: stalls of its own are among what is measured.")
    BEHAVIOURS["soak"] = CheckingListener
    agent = Agent()
    await agent.start()
    wrong: list[str] = []
    try:
        with Platform.start(apps={NUMBER: f"{agent.answer_url}?agent=soak"}) as platform:
            speech = tones.tone(CALLER_HZ, int(1000 * seconds) + 10_000, level_dbov=LEVEL_DBOV)
            held = [await _place(platform, index, seed + index, faults, speech) for index in range(calls)]
            await asyncio.sleep(seconds)
            for index, (phone, call, audio) in enumerate(held):
                call.hang_up()
                await call.until_ended()
                open_s = (clock.now() - (call.answered_at or 0)) / 1e9
                wrong += _judge(index, audio, CHECKED[index], call.heard_samples(), open_s)
                await phone.close()
            metrics = await asyncio.to_thread(platform.metrics)
            for name, value in sorted(metrics.items()):
                is_told = name.startswith(("ringback_rtp_packets", "ringback_stream_e", "ringback_stream_d"))
                if value and is_told and "_created" not in name:
                    _print(f"  {name} {value:g}")
    finally:
        await agent.close()
    return wrong


async def _place(
    platform: Platform, index: int, seed: int, faults: Faults, speech: tones.Samples
) -> tuple[Phone, PhoneCall, ProxiedAudio]:
    made: list[ProxiedAudio] = []

    def make(*arguments: object) -> ProxiedAudio:
        made.append(partial(ProxiedAudio, faults=faults, seed=seed)(*arguments))  # type: ignore[arg-type]
        return made[-1]

    phone = Phone(PhoneSettings(user=f"1555777{index:04}"), make_audio=make)
    await phone.start()
    call = await phone.call(platform.uri(NUMBER))
    await call.until_answered()
    call.play(speech)
    return phone, call, made[0]


def _judge(
    index: int, audio: ProxiedAudio, agent: CheckingListener, at_phone: tones.Samples, open_s: float
) -> list[str]:
    """Print one call's figures and return what was wrong with it."""
    up, down = audio.proxy.to_platform, audio.proxy.to_phone
    wrong = [f"call {index}: {fault}" for fault in agent.faults]
    if abs(agent.chunks - 50 * open_s) > COUNT_WITHIN * 50 * open_s + 50:
        wrong.append(f"call {index}: {agent.chunks} chunks in {open_s:.1f} s")
    _print(
        f"call {index}: {agent.chunks} chunks in {open_s:.1f} s; towards the platform {up.lost} of {up.passed} packets "
        f"lost, {up.duplicated} doubled, {up.held_back} held back; towards the phone {down.lost} of {down.passed} lost"
    )
    # What the generator's own stalls kept it from sending is not the platform's loss.
    stalled = max(0, agent.chunks - up.passed) / max(1, agent.chunks)
    if stalled:
        _print(f"  the phone itself stood still for {100 * stalled:.2f} % of the time")
    at_agent = np.frombuffer(PCMU.decode(b"".join(agent.heard)), dtype=np.int16)
    for name, heard, pitch_hz in (("agent", at_agent, CALLER_HZ), ("phone", at_phone, AGENT_HZ)):
        levels, purities, holes = _figures(heard, pitch_hz)
        if not len(levels):
            wrong.append(f"call {index}: the {name} heard {len(heard) / 8_000:.1f} s")
            continue
        _print(
            f"  {name} heard {len(levels)} whole seconds: level {np.min(levels):.1f} to {np.max(levels):.1f} dBov, "
            f"tone above all else {np.min(purities):.1f} dB at worst, {np.median(purities):.1f} dB in the middle, "
            f"{100 * holes:.2f} % holes"
        )
        if np.max(np.abs(levels - LEVEL_DBOV)) > LEVEL_WITHIN_DB:
            wrong.append(f"call {index}: level at the {name} {np.min(levels):.1f} dBov")
        if np.min(purities) < PURITY_MIN_DB:
            wrong.append(f"call {index}: tone at the {name} only {np.min(purities):.1f} dB above the rest")
        if holes > HOLES_MAX + stalled:
            wrong.append(f"call {index}: {100 * holes:.2f} % of the time at the {name} is silent")
    return wrong


def _figures(heard: tones.Samples, pitch_hz: float) -> tuple[np.ndarray, np.ndarray, float]:  # type: ignore[type-arg]
    """Return level and purity of each second, and the share of holes; the ends are left out."""
    edge = int(EDGE_S * 8_000)
    middle = heard[edge : len(heard) - edge].astype(np.float64)
    at = np.arange(WINDOW_SAMPLES) / 8_000
    levels, purities = [], []
    for start in range(0, len(middle) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        window = middle[start : start + WINDOW_SAMPLES]
        levels.append(tones.level_dbov(window.astype(np.int16)))
        rest, total = 0.0, 0.0
        # In pieces: a phone's jitter buffer may slip by a frame within the second.
        for piece in window.reshape(10, -1):
            basis = np.column_stack([f(2 * np.pi * pitch_hz * at[: len(piece)]) for f in (np.cos, np.sin)])
            rest += float(np.sum((piece - basis @ np.linalg.lstsq(basis, piece, rcond=None)[0]) ** 2))
            total += float(np.sum(piece**2))
        purities.append(10 * np.log10(max(total - rest, 1.0) / max(rest, 1.0)))
    quiet = tones.levels_dbov(middle.astype(np.int16)) < LEVEL_DBOV - 25
    return np.array(levels), np.array(purities), float(np.mean(quiet))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
