"""A voice agent on the official Python stream SDK, as its documentation shows one (`PlivoFastAPIStreamingHandler`).

It echoes what it hears and tells what its handlers were given as JSON lines. Keys: `9` sets two checkpoints, `*` clears
the audio and ends the echo, `0` closes the socket. Argument: the auth token, with which the SDK checks the signature of
the upgrade.
"""

import asyncio
import json
import socket
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from plivo_stream import PlivoFastAPIStreamingHandler

app = FastAPI()


def tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


@app.websocket("/stream")
async def serve(websocket: WebSocket) -> None:
    handler = PlivoFastAPIStreamingHandler(websocket)
    form = {"content_type": "audio/x-mulaw", "sample_rate": 8000}
    # A send that meets a closed socket leaves this SDK in an endless loop of errors: `*` comes before the end.
    heard = {"frames": 0, "echoes": True}

    @handler.on_connected
    async def connected() -> None:
        tell(event="connected")

    @handler.on_start
    async def started(event) -> None:
        media_format = event.start.media_format
        form.update(content_type=media_format.encoding, sample_rate=media_format.sample_rate)
        tell(event="start", call_id=event.start.call_id, stream_id=event.start.stream_id,
             account_id=event.start.account_id, tracks=event.start.tracks, form=form)  # fmt: skip

    @handler.on_media
    async def media(event) -> None:
        heard["frames"] += 1
        if heard["echoes"]:
            await handler.send_media(event.get_raw_media(), **form)

    @handler.on_dtmf
    async def pressed(event) -> None:
        tell(event="dtmf", digit=event.dtmf.digit)
        match event.dtmf.digit:
            case "*":
                heard["echoes"] = False
                await handler.send_clear_audio()
            case "9":
                await handler.send_checkpoint("before")
                await handler.send_checkpoint("after")
            case "0":
                await handler.stop()

    @handler.on_played_stream
    async def played(event) -> None:
        tell(event="playedStream", name=event.name, stream_id=event.stream_id)

    @handler.on_cleared_audio
    async def cleared(event) -> None:
        tell(event="clearedAudio", stream_id=event.stream_id)

    @handler.on_disconnected
    async def disconnected() -> None:
        tell(event="disconnected", frames=heard["frames"])

    @handler.on_error
    async def failed(error) -> None:
        tell(event="error", text=str(error))

    await handler.start(with_signature_verification=True, auth_token=sys.argv[1])


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    tell(event="listening", port=listener.getsockname()[1])
    await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve([listener])


asyncio.run(main())
