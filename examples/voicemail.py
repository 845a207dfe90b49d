"""A mailbox: greets the caller, records a message after the beep, and keeps it as a file.

A message ends with the key #, after 5 s of silence, after 2 minutes, or when the caller hangs up. It is fetched when
the platform says that its file is ready. The key 1 plays it to the caller once more.

Run: uvicorn voicemail:app --port 5000
Then let a number's answer URL be http://127.0.0.1:5000/answer; messages appear in the folder `messages`.
"""

import asyncio
import os
import re
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from plivo import plivoxml

HERE = os.environ.get("BASE_URL", "http://127.0.0.1:5000")
MESSAGES = Path(os.environ.get("MESSAGES", "messages"))
MESSAGES.mkdir(exist_ok=True)
app = FastAPI()


def document(*elements):
    response = plivoxml.ResponseElement()
    for element in elements:
        response.add(element)
    return Response(response.to_string(), media_type="application/xml")


async def parameters(request):
    return {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}


def message():
    return plivoxml.RecordElement(
        action=f"{HERE}/recorded", callback_url=f"{HERE}/ready", finish_on_key="#", timeout=5, max_length=120
    )


@app.post("/answer")
async def answer():
    return document(plivoxml.SpeakElement("Nobody is in. Leave a message after the beep."), message())


@app.post("/recorded")
async def recorded(request: Request):
    told = await parameters(request)
    if told["CallStatus"] == "completed":  # the caller has hung up, nobody is there to listen
        return Response()
    menu = plivoxml.GetDigitsElement(action=f"{HERE}/menu?url={told['RecordUrl']}", num_digits=1, timeout=3)
    menu.add(plivoxml.SpeakElement("Thank you. To hear your message, press 1."))
    return document(menu, plivoxml.HangupElement())


@app.post("/menu")
async def menu(request: Request, url: str):
    if (await parameters(request))["Digits"] == "1":
        return document(plivoxml.PlayElement(url), plivoxml.HangupElement())
    return document(plivoxml.HangupElement())


@app.post("/ready")
async def ready(request: Request):
    told = await parameters(request)
    name = re.sub(r"\W", "_", f"{told['From']}-{told['RecordingStartMs']}") + Path(told["RecordUrl"]).suffix
    await asyncio.to_thread(urllib.request.urlretrieve, told["RecordUrl"], MESSAGES / name)
    return Response()
