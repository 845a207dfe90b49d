"""GetInput: keys, speech, whichever comes first, and every time-out."""

from __future__ import annotations

import pytest
from plivo import plivoxml
from tests.support.document_run import Run

from ringback.callflow.commands import (
    DocumentKind,
    EndCall,
    Listen,
    Play,
    ReplaceDocument,
    SendCallback,
    ShowDigits,
    SpeechQuery,
    StopListening,
    StopPlay,
)
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.get_input import GetInput
from ringback.callflow.elements.registry import bind, spoken_languages
from ringback.callflow.events import (
    DigitPressed,
    Event,
    Interruption,
    ListenRefused,
    PlayFinished,
    SilenceReached,
    SpeechGuessed,
    SpeechRecognised,
    SpeechStarted,
)
from ringback.calls.hangup import HangupSource
from ringback.media.control.values import PlayEnd

ACTION = "https://a/input"
PROMPT = "<Play>https://a/prompt.wav</Play>"
PLAYED = Play("https://a/prompt.wav", 1)
DONE = PlayFinished(PlayEnd.COMPLETED)
END_OF_XML = EndCall(4010, HangupSource.PLATFORM)
LISTEN = Listen(silence_ms=1_000, speech=SpeechQuery("en-US", ()))


def collecting(inside: str = "", **attributes: str) -> Run:
    text = " ".join(f'{name}="{value}"' for name, value in {"action": ACTION, **attributes}.items())
    return Run(f"<GetInput {text}>{inside}</GetInput>")


def keys(text: str) -> list[Event]:
    return [DigitPressed(digit) for digit in text]


def sent(is_private: bool = False, **params: str) -> ReplaceDocument:
    found = {"InputType": "", "Digits": "", "Speech": "", "SpeechConfidenceScore": "", "BilledAmount": "0.00000"}
    return ReplaceDocument(DocumentKind.ACTION, ACTION, "POST", found | params, is_private)


def typed(digits: str) -> ReplaceDocument:
    return sent(InputType="dtmf", Digits=digits)


def spoken(text: str, confidence: str) -> ReplaceDocument:
    return sent(InputType="speech", Speech=text, SpeechConfidenceScore=confidence)


def bound(body: str) -> GetInput:
    element = bind(parse_document(f"<Response>{body}</Response>".encode())).steps[0].element
    assert isinstance(element, GetInput)
    return element


def test_defaults_are_those_of_the_specification() -> None:
    made = bound(f'<GetInput action="{ACTION}" inputType="dtmf speech"/>')
    assert (made.execution_s, made.digit_end_ms, made.speech_end_ms, made.num_digits) == (15, 2_000, 1_000, 32)
    assert (made.finish_on, made.language, made.retries, made.method) == ("#", "en-US", 1, "POST")
    assert made.takes_digits
    assert made.takes_speech
    assert made.redirect
    assert made.log


def test_builder_of_the_official_sdk_is_read_in_full() -> None:
    element = plivoxml.GetInputElement(
        action=ACTION, method="GET", input_type="speech", execution_timeout=20, digit_end_timeout=5,
        speech_end_timeout=3, finish_on_key="*", num_digits=4, speech_model="phone_call", hints="sales, tech support",
        language="en-GB", interim_speech_results_callback="https://a/interim",
        interim_speech_results_callback_method="GET", log=False, redirect=False, profanity_filter=True,
    )  # fmt: skip
    element.add(plivoxml.PlayElement("https://a/prompt.wav"))
    (step,) = bind(parse_document(plivoxml.ResponseElement().add(element).to_string().encode())).steps
    made = step.element
    assert isinstance(made, GetInput)
    assert (made.takes_digits, made.takes_speech, made.execution_s, made.digit_end_ms) == (False, True, 20, 5_000)
    assert (made.speech_end_ms, made.finish_on, made.num_digits) == (3_000, "*", 4)
    assert (made.hints, made.language) == (("sales", "tech support"), "en-GB")
    assert (made.interim_url, made.interim_method) == ("https://a/interim", "GET")
    assert (made.log, made.redirect, made.method, len(made.nested)) == (False, False, "GET", 1)


@pytest.mark.parametrize(
    "attributes",
    ["", 'action="x" inputType="voice"', 'action="x" executionTimeout="0"', 'action="x" digitEndTimeout="soon"',
     'action="x" numDigits="0"', 'action="x" log="maybe"'],
)  # fmt: skip
def test_illegal_value_makes_the_document_invalid(attributes: str) -> None:
    with pytest.raises(InvalidDocument):
        bound(f"<GetInput {attributes}/>")


@pytest.mark.parametrize(
    ("hints", "kept", "notes"),
    [
        (",".join(["a"] * 500), 500, 0),
        (",".join(["a"] * 501), 500, 1),
        ("x" * 100, 1, 0),
        ("x" * 101, 0, 1),
        (",".join(["x" * 99] * 100), 100, 0),
        (",".join(["x" * 99] * 101), 100, 1),
    ],
)
def test_hints_are_bounded(hints: str, kept: int, notes: int) -> None:
    program = bind(
        parse_document(f'<Response><GetInput action="x" inputType="dtmf" hints="{hints}"/></Response>'.encode())
    )
    element = program.steps[0].element
    assert isinstance(element, GetInput)
    assert len(element.hints) == kept
    assert len(program.notes) == notes


def test_documents_say_which_speech_they_need() -> None:
    body = '<GetInput action="x" inputType="dtmf"/>\n<GetInput action="x" inputType="speech" language="fr-FR"/>'
    assert spoken_languages(bind(parse_document(f"<Response>{body}</Response>".encode()))) == [("fr-FR", 2)]


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_keys_stop_the_prompt_and_are_sent_by_count_key_or_pause() -> None:
    run = collecting(PROMPT, inputType="dtmf", numDigits="3")
    assert run.out() == [PLAYED]
    assert run.give(*keys("1")) == [StopPlay()]
    assert run.give(*keys("23")) == [typed("123")]
    assert collecting(inputType="dtmf").give(*keys("42#")) == [typed("42")]
    run = collecting(inputType="dtmf", digitEndTimeout="4")
    run.give(*keys("4"))
    assert run.after(3.9) == []
    assert run.after(0.1) == [typed("4")]


def test_time_counts_from_the_end_of_the_prompts() -> None:
    run = collecting(PROMPT, inputType="dtmf", executionTimeout="7")
    assert run.after(60) == [PLAYED]
    assert run.give(DONE) == []
    assert run.after(6.9) == []
    assert run.after(0.1) == [END_OF_XML]


def test_caller_who_does_not_begin_has_less_time() -> None:
    run = collecting(inputType="dtmf", executionTimeout="20", startInputTimeout="3", retries="2")
    assert run.after(3) == []
    assert run.after(3) == [END_OF_XML]
    run = collecting(inputType="dtmf", executionTimeout="20", startInputTimeout="3", digitEndTimeout="10")
    run.after(2)
    run.give(*keys("1"))
    assert run.after(9) == []
    assert run.after(1) == [typed("1")]


def test_keys_are_no_input_where_only_speech_is() -> None:
    run = collecting(inputType="speech")
    assert run.give(*keys("123#")) == [LISTEN]


# ── speech ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_speech_stops_the_prompt_and_is_sent() -> None:
    run = collecting(PROMPT, inputType="speech", hints="sales,support", speechEndTimeout="2", language="en-GB")
    assert run.out() == [
        Listen(silence_ms=2_000, speech=SpeechQuery("en-GB", ("sales", "support"))),
        PLAYED,
    ]
    assert run.give(SpeechStarted()) == [StopPlay()]
    assert run.give(SilenceReached()) == []
    assert run.give(SpeechRecognised("sales", 0.9)) == [spoken("sales", "0.9000")]


def test_speech_that_is_none_of_the_expected_is_listened_past() -> None:
    run = collecting(inputType="speech", executionTimeout="10")
    assert run.give(SpeechStarted(), SilenceReached(), SpeechRecognised("")) == [LISTEN, LISTEN]
    assert run.after(9.9) == []
    assert run.after(0.1) == [StopListening(), END_OF_XML]


def test_speaker_who_does_not_stop_is_heard_up_to_the_execution_time() -> None:
    run = collecting(inputType="speech", executionTimeout="5")
    assert run.give(SpeechStarted()) == [LISTEN]
    assert run.after(5) == [StopListening(is_heard=True)]
    assert run.give(SpeechRecognised("a long story", 0.5)) == [spoken("a long story", "0.5000")]
    run = collecting(inputType="speech", executionTimeout="5")
    run.give(SpeechStarted())
    run.after(5)
    assert run.give(SpeechRecognised("", 0.0, "the recogniser failed")) == [END_OF_XML]


def test_interim_results_are_counted_and_sent() -> None:
    run = collecting(inputType="speech", interimSpeechResultsCallback="https://a/interim")
    run.out()
    run.give(SpeechStarted())
    (first,) = run.give(SpeechGuessed("I would", 0.5))
    (second,) = run.give(SpeechGuessed("I would like", 0.6))
    assert isinstance(first, SendCallback)
    assert isinstance(second, SendCallback)
    assert (first.kind, first.url, first.method) == ("interim-speech", "https://a/interim", "POST")
    assert first.params == {
        "StableSpeech": "", "UnstableSpeech": "I would", "Stability": "0.5000", "SequenceNumber": "1",
    }  # fmt: skip
    assert second.params["SequenceNumber"] == "2"
    (third,) = run.give(SpeechGuessed("I would like", 0.6))
    (fourth,) = run.give(SpeechGuessed("It would look", 0.6))
    guesses = [each.params for each in (second, third, fourth) if isinstance(each, SendCallback)]
    assert [(each["StableSpeech"], each["UnstableSpeech"]) for each in guesses] == [
        ("I would", "like"),
        ("I would like", ""),
        ("", "It would look"),
    ]


def test_profanity_filter_masks_what_is_passed_on() -> None:
    run = collecting(inputType="speech", profanityFilter="true", interimSpeechResultsCallback="https://a/interim")
    run.out()
    (guess,) = run.give(SpeechGuessed("what the fuck", 0.5))
    assert isinstance(guess, SendCallback)
    assert guess.params["UnstableSpeech"] == "what the f***"
    assert run.give(SpeechRecognised("what the fuck", 0.9)) == [spoken("what the f***", "0.9000")]
    assert not any("fuck" in note for note in run.notes())
    run = collecting(inputType="speech")
    assert run.give(SpeechRecognised("damn", 0.9)) == [LISTEN, spoken("damn", "0.9000")]


def test_first_of_key_and_speech_wins() -> None:
    run = collecting(inputType="dtmf speech", numDigits="1")
    assert run.give(*keys("5")) == [LISTEN, StopListening(), typed("5")]
    run = collecting(inputType="dtmf speech", numDigits="2")
    assert run.give(SpeechStarted(), *keys("5")) == [LISTEN, StopListening()]
    assert run.give(SpeechRecognised("late", 0.9), *keys("6")) == [typed("56")]
    run = collecting(inputType="speech dtmf")
    assert run.give(SpeechRecognised("sales", 0.9)) == [LISTEN, spoken("sales", "0.9000")]


def test_without_ears_keys_still_count() -> None:
    run = collecting(inputType="dtmf speech", numDigits="1")
    assert run.give(ListenRefused("full"), *keys("5")) == [LISTEN, typed("5")]


# ── around ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_attempts_repeat_the_prompts() -> None:
    run = collecting(PROMPT, inputType="speech", retries="2", executionTimeout="5")
    assert run.give(DONE) == [LISTEN, PLAYED]
    assert run.after(5) == [StopListening(), LISTEN, PLAYED]
    run.give(DONE)
    assert run.after(5) == [StopListening(), END_OF_XML]


def test_without_redirect_the_document_goes_on_and_the_action_is_told() -> None:
    run = collecting(inputType="dtmf", redirect="false", numDigits="1", log="false")
    callback = SendCallback("action", ACTION, "POST", typed("1").params, is_private=True)
    assert run.give(*keys("1")) == [ShowDigits(False), ShowDigits(True), callback, END_OF_XML]


def test_hidden_speech_is_not_noted() -> None:
    run = collecting(inputType="speech", log="false")
    run.give(SpeechRecognised("my secret", 0.9))
    assert not any("secret" in note for note in run.notes())


def test_transfer_stops_prompt_and_listening() -> None:
    run = collecting(PROMPT, inputType="dtmf speech", log="false")
    run.out()
    assert run.interrupt(Interruption.REPLACED) == [StopPlay(), StopListening(), ShowDigits(True)]


def test_hangup_ends_it() -> None:
    run = collecting(inputType="dtmf speech")
    run.out()
    assert run.interrupt(Interruption.CALL_ENDED) == []
