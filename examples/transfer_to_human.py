"""A voice agent that hands its caller to a human, and takes the caller back when nobody answers.

The agent echoes; put yours in its place. The key 0 asks for a human: the call is transferred to `/human`, which dials.
When that fails, `/after` says so and connects the agent again.

Run: HUMAN=sip:agent@192.0.2.7 PLIVO_AUTH_ID=… PLIVO_AUTH_TOKEN=… uvicorn transfer_to_human:app --port 5000
Then let a number's answer URL be http://127.0.0.1:5000/answer; `ringback creds` prints id and token.
"""

import asyncio
import json
import os
from urllib.parse import parse_qs

import plivo
from fastapi import FastAPI, Request, Response, WebSocket
from plivo import plivoxml
from requests.adapters import HTTPAdapter

HERE = os.environ.get("BASE_URL", "http://127.0.0.1:5000")
RINGBACK = os.environ.get("RINGBACK_URL", "http://127.0.0.1:8080")
app = FastAPI()


class ToRingback(HTTPAdapter):
    def send(self, request, *args, **kwargs):
        request.url = request.url.replace("https://api.plivo.com", RINGBACK, 1)
        return super().send(request, *args, **kwargs)


client = plivo.RestClient()  # reads PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN
client.session.mount("https://api.plivo.com", ToRingback())


def document(*elements):
    response = plivoxml.ResponseElement()
    for element in elements:
        response.add(element)
    return Response(response.to_string(), media_type="application/xml")


def agent():
    url = HERE.replace("http", "ws", 1) + "/agent"
    return plivoxml.StreamElement(url, bidirectional=True, keepCallAlive=True, contentType="audio/x-mulaw;rate=8000")


@app.post("/answer")
async def answer():
    return document(agent())


@app.websocket("/agent")
async def talk(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        event = json.loads(text)
        if event["event"] == "start":
            call_uuid = event["start"]["callId"]
        elif event["event"] == "media":
            audio = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": event["media"]["payload"]}
            await socket.send_json({"event": "playAudio", "media": audio})
        elif event["event"] == "dtmf" and event["dtmf"]["digit"] == "0":
            await asyncio.to_thread(client.calls.transfer, call_uuid, legs="aleg", aleg_url=f"{HERE}/human")


@app.post("/human")
async def human():
    dial = plivoxml.DialElement(action=f"{HERE}/after", timeout=20)
    return document(dial.add(plivoxml.UserElement(os.environ["HUMAN"])))


@app.post("/after")
async def after(request: Request):
    outcome = parse_qs((await request.body()).decode())
    if outcome["DialStatus"] == ["completed"]:
        return document(plivoxml.HangupElement())
    return document(plivoxml.SpeakElement("Nobody is free at the moment. I am back."), agent())
