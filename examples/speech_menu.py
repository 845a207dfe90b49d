"""A menu by speech and keys: "balance" or 1, "technical support" or 2; an account number before the balance.

Speech is recognised on the machine: pip install 'ringback[speech]'. Whoever says nothing that is expected is asked
again, and at last sent to the keys.

Run: uvicorn speech_menu:app --port 5000
Then let a number's answer URL be http://127.0.0.1:5000/answer.
"""

import os
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from plivo import plivoxml

HERE = os.environ.get("BASE_URL", "http://127.0.0.1:5000")
BALANCES = {"345": "12 dollars", "911": "7 dollars"}
CHOICES = {"1": "balance", "2": "support", "check balance": "balance", "technical support": "support"}
app = FastAPI()


def document(*elements):
    response = plivoxml.ResponseElement()
    for element in elements:
        response.add(element)
    return Response(response.to_string(), media_type="application/xml")


def say(text):
    return plivoxml.SpeakElement(text)


def ask(path, prompt, **how):
    element = plivoxml.GetInputElement(action=HERE + path, input_type="dtmf speech", execution_timeout=20, **how)
    return element.add(say(prompt))


def menu(prompt="Say: check balance, or: technical support. Or press 1 or 2."):
    hints = "check balance, technical support"
    again = plivoxml.GetDigitsElement(action=HERE + "/choice", num_digits=1, timeout=10)
    return (
        ask("/choice", prompt, num_digits=1, hints=hints),
        again.add(say("I did not understand. Please press 1 for your balance, or 2 for technical support.")),
        say("Goodbye."),
    )


async def given(request):
    """Return what the caller said or pressed."""
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    return form.get("Speech") or form.get("Digits", "")


@app.post("/answer")
async def answer():
    return document(*menu())


@app.post("/choice")
async def choice(request: Request):
    match CHOICES.get(await given(request)):
        case "balance":
            account = ask("/balance", "Say or enter your account number.", num_digits=3, hints=",".join(BALANCES))
            return document(account, *menu())
        case "support":
            return document(say("Technical support opens at nine."))
        case _:
            return document(*menu("There is no such choice. Press 1 or 2."))


@app.post("/balance")
async def balance(request: Request):
    found = BALANCES.get(await given(request), "not known to me")
    return document(say(f"Your balance is {found}."))
