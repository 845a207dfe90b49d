"""Every call that the official Python SDK makes about sounds, speech and keys on a live call."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plivo
import pytest
from plivo.exceptions import ResourceNotFoundError, ValidationError
from tests.support.api_server import ApiServer

from ringback.calls.in_call import DigitsRequest, PlayRequest, SpeakRequest
from ringback.errors import LimitReached
from ringback.speech.passage import Gender

ONE = "https://h.example/one.mp3"
TWO = "https://h.example/two,2.wav"


@pytest.fixture
def call(api: ApiServer) -> str:
    return api.calls.add()


def test_play_with_defaults(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    reply = client.calls.play(call, ONE)
    assert (reply.message, len(reply.api_id)) == ("play started", 36)
    assert api.in_call.asked == [("play", PlayRequest((ONE,), 3_600, "aleg", False, True))]


def test_play_with_every_parameter(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    client.calls.start_playing(call, f"{ONE},{TWO}", length=20, legs="both", loop=True, mix=False)
    assert api.in_call.asked == [("play", PlayRequest((ONE, TWO), 20, "both", True, False))]


def test_stop_playing(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    client.calls.play_stop(call)
    client.calls.stop_playing(call)
    assert api.in_call.asked == [("stop plays", None)] * 2


def test_speak_with_defaults(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    reply = client.calls.speak(call, "Hello there.")
    assert (reply.message, len(reply.api_id)) == ("speak started", 36)
    ((action, request),) = api.in_call.asked
    assert action == "speak"
    assert isinstance(request, SpeakRequest)
    (passage,) = request.speech.passages
    assert (passage.text, passage.style.language, passage.style.gender) == ("Hello there.", "en-US", Gender.WOMAN)
    assert (request.legs, request.is_looped, request.mixes) == ("aleg", False, True)


def test_speak_with_every_parameter(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    client.calls.start_speaking(
        call, "Guten Tag", voice="MAN", language="de-DE", legs="bleg", loop=True, mix=False, type="x"
    )
    ((_, request),) = api.in_call.asked
    assert isinstance(request, SpeakRequest)
    style = request.speech.passages[0].style
    assert (style.language, style.gender) == ("de-DE", Gender.MAN)
    assert (request.legs, request.is_looped, request.mixes) == ("bleg", True, False)


def test_ssml_is_read_with_a_polly_voice_and_spoken_literally_with_others(
    api: ApiServer, client: plivo.RestClient, call: str
) -> None:
    text = "<speak>One <break time='2s'/>two</speak>"
    client.calls.speak(call, text, voice="Polly.Joanna")
    client.calls.speak(call, "5 < 6 & 7", voice="Polly.Joanna")
    client.calls.speak(call, text, voice="WOMAN")
    spoken = [request for _, request in api.in_call.asked if isinstance(request, SpeakRequest)]
    assert [[passage.text for passage in request.speech.passages] for request in spoken] == [
        ["One", "two"],
        ["5 < 6 & 7"],
        [text],
    ]


def test_stop_speaking(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    client.calls.speak_stop(call)
    client.calls.stop_speaking(call)
    assert api.in_call.asked == [("stop speech", None)] * 2


def test_send_digits(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    reply = client.calls.send_digits(call, "1w2W3#", leg="bleg")
    assert (reply.message, len(reply.api_id)) == ("digits sent", 36)
    client.calls.send_digits(call, "*0")
    assert api.in_call.asked == [("digits", DigitsRequest("1w2W3#", "bleg")), ("digits", DigitsRequest("*0", "aleg"))]


def test_what_other_sdks_send(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    client.request("POST", ("Call", call, "DTMF"), {"digits": 12, "legs": "both"}, is_voice_request=True)
    client.request("POST", ("Call", call, "Speak"), {"text": "Hi", "length": "MAN"}, is_voice_request=True)
    client.request("POST", ("Call", call, "Play"), {"urls": [ONE, TWO]}, is_voice_request=True)
    digits, speak, play = (request for _, request in api.in_call.asked)
    assert digits == DigitsRequest("12", "both")
    assert isinstance(speak, SpeakRequest)
    assert speak.speech.passages[0].style.gender is Gender.MAN
    assert isinstance(play, PlayRequest)
    assert play.urls == (ONE, TWO)


Asking = Callable[[plivo.RestClient, str], Any]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda client, call: client.calls.play(call, ""), "urls parameter is missing"),
        (lambda client, call: client.calls.play(call, "ftp://h.example/x"), "valid url"),
        (lambda client, call: client.calls.play(call, f"{ONE},nonsense://x"), "valid url"),
        (lambda client, call: client.calls.play(call, ",".join([ONE] * 33)), "at most 32"),
        (lambda client, call: client.calls.play(call, ONE, length=0), "length parameter"),
        (lambda client, call: client.calls.play(call, ONE, legs="cleg"), "legs parameter"),
        (lambda client, call: client.calls.play(call, ONE, mix="maybe"), "mix parameter"),
        (lambda client, call: client.calls.speak(call, " \n "), "text parameter is missing"),
        (lambda client, call: client.calls.speak(call, "x" * 16_385), "at most 16384"),
        (lambda client, call: client.calls.speak(call, "<p>open", voice="Polly.Amy"), "not well-formed"),
        (lambda client, call: client.calls.speak(call, "<p></p>", voice="Polly.Amy"), "nothing to say"),
        (lambda client, call: client.calls.send_digits(call, ""), "digits parameter is missing"),
        (lambda client, call: client.calls.send_digits(call, "1x"), "expected 0-9"),
        (lambda client, call: client.calls.send_digits(call, "1" * 129), "at most 128"),
        (lambda client, call: client.calls.send_digits(call, "1", leg="x"), "leg parameter"),
    ],
)
def test_what_is_wrong_is_named(api: ApiServer, client: plivo.RestClient, call: str, ask: Asking, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ask(client, call)
    assert not api.in_call.asked


def test_the_longest_text_and_the_most_urls_are_accepted(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    client.calls.speak(call, "word " * 3_276 + "word")
    client.calls.play(call, ",".join([ONE] * 32))
    client.calls.send_digits(call, "1" * 128)
    assert len(api.in_call.asked) == 3


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.calls.play("nobody", ONE),
        lambda client: client.calls.play_stop("nobody"),
        lambda client: client.calls.speak("nobody", "Hello"),
        lambda client: client.calls.speak_stop("nobody"),
        lambda client: client.calls.send_digits("nobody", "1"),
    ],
)
def test_a_call_that_is_not_there(client: plivo.RestClient, ask: Callable[[plivo.RestClient], Any]) -> None:
    with pytest.raises(ResourceNotFoundError):
        ask(client)


def test_too_many_requests_are_answered_with_429(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    api.in_call.failure = LimitReached("16 play requests of this call wait, at most 16")
    with pytest.raises(plivo.exceptions.PlivoRestError, match="429"):
        client.calls.play(call, ONE)


def test_the_page_of_these_actions_shows_what_works(api: ApiServer, client: plivo.RestClient, call: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api" / "call_actions.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(example, {"client": client, "call_uuid": call})
    assert [action for action, _ in api.in_call.asked] == ["play", "stop plays", "speak", "stop speech", "digits"]
