"""Conversion between a leg's G.711 and the formats of streams, for each direction a function or nothing to do.

`uplink` turns received frames into what the stream carries; `Downlink` turns what the agent sent into the leg's law.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.media.codecs.g711 import PCMU, Law
from ringback.media.codecs.l16 import to_native, to_stream
from ringback.media.codecs.resample import Decimator, Doubler, resample_clip
from ringback.media.control.values import AudioFormat, Encoding

LEG_RATE_HZ = 8000
ULAW_8K = AudioFormat(Encoding.MULAW, 8000)
L16_8K = AudioFormat(Encoding.L16, 8000)
L16_16K = AudioFormat(Encoding.L16, 16000)
STREAM_FORMATS = (ULAW_8K, L16_8K, L16_16K)
"""What a stream may be opened with (spec 1.2)."""

AGENT_RATES_HZ = (8000, 16000, 24000, 32000, 48000)
"""Rates that agent audio is accepted at, chunk by chunk; a wav clip may have any rate up to 48000."""

Convert = Callable[[bytes], bytes]

_CANONICAL = {(encoding, rate): AudioFormat(encoding, rate) for encoding in Encoding for rate in AGENT_RATES_HZ} | {
    (format.encoding, format.rate_hz): format for format in STREAM_FORMATS
}


def canonical(format: AudioFormat) -> AudioFormat:
    """Return the one object of an equal format, so that the play queue can compare by identity."""
    return _CANONICAL.get((format.encoding, format.rate_hz), format)


def uplink(law: Law, target: AudioFormat) -> Convert | None:
    """Return what turns the leg's frames into the stream's, or `None` when they are the same bytes.

    State: for 16 kHz the function remembers the end of the last frame; make one per track and stream.
    """
    if target.encoding is Encoding.MULAW:
        return None if law is PCMU else lambda frame: frame.translate(PCMU.from_other)
    decode = law.decode
    if target.rate_hz == LEG_RATE_HZ:
        return lambda frame: to_stream(decode(frame))
    double = Doubler().process
    return lambda frame: to_stream(double(decode(frame)))


def unit_bytes(source: AudioFormat) -> int:
    """Return how many bytes of agent audio make one sample of the leg."""
    return source.rate_hz // LEG_RATE_HZ * (1 if source.encoding is Encoding.MULAW else 2)


class Downlink:
    """Turns agent audio of one format into the leg's law, piece by piece in order.

    State: remembers the end of the last piece where a filter needs it; `reset` forgets it. Pieces are whole units.
    """

    __slots__ = ("_decimator", "_is_ulaw", "_law")

    def __init__(self, source: AudioFormat, law: Law) -> None:
        factor = source.rate_hz // LEG_RATE_HZ
        self._law = law
        self._is_ulaw = source.encoding is Encoding.MULAW
        self._decimator = Decimator(factor) if factor > 1 else None

    def reset(self) -> None:
        """Start again as after silence."""
        if self._decimator is not None:
            self._decimator.reset()

    def process(self, audio: bytes) -> bytes:
        """Return the leg's bytes, one per unit."""
        if self._decimator is None and self._is_ulaw:
            return audio if self._law is PCMU else audio.translate(self._law.from_other)
        pcm = PCMU.decode(audio) if self._is_ulaw else to_native(audio)
        return self._law.encode(pcm if self._decimator is None else self._decimator.process(pcm))


def clip_to_leg_pcm(audio: bytes, source: AudioFormat) -> bytes:
    """Return a complete clip as linear audio of the leg's rate, in stream byte order."""
    pcm = PCMU.decode(audio) if source.encoding is Encoding.MULAW else to_native(audio)
    return to_stream(resample_clip(pcm, source.rate_hz, LEG_RATE_HZ))
