"""Recordings as a customer gets them: fetched without credentials, decoded, one array a channel."""

from __future__ import annotations

import asyncio
import io
import urllib.error
import urllib.request
import wave
from collections.abc import Mapping
from dataclasses import dataclass

import miniaudio
import numpy as np

from ringback.phones.tones import Samples

RATE_HZ = 8000


@dataclass(frozen=True)
class Fetched:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def channels(self) -> list[Samples]:
        """Return the audio, one array a channel; wav by the standard library, mp3 by a decoder."""
        if self.body.startswith(b"RIFF"):
            with wave.open(io.BytesIO(self.body)) as file:
                assert (file.getframerate(), file.getsampwidth()) == (RATE_HZ, 2)
                count, pcm = file.getnchannels(), file.readframes(file.getnframes())
        else:
            decoded = miniaudio.mp3_read_s16(self.body)
            assert decoded.sample_rate == RATE_HZ
            count, pcm = decoded.nchannels, decoded.samples.tobytes()
        return list(np.frombuffer(pcm, dtype="<i2").reshape(-1, count).T)

    @property
    def seconds(self) -> float:
        """Return how long it lasts."""
        return len(self.channels[0]) / RATE_HZ


async def fetch(url: str, method: str = "GET", **headers: str) -> Fetched:
    """Return what is at a URL, without credentials."""

    def work() -> Fetched:
        request = urllib.request.Request(url, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=15) as reply:
                return Fetched(reply.status, dict(reply.headers.items()), reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Fetched(error.code, dict(error.headers.items()), error.read())

    return await asyncio.to_thread(work)
