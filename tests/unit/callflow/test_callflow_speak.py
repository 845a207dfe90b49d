"""`<Speak>`: what it asks for, what is noted, and that nothing in its text is a fault."""

from __future__ import annotations

import pytest
from tests.support.document_run import Run

from ringback.callflow.commands import EndCall, Play, SetTimer, Speak, StopPlay
from ringback.callflow.document import InvalidDocument
from ringback.callflow.events import DigitPressed, Interruption, PlayFinished, PlayRefused
from ringback.media.control.values import PlayEnd
from ringback.speech.passage import Gender


def spoken(run: Run) -> Speak:
    (command,) = run.out()
    assert isinstance(command, Speak)
    return command


def test_a_text_is_spoken_once_by_a_woman_in_american_english() -> None:
    run = Run("<Speak>\n   Hello there.\n</Speak>")
    command = spoken(run)
    assert command.loops == 1
    (passage,) = command.speech.passages
    assert passage.text == "Hello there."
    assert (passage.style.language, passage.style.gender) == ("en-US", Gender.WOMAN)
    (end,) = run.give(DigitPressed("1"), PlayFinished(PlayEnd.COMPLETED))
    assert isinstance(end, EndCall)


def test_voice_language_and_loop_are_obeyed() -> None:
    command = spoken(Run('<Speak voice="MAN" language="de-DE" loop="0">Guten Tag</Speak>'))
    style = command.speech.passages[0].style
    assert (style.language, style.gender, command.loops) == ("de-DE", Gender.MAN, 0)


def test_ssml_inside_is_read() -> None:
    run = Run(
        '<Speak voice="Polly.Matthew">One <break time="2s"/><prosody rate="slow">two</prosody>'
        '<audio src="https://example.com/a.mp3">three</audio></Speak>'
    )
    command = next(command for command in run.all() if isinstance(command, Speak))
    assert [passage.text for passage in command.speech.passages] == ["One", "two", "three"]
    assert command.speech.passages[0].pause_ms == 2000
    assert command.speech.passages[1].style.rate == 0.75


def test_what_is_not_supported_is_noted_and_its_text_is_said() -> None:
    assert Run('<Speak voice="Polly.Nobody"><audio>x</audio></Speak>').notes() == [
        "voice 'Polly.Nobody' is unknown, expected WOMAN, MAN or Polly.<Name>; WOMAN is used",
        "<audio> is not supported; its text is said",
    ]


@pytest.mark.parametrize("text", ["", "   \n ", "<break strength='none'/>", "<p></p>"])
def test_nothing_to_say_goes_on_with_a_note(text: str) -> None:
    assert Run(f"<Speak>{text}</Speak><Wait length='1'/>").notes()[-1] == "there is nothing to say"
    (command,) = Run(f"<Speak>{text}</Speak><Wait length='1'/>").out()[-1:] or [SetTimer]
    assert not isinstance(command, Speak)


@pytest.mark.parametrize("event", [PlayRefused("no"), PlayFinished(PlayEnd.FAILED, "no voice is installed")])
def test_what_cannot_be_said_is_noted_and_the_document_goes_on(event: PlayRefused | PlayFinished) -> None:
    run = Run("<Speak>Hello</Speak><Play>https://example.com/next.wav</Play>")
    run.all()
    run.interpreter.handle_input(run.now, event)
    found = run.all()
    assert any(getattr(command, "text", "").startswith("not spoken: no") for command in found)
    assert isinstance(found[-1], Play)


def test_a_part_that_could_not_be_said_is_noted() -> None:
    run = Run("<Speak>Hello</Speak>")
    run.all()
    run.interpreter.handle_input(run.now, PlayFinished(PlayEnd.COMPLETED, "synthesis failed"))
    assert run.notes() == ["in part not spoken: synthesis failed"]


def test_a_transfer_silences_it() -> None:
    run = Run("<Speak loop='0'>Hello</Speak>")
    run.out()
    assert run.interrupt(Interruption.REPLACED) == [StopPlay()]


def test_a_digit_stops_it_inside_get_digits() -> None:
    run = Run('<GetDigits action="https://example.com/a" numDigits="2"><Speak>Press two keys</Speak></GetDigits>')
    assert isinstance(run.out()[0], Speak)
    assert StopPlay() in run.give(DigitPressed("1"))


def test_a_loop_that_is_no_number_makes_the_document_invalid() -> None:
    with pytest.raises(InvalidDocument, match="loop='often'"):
        Run('<Speak loop="often">Hello</Speak>')


def test_ten_kilobytes_are_spoken_in_bounded_pieces() -> None:
    text = "This is a sentence that goes on for a while, and then ends. " * 170
    speech = spoken(Run(f"<Speak>{text}</Speak>")).speech
    assert max(len(passage.text) for passage in speech.passages) <= 221
    assert " ".join(passage.text for passage in speech.passages).split() == text.split()
