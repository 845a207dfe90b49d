"""baresip as a phone: sings a melody from a file, records what it hears, is driven over its control socket."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ringback.testing import tones
from tests.support.sipp import free_media_port, free_port
from tests.support.waiting import until

_RATES = re.compile(r"\[\d+:(\d+):(\d+)\] audio=(\d+)/(\d+)")
_HOST = "127.0.0.1"
_WAV_HEADER_BYTES = 44
_SONG_MS = 25_000
_CONFIG = """\
poll_method epoll
sip_listen {host}:{sip_port}
net_interface {host}
ctrl_tcp_listen {host}:{control_port}
rtp_ports {rtp_port}-{last_rtp_port}
rtcp_mux no
jitter_buffer_delay 5-10
audio_player aubridge,nil
audio_source aufile,{song}
audio_alert aubridge,alert
audio_buffer 20-160
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
snd_path {folder}
module_path {modules}
module g711.so
module sndfile.so
module aufile.so
module aubridge.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
"""
_MODULES = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules")


@dataclass(slots=True)
class Baresip:
    """A running baresip; `events` holds what its control socket has told."""

    folder: Path
    port: int
    song: tones.Samples
    events: list[dict[str, Any]] = field(default_factory=list)
    _writer: asyncio.StreamWriter | None = None

    def uri(self, transport: str = "udp") -> str:
        """Return the URI under which it takes calls."""
        return f"sip:baresip@{_HOST}:{self.port};transport={transport}"

    def do(self, command: str, params: str = "") -> None:
        """Give a command of baresip's menu, such as `dial`, `hangup`, `hold`, `sndcode`."""
        assert self._writer is not None
        text = json.dumps({"command": command, "params": params}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))

    async def until(self, event: str, count: int = 1) -> dict[str, Any]:
        """Return the `count`-th event of a type, such as `CALL_ESTABLISHED`, as soon as it has come."""
        await until(lambda: len(self._of(event)) >= count, f"{count} × {event}; so far {self._types()}", 40)
        return self._of(event)[count - 1]

    async def until_audio_flows(self) -> None:
        """Return when by its own count it sends and receives audio all the time, from some seconds from now on.

        It counts in periods of 3 s, hence what it says about the next 3 s may still be about the past.
        """
        since = self._bitrates()[0]
        await until(
            lambda: self._bitrates()[0] >= since + 6 and min(self._bitrates()[1:]) > 50_000, "64 kbit/s both ways", 60
        )

    def output(self) -> str:
        """Return what it has printed so far; it tells of registrations here before its control socket is open."""
        return (self.folder / "output.log").read_text(errors="replace")

    def heard(self) -> tones.Samples:
        """Return all it has heard in its last call so far.

        baresip 1.0.0 ends the recording when it holds a call, and begins no other when it resumes.
        """
        recordings = sorted(self.folder.glob("dump-*-dec.wav"))
        if not recordings:
            return tones.silence(0)
        data = recordings[-1].read_bytes()[_WAV_HEADER_BYTES:]
        return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.int16)

    def _bitrates(self) -> tuple[int, int, int]:
        """Return the second of the call and the bits per second sent and received that it told last."""
        told = _RATES.findall(self.output())
        if not told:
            return 0, 0, 0
        minutes, seconds, sent, received = map(int, told[-1])
        return minutes * 60 + seconds, sent, received

    def _of(self, event: str) -> list[dict[str, Any]]:
        return [found for found in self.events if found.get("type") == event]

    def _types(self) -> list[str]:
        return [str(found["type"]) for found in self.events if "type" in found]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                self.events.append(json.loads(await reader.readexactly(size)))
                await reader.readexactly(1)
        except (asyncio.IncompleteReadError, ConnectionError):
            # baresip has ended.
            return


@asynccontextmanager
async def baresip(
    seed: int = 1, *, answers: str = "auto", registers_as: str = "", password: str = ""
) -> AsyncIterator[Baresip]:
    """Run a baresip that sings for the time of the block.

    Args:
        seed: Chooses the melody.
        answers: `auto` takes calls at once, `manual` when told so.
        registers_as: The address that it registers, such as `sip:user@host:port;transport=tcp`; empty: none.
    """
    with tempfile.TemporaryDirectory(prefix="baresip-") as name:
        folder = Path(name)
        phone = Baresip(folder, free_port(), tones.melody(seed, _SONG_MS))
        control_port = free_port()
        _prepare(phone, control_port, answers, registers_as, password)
        with (folder / "output.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *("baresip", "-f", name), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=name
            )
        try:
            reader, phone._writer = await _connect(control_port, folder)
            listening = asyncio.create_task(phone._listen(reader))
            try:
                yield phone
            finally:
                phone.do("quit")
                await asyncio.wait_for(process.wait(), 10)
                phone._writer.close()
                await listening
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _prepare(phone: Baresip, control_port: int, answers: str, registers_as: str, password: str) -> None:
    song = phone.folder / "song.wav"
    with wave.open(str(song), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(phone.song.astype("<i2").tobytes())
    rtp_port = free_media_port(1)
    config = _CONFIG.format(
        host=_HOST,
        sip_port=phone.port,
        control_port=control_port,
        rtp_port=rtp_port,
        last_rtp_port=rtp_port + 20,
        song=song,
        folder=phone.folder,
        modules=next((path for path in _MODULES if Path(path).is_dir()), _MODULES[0]),
    )
    (phone.folder / "config").write_text(config)
    who = (
        f"<{registers_as}>;regint=60;auth_pass={password}"
        if registers_as
        else f"<sip:baresip@{_HOST}:{phone.port}>;regint=0"
    )
    (phone.folder / "accounts").write_text(f"{who};audio_codecs=PCMU,PCMA;answermode={answers}\n")


async def _connect(port: int, folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(1_500):
        try:
            return await asyncio.open_connection(_HOST, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
    raise AssertionError("baresip does not listen\n" + (folder / "output.log").read_text(errors="replace"))
