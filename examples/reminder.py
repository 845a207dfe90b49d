"""Calls people to remind them of something; tells a human, or leaves a message after the beep of an answering machine.

A human hears the reminder and confirms with the key 1. For a machine the document waits for the beep first.

Run: PLIVO_AUTH_ID=… PLIVO_AUTH_TOKEN=… uvicorn reminder:app --port 5000     (`ringback creds` prints id and token)
Then: curl -d to=sip:patient@192.0.2.7 -d text='Your appointment is tomorrow at nine.' http://127.0.0.1:5000/remind
"""

import asyncio
import os
from urllib.parse import parse_qs, quote

import plivo
from fastapi import FastAPI, Request, Response
from plivo import plivoxml
from requests.adapters import HTTPAdapter

HERE = os.environ.get("BASE_URL", "http://127.0.0.1:5000")
RINGBACK = os.environ.get("RINGBACK_URL", "http://127.0.0.1:8080")
FROM = os.environ.get("FROM", "15550001000")
app = FastAPI()
outcomes: dict[str, str] = {}


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


async def parameters(request):
    return {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}


@app.post("/remind")
async def remind(request: Request):
    wish = await parameters(request)
    url = f"{HERE}/answer?text={quote(wish['text'])}"
    made = await asyncio.to_thread(client.calls.create, FROM, wish["to"], url, machine_detection="true")
    return {"call_uuid": made.request_uuid}


@app.post("/answer")
async def answer(request: Request, text: str):
    call = await parameters(request)
    if call.get("Machine") == "true":
        outcomes[call["CallUUID"]] = "left a message"
        return document(plivoxml.WaitElement(length=30, beep=True), plivoxml.SpeakElement(text))
    outcomes[call["CallUUID"]] = "reached"
    confirm = plivoxml.GetDigitsElement(action=f"{HERE}/confirmed", num_digits=1, timeout=10, retries=2)
    return document(
        confirm.add(plivoxml.SpeakElement(f"{text} Press 1 to confirm.")), plivoxml.SpeakElement("Goodbye.")
    )


@app.post("/confirmed")
async def confirmed(request: Request):
    call = await parameters(request)
    outcomes[call["CallUUID"]] = "confirmed" if call["Digits"] == "1" else "declined"
    return document(plivoxml.SpeakElement("Thank you. Goodbye."))


@app.get("/outcomes")
async def tell():
    return outcomes
