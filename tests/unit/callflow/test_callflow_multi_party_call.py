"""MultiPartyCall: what the XML says, what becomes of it, and how the call goes on."""

from __future__ import annotations

import pytest
from plivo import plivoxml
from tests.support.document_run import Run

from ringback.callflow.commands import DocumentKind, EndCall, EnterMultiparty, LeaveMultiparty, ReplaceDocument
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.multi_party_call import MultiPartyCall
from ringback.callflow.elements.registry import Program, bind
from ringback.callflow.events import DigitPressed, Interruption, MultipartyLeft, MultipartyRefused
from ringback.calls.hangup import Code, HangupSource
from ringback.multiparty.departure import Departure
from ringback.multiparty.spec import EVENT_GROUPS, EventGroup, MultipartySpec, Role, Sound

KICKED = Departure({"MPCUUID": "u"}, Code.KICKED, HangupSource.API)
BODY = '<MultiPartyCall role="agent">Room</MultiPartyCall>'


def program_of(body: str) -> Program:
    return bind(parse_document(f"<Response>{body}</Response>".encode()))


def spec_of(body: str) -> MultipartySpec:
    element = program_of(body).steps[0].element
    assert isinstance(element, MultiPartyCall)
    assert element.is_answering
    return element.spec


def test_builder_of_the_official_sdk_gives_the_defaults_of_the_specification() -> None:
    program = program_of(plivoxml.MultiPartyCallElement("Room", role="Agent").to_string(False))
    assert not program.notes
    assert spec_of(plivoxml.MultiPartyCallElement("Room", role="Agent").to_string(False)) == MultipartySpec(
        "Room",
        Role.AGENT,
        duration_max_s=14_400,
        participants_max=10,
        enter_sound=Sound("beep:1"),
        exit_sound=Sound("beep:2"),
        event_groups=EVENT_GROUPS,
    )
    assert spec_of(BODY) == MultipartySpec("Room", Role.AGENT)


@pytest.mark.parametrize(
    "body",
    [
        '<MultiPartyCall role="agent"/>',
        "<MultiPartyCall>Room</MultiPartyCall>",
        '<MultiPartyCall role="ai-agent">Room</MultiPartyCall>',
        f'<MultiPartyCall role="agent">{"n" * 129}</MultiPartyCall>',
        '<MultiPartyCall role="agent" maxDuration="299">Room</MultiPartyCall>',
        '<MultiPartyCall role="agent" maxParticipants="1">Room</MultiPartyCall>',
        '<MultiPartyCall role="agent" mute="maybe">Room</MultiPartyCall>',
        '<MultiPartyCall role="agent" waitMusicMethod="PUT">Room</MultiPartyCall>',
    ],
)
def test_illegal_values_are_refused(body: str) -> None:
    with pytest.raises(InvalidDocument):
        program_of(body)


def test_switches_that_no_builder_has() -> None:
    body = '<MultiPartyCall role="customer" waitForAgent="true" recordCoachVoice="false">Room</MultiPartyCall>'
    assert not program_of(body).notes
    assert spec_of(body) == MultipartySpec("Room", Role.CUSTOMER, waits_for_agent=True, records_coach=False)


def test_bearable_and_unsupported_values_are_noted() -> None:
    program = program_of(
        '<MultiPartyCall role="agent" maxParticipants="11" enterSound="gong" waitMusicUrl="beep:1" '
        'waitTime="5" statusCallbackUrl="https://a/s" statusCallbackEvents="mpc-state-changes,nonsense,'
        'participant-speak-events">Room</MultiPartyCall>'
    )
    element = program.steps[0].element
    assert isinstance(element, MultiPartyCall)
    assert element.spec.event_groups == (EventGroup.STATE, EventGroup.SPEAK)
    assert element.spec.enter_sound.url == element.spec.wait_music.url == ""
    notes = " ".join(note.text for note in program.notes)
    for part in ("maxParticipants", "enterSound", "waitMusicUrl", "waitTime", "nonsense"):
        assert part in notes, part


def test_a_call_that_is_out_ends_with_the_code_of_its_departure() -> None:
    run = Run(BODY)
    assert run.out() == [EnterMultiparty(MultipartySpec("Room", Role.AGENT))]
    assert run.give(DigitPressed("1")) == []
    assert run.give(MultipartyLeft(KICKED)) == [EndCall(4030, HangupSource.API)]


def test_the_exit_url_is_asked_where_there_is_one() -> None:
    run = Run('<MultiPartyCall role="agent" onExitActionUrl="https://a/x" onExitActionMethod="GET">R</MultiPartyCall>')
    run.out()
    assert run.give(MultipartyLeft(KICKED)) == [
        ReplaceDocument(DocumentKind.ACTION, "https://a/x", "GET", KICKED.params)
    ]


def test_the_document_goes_on_where_the_call_was_not_let_in() -> None:
    run = Run(BODY)
    run.out()
    assert run.give(MultipartyRefused("it is full")) == [EndCall(4010, HangupSource.PLATFORM)]


@pytest.mark.parametrize(
    ("reason", "commands"), [(Interruption.REPLACED, [LeaveMultiparty()]), (Interruption.CALL_ENDED, [])]
)
def test_interruptions(reason: Interruption, commands: list[object]) -> None:
    run = Run(BODY)
    run.out()
    assert run.interrupt(reason) == commands
