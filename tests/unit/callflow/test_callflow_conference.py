"""Conference: what the XML says, what becomes of it, and who is told when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from plivo import plivoxml
from tests.support.document_run import Run
from tests.support.flow_call import FakeCall, FakeDocuments, FakeMedia, FakeStreams, ListTimeline

from ringback.callflow.commands import DocumentKind, EndCall, EnterConference, LeaveConference, ReplaceDocument
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.conference import Conference
from ringback.callflow.elements.registry import bind
from ringback.callflow.events import ConferenceLeft, ConferenceRefused, DigitPressed, Interruption
from ringback.callflow.flows import CallFlows
from ringback.callflow.port import FirstRequest, FlowServices
from ringback.calls.hangup import HangupSource
from ringback.conferences.spec import ConferenceSpec
from ringback.errors import LimitReached
from ringback.ids import CallUuid

LEFT = {"ConferenceName": "Room", "ConferenceUUID": "u", "ConferenceMemberID": "1"}
END_OF_XML = EndCall(4010, HangupSource.PLATFORM)


def spec_of(body: str) -> ConferenceSpec:
    element = bind(parse_document(f"<Response>{body}</Response>".encode())).steps[0].element
    assert isinstance(element, Conference)
    assert element.is_answering
    return element.spec


def test_defaults_are_those_of_the_specification() -> None:
    assert spec_of("<Conference>\n  My Room \n</Conference>") == ConferenceSpec(
        name="My Room",
        is_muted=False,
        starts_on_enter=True,
        ends_on_exit=False,
        stays_alone=True,
        members_max=20,
        time_limit_s=86_400,
        leaves_on_star=False,
        is_recorded=False,
        record_format="mp3",
        action_method="POST",
        callback_method="POST",
        is_redirecting=True,
        reports_floor=False,
        relays_digits=True,
    )


def test_builder_of_the_official_sdk_is_read_in_full() -> None:
    element = plivoxml.ConferenceElement(
        "Room", muted=True, enter_sound="beep:1", exit_sound="https://a/bye", start_conference_on_enter=False,
        end_conference_on_exit=True, stay_alone=False, wait_sound="https://a/music", max_members=5, record=True,
        record_file_format="wav", time_limit=60, hangup_on_star=True, action="https://a/action", method="GET",
        callback_url="https://a/callback", callback_method="GET", digits_match="1, 22,*9", floor_event=True,
        redirect=False, relay_dtmf=False, send_digits="1", record_when_alone="false", transcription_type="auto",
        transcription_url="https://a/text", transcription_method="GET",
    )  # fmt: skip
    run = Run(element.to_string(False))
    notes = run.notes()
    assert not [note for note in notes if "not supported" in note]
    assert not [note for note in notes if "unknown" in note]
    assert spec_of(element.to_string(False)) == ConferenceSpec(
        name="Room",
        is_muted=True,
        enter_sound="beep:1",
        exit_sound="https://a/bye",
        starts_on_enter=False,
        ends_on_exit=True,
        stays_alone=False,
        wait_sound="https://a/music",
        members_max=5,
        time_limit_s=60,
        leaves_on_star=True,
        is_recorded=True,
        record_format="wav",
        wants_transcription=True,
        transcription_url="https://a/text",
        transcription_method="GET",
        records_alone=False,
        send_digits="1",
        action_url="https://a/action",
        action_method="GET",
        is_redirecting=False,
        callback_url="https://a/callback",
        callback_method="GET",
        digits_match=("1", "22", "*9"),
        reports_floor=True,
        relays_digits=False,
    )


@pytest.mark.parametrize(
    "body",
    [
        "<Conference/>",
        f"<Conference>{'n' * 129}</Conference>",
        '<Conference muted="maybe">R</Conference>',
        '<Conference maxMembers="0">R</Conference>',
        '<Conference timeLimit="0">R</Conference>',
        '<Conference recordFileFormat="ogg">R</Conference>',
        '<Conference method="PUT">R</Conference>',
        '<Conference callbackMethod="PUT">R</Conference>',
    ],
)
def test_illegal_values_are_refused(body: str) -> None:
    with pytest.raises(InvalidDocument):
        spec_of(body)


def test_bearable_values_are_noted() -> None:
    body = '<Conference maxMembers="21" enterSound="gong" digitsMatch="1,x,,2">R</Conference>'
    notes = Run(body).notes()
    assert len(notes) == 3
    spec = spec_of(body)
    assert (spec.members_max, spec.enter_sound, spec.digits_match) == (20, "", ("1", "2"))


def test_the_document_goes_on_when_it_is_over() -> None:
    run = Run("<Conference>Room</Conference><Hangup/>")
    assert run.out() == [EnterConference(ConferenceSpec(name="Room"))]
    assert run.give(DigitPressed("*")) == []
    assert run.give(ConferenceLeft(LEFT)) == [EndCall(4000, HangupSource.XML)]


def test_the_action_url_takes_over() -> None:
    run = Run('<Conference action="https://a/next" method="GET">Room</Conference><Hangup/>')
    run.out()
    assert run.give(ConferenceLeft(LEFT)) == [ReplaceDocument(DocumentKind.ACTION, "https://a/next", "GET", LEFT)]


def test_without_redirect_the_document_goes_on() -> None:
    run = Run('<Conference action="https://a/next" redirect="false">Room</Conference>')
    run.out()
    assert run.give(ConferenceLeft(LEFT)) == [END_OF_XML]


def test_a_full_room_is_noted_and_the_document_goes_on() -> None:
    run = Run('<Conference action="https://a/next">Room</Conference>')
    run.out()
    assert run.give(ConferenceRefused("it is full")) == [END_OF_XML]


@pytest.mark.parametrize(
    ("reason", "commands"), [(Interruption.REPLACED, [LeaveConference()]), (Interruption.CALL_ENDED, [])]
)
def test_a_transfer_leaves_and_a_hangup_need_not(reason: Interruption, commands: list[object]) -> None:
    run = Run("<Conference>Room</Conference>")
    run.out()
    assert run.interrupt(reason) == commands


@dataclass
class FakeConferences:
    """Lets everyone in, and reports leaving at once, as the real one does."""

    call: FakeCall
    error: LimitReached | None = None
    inside: dict[CallUuid, Callable[[Mapping[str, str]], None]] = field(default_factory=dict)

    def enter(self, call_uuid: CallUuid, spec: ConferenceSpec, on_left: Callable[[Mapping[str, str]], None]) -> str:
        if self.error is not None:
            raise self.error
        self.inside[call_uuid] = on_left
        self.call.note(f"enter {spec.name}")
        return "1"

    def leave(self, call_uuid: CallUuid) -> None:
        on_left = self.inside.pop(call_uuid, None)
        if on_left is not None:
            self.call.note("leave")
            on_left(LEFT)


async def test_the_driver_enters_and_a_transfer_to_another_room_stays_there() -> None:
    call, documents, timeline = FakeCall(is_answered=True), FakeDocuments(), ListTimeline()
    conferences = FakeConferences(call)
    documents.answers = {
        "https://a/answer": "<Response><Conference>One</Conference></Response>",
        "https://a/transfer": "<Response><Conference>Two</Conference><Hangup/></Response>",
    }
    flows = CallFlows(FlowServices(documents, FakeMedia(), FakeStreams(call), timeline, conferences=conferences))
    flows.start(call, FirstRequest("https://a/answer"))
    await call.until("enter One")
    call.reporter().transfer_requested("https://a/transfer", "POST")
    await call.until("enter Two")
    # What the first stay left behind is not taken for the end of the second.
    call.reporter().digit_pressed("1")
    assert "end 4000 XML" not in " ".join(call.log)
    conferences.inside[call.call_uuid](LEFT)
    await call.ended.wait()
    await flows.join()
    assert call.log[:3] == ["enter One", "leave", "enter Two"]


async def test_the_driver_says_why_a_room_was_not_entered() -> None:
    call, documents, timeline = FakeCall(is_answered=True), FakeDocuments(), ListTimeline()
    documents.answers = {"https://a/answer": "<Response><Conference>One</Conference></Response>"}
    conferences = FakeConferences(call, LimitReached("conference has 20 members, at most 20"))
    flows = CallFlows(FlowServices(documents, FakeMedia(), FakeStreams(call), timeline, conferences=conferences))
    flows.start(call, FirstRequest("https://a/answer"))
    await call.ended.wait()
    await flows.join()
    assert any("conference has 20 members" in note for note in timeline.notes())
