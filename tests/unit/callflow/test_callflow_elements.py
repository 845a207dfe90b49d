"""Each element: events in, commands out; attributes, defaults, and what is illegal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from plivo import plivoxml
from tests.support.document_run import Run

from ringback.callflow.commands import (
    Answer,
    DocumentKind,
    EndCall,
    Listen,
    Note,
    Play,
    ReplaceDocument,
    ScheduleHangup,
    SipReject,
    StartStream,
    StopListening,
    StopPlay,
    StopStream,
)
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements import registry
from ringback.callflow.elements.hangup import Hangup
from ringback.callflow.elements.play import Play as PlayElement
from ringback.callflow.elements.redirect import Redirect
from ringback.callflow.elements.registry import bind
from ringback.callflow.elements.stream import Stream
from ringback.callflow.elements.wait import Wait
from ringback.callflow.events import (
    BeepHeard,
    DigitPressed,
    Event,
    Interruption,
    ListenRefused,
    PlayFinished,
    PlayRefused,
    SilenceReached,
    SpeechStarted,
    StreamFinished,
    StreamRefused,
    StreamStarted,
)
from ringback.calls.hangup import HangupSource
from ringback.ids import StreamId
from ringback.machine import SECOND
from ringback.media.control.values import BeepRule, PlayEnd, StreamEnd, Track
from ringback.streams.spec import StreamSpec

S1 = StreamId("s1")
S2 = StreamId("s2")
END_OF_XML = EndCall(4010, HangupSource.PLATFORM)


def element(body: str) -> Any:
    (step,) = bind(parse_document(f"<Response>{body}</Response>".encode())).steps
    return step.element


def notes_of(body: str) -> list[str]:
    return [note.text for note in bind(parse_document(f"<Response>{body}</Response>".encode())).notes]


def refused(body: str) -> InvalidDocument:
    with pytest.raises(InvalidDocument) as caught:
        element(body)
    assert caught.value.line == 1
    return caught.value


# Stream

URL = "wss://agent.example.com/ws?a=1&amp;b=2"
SPEC = StreamSpec(url="wss://agent.example.com/ws?a=1&b=2")


def test_stream_defaults_are_those_of_the_specification() -> None:
    stream = element(f"<Stream>\n   {URL}\n  </Stream>")
    assert isinstance(stream, Stream)
    assert stream.spec == SPEC
    assert stream.spec.content_type == "audio/x-l16;rate=8000"
    assert stream.spec.stream_timeout_s == 86_400
    assert stream.spec.noise_cancellation_level == 85


def test_stream_reads_every_attribute() -> None:
    body = (
        f'<Stream bidirectional="true" audioTrack="inbound" streamTimeout="60" statusCallbackUrl=" https://a/s?x=1 "'
        f' statusCallbackMethod="get" contentType="audio/x-mulaw;rate=8000" extraHeaders="a=1,b=2;c=3"'
        f' keepCallAlive="TRUE" noiseCancellation="true" noiseCancellationLevel="60">{URL}</Stream>'
    )
    assert element(body).spec == StreamSpec(
        url=SPEC.url,
        bidirectional=True,
        audio_track=Track.INBOUND,
        stream_timeout_s=60,
        content_type="audio/x-mulaw;rate=8000",
        status_callback_url="https://a/s?x=1",
        status_callback_method="GET",
        extra_headers="a=1,b=2;c=3",
        keep_call_alive=True,
        noise_cancellation=True,
        noise_cancellation_level=60,
    )
    assert notes_of(body) == []


@pytest.mark.parametrize("track", ["outbound", "both"])
def test_two_way_stream_with_outbound_audio_makes_the_document_invalid(track: str) -> None:
    error = refused(f'<Stream bidirectional="true" audioTrack="{track}">{URL}</Stream>')
    assert "audio_track" in error.message
    assert element(f'<Stream audioTrack="{track}">{URL}</Stream>').spec.audio_track is Track(track)


@pytest.mark.parametrize(
    "body",
    [
        "<Stream/>",
        "<Stream>  </Stream>",
        "<Stream>https://agent.example.com/ws</Stream>",
        f"<Stream>wss://a/{'x' * 2042}</Stream>",
        f'<Stream audioTrack="left">{URL}</Stream>',
        f'<Stream bidirectional="yes">{URL}</Stream>',
        f'<Stream keepCallAlive="1">{URL}</Stream>',
    ],
)
def test_stream_that_cannot_be_meant_makes_the_document_invalid(body: str) -> None:
    refused(body)


def test_longest_stream_url_passes() -> None:
    assert len(element(f"<Stream>wss://a/{'x' * 2040}</Stream>").spec.url) == 2048


@pytest.mark.parametrize(
    ("attribute", "changed", "note"),
    [
        ('streamTimeout="0"', {}, "streamTimeout"),
        ('streamTimeout="-5"', {}, "streamTimeout"),
        ('streamTimeout="soon"', {}, "streamTimeout"),
        ('streamTimeout="86401"', {}, "streamTimeout"),
        ('statusCallbackMethod="PUT"', {}, "statusCallbackMethod"),
        ('contentType="audio/x-l16;rate=24000"', {"content_type": "audio/x-l16;rate=24000"}, "content_type"),
        ('statusCallbackUrl="example.com/status"', {}, "statusCallbackUrl"),
        ('noiseCancellation="yes"', {}, "noiseCancellation"),
        ('noiseCancellationLevel="59"', {}, "noiseCancellationLevel"),
        ('noiseCancellationLevel="high"', {}, "noiseCancellationLevel"),
        ('sampleRate="8000"', {}, "unknown attribute sampleRate"),
        ('audiotrack="both"', {}, "unknown attribute audiotrack is ignored, did you mean audioTrack?"),
    ],
)
def test_bearable_faults_of_a_stream_are_noted(attribute: str, changed: dict[str, Any], note: str) -> None:
    body = f"<Stream {attribute}>{URL}</Stream>"
    assert element(body).spec == replace(SPEC, **changed)
    (found,) = notes_of(body)
    assert note in found


def test_extra_headers_are_cut_at_512_bytes_between_characters() -> None:
    fits = f'<Stream extraHeaders="{"a" * 512}">{URL}</Stream>'
    assert element(fits).spec.extra_headers == "a" * 512
    assert notes_of(fits) == []
    over = f'<Stream extraHeaders="{"a" * 511}é">{URL}</Stream>'
    assert element(over).spec.extra_headers == "a" * 511
    assert "513 bytes" in notes_of(over)[0]


def test_stream_without_keep_call_alive_runs_in_parallel() -> None:
    run = Run(f'<Stream>{URL}</Stream><Wait length="5"/>')
    assert run.out() == [StartStream(SPEC)]
    assert run.give(StreamStarted(S1)) == []
    assert run.give(StreamFinished(S1, StreamEnd.AGENT_CLOSED)) == []
    assert run.after(5) == [END_OF_XML]


def test_stream_without_keep_call_alive_and_nothing_after_ends_the_call_at_once() -> None:
    run = Run(f'<Stream bidirectional="true">{URL}</Stream>')
    assert run.give(StreamStarted(S1)) == [StartStream(replace(SPEC, bidirectional=True)), END_OF_XML]


def test_stream_with_keep_call_alive_blocks_until_it_is_over() -> None:
    run = Run(f'<Stream keepCallAlive="true">{URL}</Stream><Redirect>https://a/next</Redirect>')
    run.out()
    assert run.give(StreamStarted(S1), DigitPressed("5"), StreamFinished(S2, StreamEnd.TIMEOUT)) == []
    assert run.give(StreamFinished(S1, StreamEnd.AGENT_CLOSED)) == [
        ReplaceDocument(DocumentKind.REDIRECT, "https://a/next", "POST")
    ]


def test_refused_stream_lets_the_document_go_on() -> None:
    run = Run(f'<Stream keepCallAlive="true">{URL}</Stream>')
    run.out()
    run.interpreter.handle_input(run.now, StreamRefused("a bound is reached"))
    commands = run.all()
    assert [command.text for command in commands if isinstance(command, Note)] == [
        "stream not started: a bound is reached"
    ]
    assert commands[-1] == END_OF_XML


def test_transfer_stops_a_blocking_stream_and_hangup_does_not() -> None:
    for reason, expected in [
        (Interruption.REPLACED, [StopStream(S1, StreamEnd.TRANSFERRED)]),
        (Interruption.CALL_ENDED, []),
    ]:
        run = Run(f'<Stream keepCallAlive="true">{URL}</Stream>')
        run.out()
        run.give(StreamStarted(S1))
        assert run.interrupt(reason) == expected


def test_transfer_before_the_stream_exists_stops_nothing() -> None:
    run = Run(f'<Stream keepCallAlive="true">{URL}</Stream>')
    run.out()
    assert run.interrupt(Interruption.REPLACED) == []


# Play


def test_play_plays_to_the_end() -> None:
    run = Run('<Play loop="3"> https://a/x.wav </Play>')
    assert run.out() == [Play("https://a/x.wav", 3)]
    assert run.give(DigitPressed("1")) == []
    assert run.give(PlayFinished(PlayEnd.COMPLETED)) == [END_OF_XML]


def test_play_defaults_to_once_and_zero_is_endless() -> None:
    assert element("<Play>https://a/x.mp3</Play>").loops == 1
    assert element('<Play loop="0">https://a/x.mp3</Play>').loops == 0


@pytest.mark.parametrize(
    "event", [PlayRefused("answered with status 404"), PlayFinished(PlayEnd.FAILED, "answered with status 404")]
)
def test_file_that_cannot_be_had_is_skipped_with_a_note(event: Event) -> None:
    run = Run("<Play>https://a/x.wav</Play>")
    run.out()
    run.interpreter.handle_input(run.now, event)
    commands = run.all()
    assert commands[0] == Note("file skipped: answered with status 404", "Play", 1)
    assert commands[-1] == END_OF_XML


def test_transfer_stops_the_playback() -> None:
    run = Run("<Play>https://a/x.wav</Play>")
    run.out()
    assert run.interrupt(Interruption.REPLACED) == [StopPlay()]
    run = Run("<Play>https://a/x.wav</Play>")
    run.out()
    assert run.interrupt(Interruption.CALL_ENDED) == []


@pytest.mark.parametrize("body", ["<Play/>", '<Play loop="-1">x</Play>', '<Play loop="two">x</Play>'])
def test_illegal_play_makes_the_document_invalid(body: str) -> None:
    refused(body)


# Wait


def test_wait_lasts_its_length_whatever_happens() -> None:
    run = Run('<Wait length="2"/>')
    assert run.interpreter.poll_timeout() == 2 * SECOND
    assert run.give(DigitPressed("1"), StreamFinished(S1, StreamEnd.TIMEOUT)) == []
    assert run.after(1.999) == []
    assert run.after(0.001) == [END_OF_XML]
    assert run.interpreter.poll_timeout() is None


def test_wait_defaults_to_one_second() -> None:
    assert element("<Wait/>") == Wait(1, False, 2_000, None, 1)


@pytest.mark.parametrize("length", ["0", "-1", "1.5", "x"])
def test_illegal_length_makes_the_document_invalid(length: str) -> None:
    refused(f'<Wait length="{length}"/>')


def test_longest_wait_is_a_day() -> None:
    assert element('<Wait length="86400"/>').length_s == 86_400
    assert element('<Wait length="86401"/>').length_s == 86_400
    assert "86400 is used" in notes_of('<Wait length="86401"/>')[0]


def test_silence_ends_a_wait_that_listens_for_it() -> None:
    run = Run('<Wait length="9" silence="true" minSilence="500"/>')
    assert run.out() == [Listen(silence_ms=500)]
    assert run.give(DigitPressed("1"), SpeechStarted(), BeepHeard()) == []
    assert run.give(SilenceReached()) == [StopListening(), END_OF_XML]
    assert run.interpreter.poll_timeout() is None


def test_beep_ends_a_wait_that_listens_for_it() -> None:
    run = Run('<Wait length="9" beep="duration=250, inter_silence=60,intra_silence=500,threshold=300"/>')
    assert run.out() == [Listen(beep=BeepRule(250, 60, 300))]
    assert run.give(SilenceReached()) == []
    assert run.give(BeepHeard()) == [StopListening(), END_OF_XML]


def test_wait_that_hears_nothing_lasts_its_length() -> None:
    run = Run('<Wait length="9" beep="true"/>')
    assert run.out() == [Listen(beep=BeepRule(300, 50, 256))]
    assert run.after(9) == [StopListening(), END_OF_XML]
    run = Run('<Wait length="9" beep="true"/>')
    assert run.give(ListenRefused("full")) == [Listen(beep=BeepRule())]
    assert run.after(9) == [StopListening(), END_OF_XML]


def test_transfer_ends_the_listening_of_a_wait() -> None:
    run = Run('<Wait length="9" silence="true"/>')
    run.out()
    assert run.interrupt(Interruption.REPLACED) == [StopListening()]
    assert Run("<Wait/>").interrupt(Interruption.REPLACED) == []


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        ('length="9" silence="true" beep="true"', "beep has no effect"),
        ('length="2" silence="true"', "minSilence is not less than length"),
        ('beep="intra_silence=500"', "intra_silence has no effect"),
        ('beep="duration=4001"', "4000 is used"),
    ],
)
def test_what_a_wait_cannot_do_is_noted(attributes: str, note: str) -> None:
    assert note in " ".join(notes_of(f"<Wait {attributes}/>"))


@pytest.mark.parametrize("beep", ["yes", "duration", "duration=-1", "pitch=400", "duration=300;threshold=2"])
def test_illegal_beep_makes_the_document_invalid(beep: str) -> None:
    refused(f'<Wait beep="{beep}"/>')


def test_false_silence_and_beep_are_as_if_absent() -> None:
    assert notes_of('<Wait silence="false" beep="false"/>') == []
    assert Run('<Wait silence="false" beep="False"/>').out() == []


# Redirect


@pytest.mark.parametrize(
    ("body", "url", "method"),
    [
        ("<Redirect> https://a/b </Redirect>", "https://a/b", "POST"),
        ('<Redirect method="get">https://a/b</Redirect>', "https://a/b", "GET"),
        ('<Redirect method="PUT">https://a/b</Redirect>', "https://a/b", "PUT"),
        ("<Redirect/>", "", "POST"),
    ],
)
def test_redirect_replaces_the_document(body: str, url: str, method: str) -> None:
    run = Run(f"{body}<Play>https://a/x.wav</Play>")
    assert run.out() == [ReplaceDocument(DocumentKind.REDIRECT, url, method)]
    assert run.interpreter.is_done


# Hangup


@pytest.mark.parametrize(
    ("body", "is_answered", "expected"),
    [
        ("<Hangup/>", True, EndCall(4000, HangupSource.XML)),
        ('<Hangup reason="busy"/>', True, EndCall(4000, HangupSource.XML)),
        ("<Hangup/>", False, EndCall(3020, HangupSource.XML, SipReject.REJECTED)),
        ('<Hangup reason="rejected"/>', False, EndCall(3020, HangupSource.XML, SipReject.REJECTED)),
        ('<Hangup reason="busy"/>', False, EndCall(3010, HangupSource.XML, SipReject.BUSY)),
        ('<Hangup reason="tired"/>', False, EndCall(3020, HangupSource.XML, SipReject.REJECTED)),
    ],
)
def test_hangup_ends_or_refuses_the_call(body: str, is_answered: bool, expected: EndCall) -> None:
    run = Run(f"{body}<Wait/>", is_answered=is_answered)
    assert run.out() == [expected]


def test_unknown_reason_is_noted() -> None:
    assert "tired" in notes_of('<Hangup reason="tired"/>')[0]


def test_hangup_after_an_answering_element_is_a_normal_one() -> None:
    run = Run('<Wait/><Hangup reason="busy"/>', is_answered=False)
    assert run.out() == [Answer()]
    assert run.after(1) == [EndCall(4000, HangupSource.XML)]


def test_scheduled_hangup_lets_the_document_go_on() -> None:
    run = Run('<Hangup schedule="60"/><Wait length="5"/>')
    assert run.out() == [ScheduleHangup(60_000)]
    assert run.after(5) == [END_OF_XML]


@pytest.mark.parametrize(
    ("body", "is_noted"),
    [
        ('<Play loop="0">https://a/x.wav</Play><Hangup/>', True),
        ('<PreAnswer><Speak loop="0">Please hold.</Speak></PreAnswer><Wait/>', True),
        ('<Wait/><Play loop="0">https://a/x.wav</Play>', False),
        ('<GetDigits action="https://a/"><Play loop="0">https://a/x.wav</Play></GetDigits><Wait/>', False),
    ],
)
def test_what_an_endless_sound_hides_is_noted(body: str, is_noted: bool) -> None:
    assert any("loop=0" in note for note in Run(body).notes()) is is_noted


def test_hangup_in_no_time_hangs_up() -> None:
    assert Run('<Hangup schedule="0"/>').out() == [EndCall(4000, HangupSource.XML)]


@pytest.mark.parametrize("schedule", ["-1", "later"])
def test_illegal_schedule_makes_the_document_invalid(schedule: str) -> None:
    refused(f'<Hangup schedule="{schedule}"/>')


# The official builder


def test_what_the_official_builder_emits_is_read() -> None:
    response = plivoxml.ResponseElement()
    response.add(
        plivoxml.StreamElement(
            "wss://agent.example.com/ws?a=1&b=2",
            bidirectional=True,
            audioTrack="inbound",
            streamTimeout=120,
            statusCallbackUrl="https://a/s",
            statusCallbackMethod="GET",
            contentType="audio/x-l16;rate=16000",
            extraHeaders="a=1,b=2",
            keepCallAlive=True,
        )
    )
    response.add(plivoxml.PlayElement("https://a/x.mp3", loop=2))
    response.add(plivoxml.WaitElement(length=7, silence=True, min_silence=300))
    response.add(plivoxml.RedirectElement("https://a/next", method="GET"))
    response.add(plivoxml.HangupElement(reason="busy", schedule=30))
    program = bind(parse_document(response.to_string().encode()))
    stream, play, wait, redirect, hangup = [step.element for step in program.steps]
    assert isinstance(stream, Stream)
    assert stream.spec == StreamSpec(
        url="wss://agent.example.com/ws?a=1&b=2",
        bidirectional=True,
        stream_timeout_s=120,
        status_callback_url="https://a/s",
        status_callback_method="GET",
        content_type="audio/x-l16;rate=16000",
        extra_headers="a=1,b=2",
        keep_call_alive=True,
    )
    assert play == PlayElement("https://a/x.mp3", 2, play.line)  # type: ignore[union-attr]
    assert isinstance(wait, Wait)
    assert (wait.length_s, wait.silence, wait.min_silence_ms) == (7, True, 300)
    assert redirect == Redirect("https://a/next", "GET")
    assert hangup == Hangup(SipReject.BUSY, 30)
    assert not program.notes


def test_every_element_of_the_language_is_known_by_name() -> None:
    nestable = set(plivoxml.ResponseElement._nestable)
    assert nestable <= registry.SUPPORTED


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ("<Steam>x</Steam>", "unknown element <Steam> is skipped, did you mean <Stream>?"),
        ("<hangup/>", "unknown element <hangup> is skipped, did you mean <Hangup>?"),
        ("<Say>x</Say>", "unknown element <Say> is skipped"),
        ("<Wait><Play>x</Play></Wait>", "<Play> inside is ignored"),
        ("hello", "text directly inside <Response> is ignored"),
    ],
)
def test_what_is_ignored_is_noted(body: str, note: str) -> None:
    assert note in " ".join(notes_of(body))


def test_notes_are_bounded() -> None:
    notes = notes_of("<X/>" * 65)
    assert len(notes) == 65
    assert notes[-1] == "1 further notes left out"
    assert len(notes_of("<X/>" * 64)) == 64
