"""A phone whose process gets no processor for a while hears what arrived meanwhile."""

import asyncio
import contextlib
import socket
import struct
import sys
import threading
import time

import numpy as np
import pytest
from tests.support.agent_audio import to_mulaw
from tests.support.dials import tone_ms
from tests.support.waiting import until

from ringback.ids import CommandId
from ringback.media.control.commands import SetRemote
from ringback.media.control.values import Address, Codec, LatchPolicy, MediaDirection
from ringback.phones import tones
from ringback.phones.audio import Pacer, PhoneAudio

PCMU = Codec("PCMU", 0, 8_000)
TONE_HZ, OTHER_HZ = 700, 1_500


def speak(sock, target, samples, may_begin):
    """Send samples as a phone would, in real time: every packet at its instant, or at once if that has passed."""
    may_begin.wait()
    data, began = to_mulaw(samples), time.monotonic()
    for number in range(len(data) // 160):
        time.sleep(max(began + number * 0.02 - time.monotonic(), 0))
        sock.sendto(
            struct.pack("!BBHII", 0x80, 0, number, number * 160, 7) + data[number * 160 : number * 160 + 160], target
        )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux notes when a packet arrives")
async def test_what_arrives_while_the_process_stands_still_is_heard():
    began = time.monotonic()
    audio = PhoneAudio(Pacer(), lambda _event: None)
    await audio.open("127.0.0.1")
    said = np.concatenate([tones.tone(pitch, 300) for pitch in (TONE_HZ, OTHER_HZ) * 3])
    may_begin = threading.Event()
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as far:
        far.bind(("127.0.0.1", 0))
        audio.set_remote(
            SetRemote(
                command_id=CommandId(""), session_id=audio.session_id, address=Address(*far.getsockname()), codec=PCMU,
                receive_codecs=(PCMU,), dtmf_payload_type=-1, ptime_ms=20, direction=MediaDirection.SENDRECV,
                latch=LatchPolicy.SIGNALLED, signalling_host="127.0.0.1",
            )
        )  # fmt: skip
        speaker = threading.Thread(target=speak, args=(far, audio.local, said, may_begin))
        speaker.start()
        try:
            await asyncio.sleep(0.1)
            may_begin.set()
            # The loop stands still here: nothing reads the socket while most of it is said.
            time.sleep(1.5)  # noqa: ASYNC251 - it must stand still
            await until(lambda: len(audio.take_heard().samples) >= len(said) + 800, "the rest")
        finally:
            speaker.join()
            audio.close()
    at_most_ms = (time.monotonic() - began) * 1_000 + 200
    assert 1_300 <= audio.stood_still_ms < at_most_ms, "the phone itself, not the far side"
    heard = audio.take_heard().samples
    for pitch_hz in (TONE_HZ, OTHER_HZ):
        assert tone_ms(heard, pitch_hz) >= 800, f"{tone_ms(heard, pitch_hz)} of 900 ms of {pitch_hz} Hz"
