"""The media side of `hermes-plivo-phone-gateway` as an agent: its socket loop, session, pacing and acknowledgements.

What it is a plugin of (Hermes: speech recognition, the model, speech synthesis) is left out; only names are imported
from there. Instead of an answer from a model the caller is read back what it said. Facts go out as JSON lines.
"""

import asyncio
import json
import logging
import socket
import sys
import types

# The host application is no part of the protocol: its names are enough for the gateway to be imported.
for _name, _names in {
    "gateway": (),
    "gateway.config": ("Platform", "PlatformConfig"),
    "gateway.platforms": (),
    "gateway.platforms.base": (
        *("AudioFormat", "BasePlatformAdapter", "MessageEvent", "MessageType", "SendResult", "StreamingTTSHandle"),
    ),
}.items():
    _module = types.ModuleType(_name)
    for _class in _names:
        setattr(_module, _class, type(_class, (), {}))
    sys.modules[_name] = _module

import numpy as np  # noqa: E402
from aiohttp import web  # noqa: E402 - the stand-ins come first
from hermes_plivo_voice import adapter, audio_utils  # noqa: E402

_LOUD = 500


def tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class LoudnessEndpointer(audio_utils.Endpointer):
    """Speech is what is loud; the gateway's own detector is a model that is downloaded."""

    def is_speech(self, pcm: bytes) -> bool:
        samples = np.frombuffer(pcm, dtype="<i2").astype(float)
        return float(np.sqrt(np.mean(samples**2))) > _LOUD if len(samples) else False


async def read_back(call, pcm: bytes) -> None:
    """Say to the caller what it said, as the gateway does with the speech of a reply."""
    reply = audio_utils.resample_pcm16(pcm, 16_000, 8_000)
    call.begin_turn()
    call.speaking = True
    tell(event="utterance", ms=len(reply) // 16)
    frames, was_interrupted = await call.play_pcm8k(reply)
    is_confirmed = not was_interrupted and await call.await_playback(20)
    call.speaking = False
    tell(event="reply", frames=frames, interrupted=was_interrupted, confirmed=is_confirmed)


async def pressed(call, digit: str) -> None:
    tell(event="dtmf", digit=digit, call_id=call.chat_id)


async def serve(request: web.Request) -> web.WebSocketResponse:
    calls: dict = {}
    tell(event="offered", protocols=request.headers.get("Sec-WebSocket-Protocol", ""))
    answer = await adapter.run_media_ws(
        request,
        settings=adapter.SessionSettings(),
        calls=calls,
        endpointer_factory=lambda: LoudnessEndpointer(16_000),
        on_utterance=read_back,
        on_dtmf=pressed,
        on_call_start=lambda call: tell(event="start", call_id=call.chat_id, stream_id=call.stream_id),
        on_call_end=lambda call_id: tell(event="end", call_id=call_id),
        on_stream_lost=lambda call_id: tell(event="lost", call_id=call_id),
    )
    tell(event="closed", protocol=answer.ws_protocol)
    return answer


async def main() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    app = web.Application()
    app.router.add_get("/media", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    await web.SockSite(runner, bound).start()
    tell(event="listening", port=bound.getsockname()[1])
    await asyncio.Event().wait()


asyncio.run(main())
