"""`/Call/{call_uuid}/Play/`, `/Speak/`, `/DTMF/`: sounds, speech and keys on a live call (specification 4.9)."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response

from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body
from ringback.api.forms import Form, described_body, invalid, is_web_url, shown
from ringback.api.responses import no_content, reply
from ringback.api.services import ServicesOf
from ringback.calls.in_call import LEGS, DigitsRequest, PlayRequest, SpeakRequest
from ringback.errors import InvalidParameter
from ringback.ids import CallUuid
from ringback.speech.markup import TEXT_MAX_CHARS, read_speech
from ringback.speech.ssml import looks_like_ssml, parse_ssml

router = APIRouter(tags=["In-call actions"])

URLS_MAX = 32
DIGITS_MAX = 128
_LENGTH_MAX_S = 86_400
_NEXT_URL = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_DIGITS = re.compile(r"[0-9*#A-DwW]+")


def read_play(form: Form) -> PlayRequest:
    """Return the sounds that a request asks for.

    Raises:
        InvalidParameter: a parameter is missing or wrong.
    """
    return PlayRequest(
        urls=_urls(form),
        length_s=form.integer("length", 3_600, 1, _LENGTH_MAX_S, about="Seconds after which it ends."),
        legs=form.choice("legs", LEGS, "aleg"),
        is_looped=form.boolean("loop", about="Repeat until it is stopped or `length` is over."),
        mixes=form.boolean("mix", True, about="With what the call plays; `false`: instead of it, while it lasts."),
    )


def read_speak(form: Form) -> SpeakRequest:
    """Return what a request wants to be said.

    Raises:
        InvalidParameter: a parameter is missing or wrong, or there is nothing to say.
    """
    text = _text(form)
    # The official Go SDK sends the voice under the name `length` (specification 4.9).
    voice = form.text("voice", about="`WOMAN`, `MAN` or `Polly.<Name>`.") or form.text("length")
    language = form.text("language", max_chars=20, about="A BCP 47 tag; `en-US` unless the voice has its own.")
    form.text("type", about="Accepted and ignored.")
    is_ssml = voice.lower().startswith("polly.") and looks_like_ssml(text)
    speech = read_speech(parse_ssml(text) if is_ssml else [text], voice, language)
    if not speech.passages:
        invalid("text", "there is nothing to say")
    return SpeakRequest(
        speech=speech,
        legs=form.choice("legs", LEGS, "aleg"),
        is_looped=form.boolean("loop", about="Repeat until it is stopped."),
        mixes=form.boolean("mix", True, about="With what the call plays; `false`: instead of it, while it lasts."),
    )


def read_digits(form: Form) -> DigitsRequest:
    """Return the keys that a request wants to be sent.

    Raises:
        InvalidParameter: a parameter is missing or wrong.
    """
    digits = form.text("digits", required=True, max_chars=DIGITS_MAX, about="`0-9*#A-D`; `w` waits 0.5 s, `W` 1 s.")
    if not _DIGITS.fullmatch(digits):
        invalid("digits", f"{shown(digits)}, expected 0-9 * # A-D w W")
    # The official Go SDK sends `legs` (specification 4.9).
    name = "leg" if form.is_given("leg") or not form.is_given("legs") else "legs"
    return DigitsRequest(digits, form.choice(name, LEGS, "aleg"))


def _urls(form: Form) -> tuple[str, ...]:
    about = f"One URL or several, separated by commas; wav or mp3; at most {URLS_MAX}."
    value = form.raw("urls", {"type": "string"}, about, required=True)
    if isinstance(value, str):
        parts: list[object] = [part.strip() for part in _NEXT_URL.split(value.strip().strip(","))]
    elif isinstance(value, list):
        parts = value
    else:
        parts = []
    urls = tuple(part for part in parts if isinstance(part, str) and part)
    if not urls:
        raise InvalidParameter("urls parameter is missing", field="urls")
    if len(urls) > URLS_MAX:
        invalid("urls", f"{len(urls)} URLs, expected at most {URLS_MAX}")
    for url in urls:
        if not is_web_url(url) or len(url) > 2_048:
            invalid("urls", f"{shown(url)} is not a valid url, expected http:// or https:// and a host")
    return urls


def _text(form: Form) -> str:
    value = form.raw("text", {"type": "string", "maxLength": TEXT_MAX_CHARS}, "Plain text, or SSML.", required=True)
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if text is None or (isinstance(text, str) and not text.strip()):
        raise InvalidParameter("text parameter is missing", field="text")
    if not isinstance(text, str):
        invalid("text", "expected a text")
    if len(text) > TEXT_MAX_CHARS:
        invalid("text", f"{len(text)} characters, expected at most {TEXT_MAX_CHARS}")
    return text


@router.post(
    "/Call/{call_uuid}/Play/",
    summary="Play sounds on a call",
    status_code=202,
    openapi_extra=described_body(read_play, {"urls": "https://yourserver.example.com/hold.mp3", "loop": True}),
)
async def start_playing(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Play sounds beside what the call's document does."""
    await services.in_call.play(account, CallUuid(call_uuid), read_play(Form(await read_body(request))))
    return reply(202, {"message": "play started"})


@router.delete("/Call/{call_uuid}/Play/", summary="Stop playing on a call", status_code=204)
async def stop_playing(account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Stop what earlier requests play."""
    await services.in_call.stop_plays(account, CallUuid(call_uuid))
    return no_content()


@router.post(
    "/Call/{call_uuid}/Speak/",
    summary="Say something on a call",
    status_code=202,
    openapi_extra=described_body(read_speak, {"text": "One moment, please.", "voice": "WOMAN", "language": "en-US"}),
)
async def start_speaking(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Say a text beside what the call's document does."""
    await services.in_call.speak(account, CallUuid(call_uuid), read_speak(Form(await read_body(request))))
    return reply(202, {"message": "speak started"})


@router.delete("/Call/{call_uuid}/Speak/", summary="Stop speaking on a call", status_code=204)
async def stop_speaking(account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Stop what earlier requests say."""
    await services.in_call.stop_speech(account, CallUuid(call_uuid))
    return no_content()


@router.post(
    "/Call/{call_uuid}/DTMF/",
    summary="Send digits on a call",
    status_code=202,
    openapi_extra=described_body(read_digits, {"digits": "1w23#"}),
)
async def send_digits(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Send keys to the far party."""
    await services.in_call.send_digits(account, CallUuid(call_uuid), read_digits(Form(await read_body(request))))
    return reply(202, {"message": "digits sent"})
