"""A Pipecat bot behind our stream, all stock: the runner's provider detection, the FastAPI WebSocket transport, a
pipeline, the Plivo serializer with its automatic hang-up. Only the host of that hang-up is changed.

It echoes what it hears; `*` interrupts, `#` ends the pipeline. Arguments: auth id, auth token, URL of the platform.
"""

import asyncio
import json
import socket
import sys

import aiohttp
import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.frames.frames import (
    EndWorkerFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

AUTH_ID, AUTH_TOKEN, PLATFORM = sys.argv[1:]
app = FastAPI()


def tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


_request = aiohttp.ClientSession._request


async def request_to_platform(self, method, url, **options):
    """Send what is meant for the cloud to the platform under test."""
    reply = await _request(self, method, str(url).replace("https://api.plivo.com", PLATFORM), **options)
    tell(event="request", method=method, path=reply.url.path, status=reply.status)
    return reply


aiohttp.ClientSession._request = request_to_platform


class Echo(FrameProcessor):
    """Says what it hears, 16 kHz."""

    is_ending = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
            case InputDTMFFrame():
                key = frame.button.value
                tell(event="key", key=key)
                if key == "*":
                    await self.push_frame(InterruptionFrame())
                if key == "#":
                    self.is_ending = True
                    await self.push_frame(EndWorkerFrame())
            case _:
                await self.push_frame(frame, direction)


@app.websocket("/bot")
async def serve(websocket: WebSocket) -> None:
    await websocket.accept()
    provider, call = await parse_telephony_websocket(websocket)
    tell(event="detected", provider=provider, call_id=call["call_id"], stream_id=call["stream_id"])
    serializer = PlivoFrameSerializer(
        stream_id=call["stream_id"], call_id=call["call_id"], auth_id=AUTH_ID, auth_token=AUTH_TOKEN
    )
    params = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer)
    transport = FastAPIWebsocketTransport(websocket=websocket, params=params)
    echo = Echo()
    worker = PipelineWorker(
        Pipeline([transport.input(), echo, transport.output()]),
        params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=16000),
    )

    @transport.event_handler("on_client_disconnected")
    async def gone(*_arguments) -> None:
        tell(event="gone")
        if not echo.is_ending:
            # A caller who hangs up; after our own hang-up the pipeline ends by itself, when it has its answer.
            await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    tell(event="ended")


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    tell(event="listening", port=listener.getsockname()[1])
    await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve([listener])


asyncio.run(main())
