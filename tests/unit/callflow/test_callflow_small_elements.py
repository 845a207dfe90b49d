"""DTMF, PreAnswer and Message."""

from __future__ import annotations

import pytest
from tests.support.document_run import Run

from ringback.callflow.commands import (
    Answer,
    DocumentKind,
    EndCall,
    Play,
    ReplaceDocument,
    SendDigits,
    StartEarlyMedia,
    StopPlay,
)
from ringback.callflow.document import InvalidDocument
from ringback.callflow.events import DigitPressed, DigitsRefused, DigitsSent, Interruption, PlayFinished
from ringback.calls.hangup import HangupSource
from ringback.media.control.values import PlayEnd

DONE = PlayFinished(PlayEnd.COMPLETED)
END_OF_XML = EndCall(4010, HangupSource.PLATFORM)
SOUND = "<Play>https://a/x.wav</Play>"


def test_asynchronous_digits_let_the_document_go_on() -> None:
    assert Run(f"<DTMF> 12 ww 3# </DTMF>{SOUND}").out() == [SendDigits("12ww3#"), Play("https://a/x.wav", 1)]


def test_keys_leave_before_a_document_ends() -> None:
    run = Run("<DTMF>12</DTMF><DTMF>34</DTMF>")
    assert run.out() == [SendDigits("12"), SendDigits("34")]
    assert run.give(DigitsSent("34"), DigitPressed("1"), DigitsSent("9")) == []
    assert run.give(DigitsSent("12")) == [END_OF_XML]
    run = Run("<DTMF>12</DTMF>")
    run.out()
    assert run.give(DigitsRefused("no audio")) == [END_OF_XML]
    run = Run("<DTMF>12</DTMF><Hangup/>")
    assert run.out() == [SendDigits("12"), EndCall(4000, HangupSource.XML)]
    run = Run("<DTMF>12</DTMF>")
    assert run.interrupt(Interruption.REPLACED)[1:] == []


@pytest.mark.parametrize("event", [DigitsSent("12"), DigitsRefused("no")])
def test_synchronous_digits_are_waited_for(event: DigitsSent | DigitsRefused) -> None:
    run = Run('<DTMF async="false">12</DTMF>')
    assert run.out() == [SendDigits("12")]
    assert run.give(DigitsSent("9"), DigitPressed("1")) == []
    assert run.give(event) == [END_OF_XML]


@pytest.mark.parametrize("text", ["", "12x", "w1é"])
def test_digits_that_are_none_make_the_document_invalid(text: str) -> None:
    with pytest.raises(InvalidDocument):
        Run(f"<DTMF>{text}</DTMF>")


def test_digits_are_bounded() -> None:
    assert Run(f"<DTMF>{'1' * 100}</DTMF>").out()[0] == SendDigits("1" * 100)
    run = Run(f"<DTMF>{'1' * 101}</DTMF>")
    assert run.interpreter.poll_output() is not None, "a note says that the rest is left out"
    assert run.out()[0] == SendDigits("1" * 100)


def test_early_media_comes_before_the_answer() -> None:
    run = Run(f"<PreAnswer>{SOUND}<Wait length='1'/></PreAnswer>{SOUND}", is_answered=False)
    assert run.out() == [StartEarlyMedia(), Play("https://a/x.wav", 1)]
    assert run.give(DONE) == []
    assert run.after(1) == [Answer(), Play("https://a/x.wav", 1)]


def test_redirect_inside_early_media_replaces_the_document_unanswered() -> None:
    run = Run("<PreAnswer><Redirect>https://a/next</Redirect></PreAnswer>", is_answered=False)
    assert run.out() == [StartEarlyMedia(), ReplaceDocument(DocumentKind.REDIRECT, "https://a/next", "POST")]


def test_empty_early_media_does_nothing() -> None:
    assert Run("<PreAnswer/>", is_answered=False).out() == [END_OF_XML]


def test_transfer_during_early_media_stops_it() -> None:
    run = Run(f"<PreAnswer>{SOUND}</PreAnswer>", is_answered=False)
    run.out()
    assert run.interrupt(Interruption.REPLACED) == [StopPlay()]


def test_message_is_noted_and_not_sent() -> None:
    assert (
        "message to 2 numbers not sent: this platform sends no SMS"
        in Run('<Message src="1" dst="2&lt;3" type="sms">hi</Message>').notes()
    )
