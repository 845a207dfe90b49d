"""Record: messages and sessions, how they end, and what the action is told."""

from __future__ import annotations

import pytest
from plivo import plivoxml
from tests.support.document_run import Run

from ringback.callflow.commands import (
    DocumentKind,
    EndCall,
    ReplaceDocument,
    SendCallback,
    StartRecording,
    StopRecording,
)
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.record import Record
from ringback.callflow.elements.registry import bind
from ringback.callflow.events import DigitPressed, Interruption, RecordingBegan, RecordingOver, RecordingRefused
from ringback.calls.hangup import HangupSource
from ringback.ids import RecordingId, SessionId
from ringback.media.control.events import RecordingFinished
from ringback.media.control.values import RecordingChannels, RecordingEnd
from ringback.recordings.spec import CallbackStyle, FileFormat, RecordingSpec

ACTION = "https://a/done"
END_OF_XML = EndCall(4010, HangupSource.PLATFORM)
ID = RecordingId("r1")
BEGAN = RecordingBegan(ID, "http://b/r1.mp3")


def recording(**attributes: str) -> Run:
    text = " ".join(f'{name}="{value}"' for name, value in {"action": ACTION, **attributes}.items())
    return Run(f"<Record {text}/>")


def bound(body: str) -> Record:
    element = bind(parse_document(f"<Response>{body}</Response>".encode())).steps[0].element
    assert isinstance(element, Record)
    return element


def over(recording_id: str = ID, digit: str = "") -> RecordingOver:
    return RecordingOver(
        RecordingFinished(
            session_id=SessionId("s"),
            recording_id=RecordingId(recording_id),
            reason=RecordingEnd.DIGIT if digit else RecordingEnd.SILENCE,
            duration_ms=2_010,
            start_wall_ms=1_000_000,
            end_wall_ms=1_002_010,
            digit=digit,
        )
    )


TOLD = {
    "RecordUrl": "http://b/r1.mp3",
    "RecordFile": "http://b/r1.mp3",
    "RecordingID": "r1",
    "RecordingDuration": "3",
    "RecordingDurationMs": "2010",
    "RecordingStartMs": "1000000",
    "RecordingEndMs": "1002010",
    "Digits": "",
}
UNKNOWN = {**TOLD, **dict.fromkeys([name for name in TOLD if name.endswith(("Duration", "Ms"))], "-1")}


def test_defaults_are_those_of_the_specification() -> None:
    made = bound("<Record/>")
    assert made.spec == RecordingSpec(
        file_format=FileFormat.MP3,
        channels=RecordingChannels.STEREO,
        max_length_s=60,
        silence_s=15,
        finish_digits="#",
        starts_with_beep=True,
        style=CallbackStyle.XML,
    )
    assert (made.action, made.method, made.redirect, made.is_background) == ("", "POST", True, False)


def test_every_attribute_of_the_official_builder_is_known() -> None:
    response = plivoxml.ResponseElement()
    response.add(
        plivoxml.RecordElement(
            action=ACTION, method="GET", file_format="wav", redirect=False, timeout=3, max_length=9, finish_on_key="12",
            play_beep=False, record_session=False, start_on_dial_answer=False, transcription_type="auto",
            transcription_url="https://a/t", transcription_method="GET", callback_url="https://a/ready",
            callback_method="GET",
        )
    )  # fmt: skip
    program = bind(parse_document(response.to_string().encode()))
    assert not program.notes
    element = program.steps[0].element
    assert isinstance(element, Record)
    assert element.spec == RecordingSpec(
        file_format=FileFormat.WAV,
        channels=RecordingChannels.STEREO,
        max_length_s=9,
        silence_s=3,
        finish_digits="12",
        callback_url="https://a/ready",
        callback_method="GET",
        hangup_url=ACTION,
        hangup_method="GET",
        wants_transcription=True,
        transcription_url="https://a/t",
        transcription_method="GET",
    )
    assert (element.method, element.redirect) == ("GET", False)


@pytest.mark.parametrize("attribute", ["recordSession", "startOnDialAnswer"])
def test_background_recording_knows_no_silence_keys_beep_and_hang_up(attribute: str) -> None:
    spec = bound(f'<Record action="{ACTION}" {attribute}="true" finishOnKey="*" playBeep="true" timeout="2"/>').spec
    assert (spec.silence_s, spec.finish_digits, spec.starts_with_beep, spec.hangup_url) == (0, "", False, "")
    assert spec.starts_on_dial_answer == (attribute == "startOnDialAnswer")


@pytest.mark.parametrize(
    "attributes",
    [
        'fileFormat="ogg"', 'recordChannelType="both"', 'maxLength="0"', 'timeout="soon"', 'finishOnKey="x"',
        'playBeep="maybe"', 'recordSession="1"',
    ],
)  # fmt: skip
def test_illegal_values_make_the_document_invalid(attributes: str) -> None:
    with pytest.raises(InvalidDocument):
        bound(f"<Record {attributes}/>")


def test_message_blocks_until_it_is_over_and_then_asks_the_action() -> None:
    run = recording()
    (start,) = run.out()
    assert isinstance(start, StartRecording)
    assert start.spec.hangup_url == ACTION
    assert run.give(BEGAN, DigitPressed("#"), over("another")) == []
    assert run.give(over(digit="#")) == [ReplaceDocument(DocumentKind.ACTION, ACTION, "POST", {**TOLD, "Digits": "#"})]


def test_message_without_redirect_tells_the_action_and_goes_on() -> None:
    run = recording(redirect="false", method="GET")
    run.out()
    assert run.give(BEGAN, over()) == [SendCallback("action", ACTION, "GET", TOLD), END_OF_XML]


def test_message_without_action_goes_on() -> None:
    run = recording(action="")
    run.out()
    assert run.give(BEGAN, over()) == [END_OF_XML]


def test_session_tells_the_action_at_once() -> None:
    run = recording(recordSession="true")
    run.out()
    assert run.give(BEGAN) == [ReplaceDocument(DocumentKind.ACTION, ACTION, "POST", UNKNOWN)]
    run = recording(recordSession="true", action="")
    run.out()
    assert run.give(BEGAN) == [END_OF_XML]


def test_refused_recording_is_noted_and_the_document_goes_on() -> None:
    run = recording()
    run.out()
    run.interpreter.handle_input(run.now, RecordingRefused("the disk is full"))
    commands = run.all()
    assert commands[-1] == END_OF_XML
    assert any("not recorded: the disk is full" in str(command) for command in commands)


def test_what_differs_from_the_wish_is_noted() -> None:
    run = recording(recordSession="true", redirect="false")
    run.out()
    run.interpreter.handle_input(run.now, RecordingBegan(ID, "http://b/r1.wav", "it is a wav"))
    assert "it is a wav" in run.notes()


def test_transfer_stops_a_message_that_has_begun() -> None:
    run = recording()
    run.out()
    assert run.interrupt(Interruption.REPLACED) == []
    run = recording()
    run.out()
    run.give(BEGAN)
    assert run.interrupt(Interruption.REPLACED) == [StopRecording(ID)]
    run = recording()
    run.out()
    run.give(BEGAN)
    assert run.interrupt(Interruption.CALL_ENDED) == []


def test_unknown_callback_method_is_post() -> None:
    program = bind(parse_document(b'<Response><Record callbackMethod="PUT"/></Response>'))
    assert [note.text for note in program.notes] == ["callbackMethod 'PUT' is unknown; POST is used"]
