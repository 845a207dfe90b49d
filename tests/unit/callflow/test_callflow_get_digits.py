"""GetDigits: prompts, barge-in, attempts, time-outs, and what is done with the digits."""

from __future__ import annotations

import pytest
from plivo import plivoxml
from tests.support.document_run import Run

from ringback.callflow.commands import (
    Command,
    DocumentKind,
    EndCall,
    Play,
    PlaySound,
    ReplaceDocument,
    SendCallback,
    ShowDigits,
    Sound,
    StopPlay,
)
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.get_digits import GetDigits
from ringback.callflow.elements.play import Play as PlayElement
from ringback.callflow.elements.registry import bind
from ringback.callflow.elements.wait import Wait
from ringback.callflow.events import DigitPressed, Event, Interruption, PlayFinished, PlayRefused
from ringback.calls.hangup import HangupSource
from ringback.media.control.values import PlayEnd

ACTION = "https://a/digits"
PROMPT = "<Play>https://a/prompt.wav</Play>"
DONE = PlayFinished(PlayEnd.COMPLETED)
END_OF_XML = EndCall(4010, HangupSource.PLATFORM)


def collecting(inside: str = "", **attributes: str) -> Run:
    text = " ".join(f'{name}="{value}"' for name, value in {"action": ACTION, **attributes}.items())
    return Run(f"<GetDigits {text}>{inside}</GetDigits>")


def keys(text: str) -> list[Event]:
    return [DigitPressed(digit) for digit in text]


def sent(digits: str) -> ReplaceDocument:
    return ReplaceDocument(DocumentKind.ACTION, ACTION, "POST", {"Digits": digits})


def bound(body: str) -> GetDigits:
    element = bind(parse_document(f"<Response>{body}</Response>".encode())).steps[0].element
    assert isinstance(element, GetDigits)
    return element


def test_defaults_are_those_of_the_specification() -> None:
    made = bound("<GetDigits/>")
    assert (made.timeout_s, made.digit_timeout_s, made.num_digits, made.retries) == (5, 2, 99, 1)
    assert (made.finish_on, made.valid_digits, made.method) == ("#", "1234567890*#", "POST")
    assert made.redirect
    assert made.log
    assert not made.play_beep


def test_builder_of_the_official_sdk_is_read_in_full() -> None:
    element = plivoxml.GetDigitsElement(
        action=ACTION, method="GET", num_digits=4, timeout=9, digit_timeout=3, finish_on_key="*", retries=2,
        redirect=False, play_beep=True, valid_digits="1234", invalid_digits_sound="https://a/no.wav", log=False,
    )  # fmt: skip
    element.add(plivoxml.PlayElement("https://a/prompt.wav")).add(plivoxml.WaitElement(length=2))
    response = plivoxml.ResponseElement().add(element)
    (step,) = bind(parse_document(response.to_string().encode())).steps
    made = step.element
    assert isinstance(made, GetDigits)
    assert (made.action, made.method, made.num_digits, made.timeout_s, made.digit_timeout_s) == (ACTION, "GET", 4, 9, 3)
    assert (made.finish_on, made.retries, made.redirect, made.play_beep) == ("*", 2, False, True)
    assert (made.valid_digits, made.invalid_digits_sound, made.log) == ("1234", "https://a/no.wav", False)
    assert [type(inner.element) for inner in made.nested] == [PlayElement, Wait]


@pytest.mark.parametrize(("text", "keys_"), [("", ""), ("none", ""), ("NONE", ""), ("*", "*"), ("*,#", "*#")])
def test_finishing_keys(text: str, keys_: str) -> None:
    assert bound(f'<GetDigits finishOnKey="{text}"/>').finish_on == keys_


@pytest.mark.parametrize(
    "attribute",
    ['timeout="0"', 'digitTimeout="x"', 'numDigits="0"', 'retries="0"', 'redirect="maybe"', 'finishOnKey="x"',
     'validDigits="12a"'],
)  # fmt: skip
def test_illegal_value_makes_the_document_invalid(attribute: str) -> None:
    with pytest.raises(InvalidDocument):
        bound(f"<GetDigits {attribute}/>")


def test_what_may_not_be_nested_is_noted() -> None:
    notes = [note.text for note in bind(parse_document(b"<Response><GetDigits><Dial/></GetDigits></Response>")).notes]
    assert "<Dial> inside is ignored" in notes


def test_prompt_then_digits_then_action() -> None:
    run = collecting(PROMPT, numDigits="3")
    assert run.out() == [Play("https://a/prompt.wav", 1)]
    assert run.give(DONE) == []
    assert run.give(*keys("12")) == []
    assert run.give(*keys("3")) == [sent("123")]


def test_first_digit_stops_the_prompt_and_counts() -> None:
    run = collecting(PROMPT + PROMPT, numDigits="2")
    run.out()
    assert run.give(*keys("7")) == [StopPlay()]
    assert run.give(PlayFinished(PlayEnd.STOPPED), *keys("8")) == [sent("78")]


def test_prompts_play_one_after_the_other_even_if_one_fails() -> None:
    run = collecting(PROMPT + '<Wait length="2"/>' + PROMPT)
    assert run.out() == [Play("https://a/prompt.wav", 1)]
    assert run.give(PlayRefused("gone")) == []
    assert run.after(2) == [Play("https://a/prompt.wav", 1)]
    assert run.give(DONE) == []
    assert run.after(5) == [END_OF_XML]


def test_digit_during_a_nested_wait_ends_it() -> None:
    run = collecting('<Wait length="60"/>' + PROMPT, numDigits="2")
    assert run.give(*keys("1")) == []
    assert run.after(2) == [sent("1")]


def test_finishing_key_ends_the_input_and_is_not_part_of_it() -> None:
    assert collecting().give(*keys("42#")) == [sent("42")]
    assert collecting(finishOnKey="*").give(*keys("4#*")) == [sent("4#")]


def test_silence_between_digits_ends_the_input() -> None:
    run = collecting(digitTimeout="3")
    assert run.give(*keys("4")) == []
    assert run.after(2.9) == []
    assert run.give(*keys("2")) == []
    assert run.after(2.9) == []
    assert run.after(0.1) == [sent("42")]


def test_time_for_the_first_digit_counts_from_the_end_of_the_prompts() -> None:
    run = collecting(PROMPT, timeout="4")
    assert run.after(60) == [Play("https://a/prompt.wav", 1)]
    assert run.give(DONE) == []
    assert run.after(3.9) == []
    assert run.after(0.1) == [END_OF_XML]


def test_without_input_the_prompts_are_repeated_as_often_as_attempts_are_allowed() -> None:
    run = collecting(PROMPT, retries="3", timeout="1")
    for _ in range(3):
        assert run.out() or True
        assert run.give(DONE) == []
        out = run.after(1)
    assert out == [END_OF_XML]


def test_second_attempt_takes_digits() -> None:
    run = collecting(PROMPT, retries="2", timeout="1", numDigits="1")
    run.give(DONE)
    assert run.after(1) == [Play("https://a/prompt.wav", 1)]
    assert run.give(DONE, *keys("5")) == [sent("5")]


def test_finishing_key_alone_is_an_attempt_without_input() -> None:
    run = collecting(retries="2")
    assert run.give(*keys("#")) == []
    assert run.give(*keys("#")) == [END_OF_XML]


def test_invalid_digit_is_answered_by_its_sound_and_another_attempt() -> None:
    run = collecting(PROMPT, validDigits="12", invalidDigitsSound="https://a/no.wav", retries="2", numDigits="1")
    assert run.give(*keys("9")) == [
        Play("https://a/prompt.wav", 1),
        StopPlay(),
        Play("https://a/no.wav", 1),
    ]
    assert run.give(DONE) == [Play("https://a/prompt.wav", 1)]
    assert run.give(*keys("2")) == [StopPlay(), sent("2")]


def test_invalid_digit_in_the_last_attempt_is_answered_by_its_sound_only() -> None:
    run = collecting(validDigits="12", invalidDigitsSound="https://a/no.wav")
    assert run.give(*keys("9")) == [Play("https://a/no.wav", 1)]
    assert run.give(*keys("1")) == []
    assert run.give(DONE) == [END_OF_XML]


def test_beep_follows_the_prompts() -> None:
    run = collecting(PROMPT, playBeep="true")
    assert run.give(DONE) == [Play("https://a/prompt.wav", 1), PlaySound(Sound.BEEP)]
    assert run.give(DONE, *keys("1#")) == [sent("1")]


def test_without_redirect_the_document_goes_on_and_the_action_is_told() -> None:
    run = collecting(redirect="false", numDigits="1", method="GET")
    assert run.give(*keys("1")) == [SendCallback("action", ACTION, "GET", {"Digits": "1"}), END_OF_XML]


def test_hidden_digits_are_hidden_until_the_element_is_over() -> None:
    run = collecting(log="false", numDigits="1")
    assert run.out() == [ShowDigits(False)]
    hidden = ReplaceDocument(DocumentKind.ACTION, ACTION, "POST", {"Digits": "1"}, is_private=True)
    assert run.give(*keys("1")) == [ShowDigits(True), hidden]


def test_transfer_stops_the_prompt_and_shows_digits_again() -> None:
    run = collecting(PROMPT, log="false")
    run.out()
    assert run.interrupt(Interruption.REPLACED) == [StopPlay(), ShowDigits(True)]


def test_hangup_while_collecting_ends_it() -> None:
    run = collecting()
    out: list[Command] = run.interrupt(Interruption.CALL_ENDED)
    assert out == []


def test_digits_without_action_change_nothing() -> None:
    run = Run('<GetDigits numDigits="1"/>')
    assert run.give(*keys("1")) == [END_OF_XML]
