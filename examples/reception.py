"""A reception that understands keys and words: "press 1 or say sales".

Run: uvicorn reception:app --port 5000     (speech needs `pip install 'ringback[speech]'`; keys work without)
Then let a number's answer URL be http://127.0.0.1:5000/answer.
"""

import os
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from plivo import plivoxml

HERE = os.environ.get("BASE_URL", "http://127.0.0.1:5000")
DESKS = {"1": "check balance", "2": "technical support"}
SOUNDS = os.environ.get("SOUNDS", "")  # a folder of wav files by desk, such as https://example.com/sounds
app = FastAPI()


def document(*elements):
    response = plivoxml.ResponseElement()
    for element in elements:
        response.add(element)
    return Response(response.to_string(), media_type="application/xml")


def menu(*before):
    wish = plivoxml.GetInputElement(
        action=f"{HERE}/wish",
        input_type="dtmf speech",
        num_digits=1,
        hints=",".join(DESKS.values()),
        execution_timeout=15,
        digit_end_timeout=2,
        speech_end_timeout=2,
    )
    choices = " ".join(f"For {name}, press {key} or say {name}." for key, name in DESKS.items())
    wish.add(plivoxml.SpeakElement(choices))
    return document(*before, wish, plivoxml.SpeakElement("Nothing was said. Goodbye."))


@app.post("/answer")
async def answer():
    return menu(plivoxml.SpeakElement("Welcome."))


@app.post("/wish")
async def wish(request: Request):
    told = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    said = told.get("Speech", "").lower()
    desk = DESKS.get(told.get("Digits", "")) or next((name for name in DESKS.values() if name in said), None)
    if desk is None:
        return menu(plivoxml.SpeakElement("That was not understood."))
    if SOUNDS:
        return document(plivoxml.PlayElement(f"{SOUNDS}/{desk.replace(' ', '_')}.wav"))
    return document(plivoxml.SpeakElement(f"This is {desk}. Goodbye."))
