"""What official SDKs of other languages write: `none` for what is empty (Ruby, PHP), classes' names for SSML (.NET)."""

from __future__ import annotations

from typing import TypeVar

import pytest

from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.base import Element
from ringback.callflow.elements.conference import Conference
from ringback.callflow.elements.dial import Dial
from ringback.callflow.elements.get_digits import GetDigits
from ringback.callflow.elements.get_input import GetInput
from ringback.callflow.elements.multi_party_call import MultiPartyCall
from ringback.callflow.elements.play import Play
from ringback.callflow.elements.record import Record
from ringback.callflow.elements.registry import bind
from ringback.callflow.elements.speak import Speak
from ringback.callflow.elements.wait import Wait

E = TypeVar("E", bound=Element)


def read(kind: type[E], body: str) -> E:
    """Return the only element of a document, which has no fault and nothing odd."""
    program = bind(parse_document(f"<Response>{body}</Response>".encode()))
    assert program.notes == ()
    (bound,) = program.steps
    assert isinstance(bound.element, kind)
    return bound.element


def test_none_is_what_php_writes_for_false() -> None:
    keys = read(
        GetDigits, '<GetDigits action="https://a/" redirect="none" log="none" playBeep="none" finishOnKey="none"/>'
    )
    assert (keys.redirect, keys.log, keys.play_beep, keys.finish_on) == (False, False, False, "")
    record = read(Record, '<Record redirect="none" playBeep="none" action="https://a/"/>')
    assert (record.redirect, record.spec.starts_with_beep) == (False, False)
    room = read(Conference, '<Conference startConferenceOnEnter="none" stayAlone="none">r</Conference>').spec
    assert (room.starts_on_enter, room.stays_alone) == (False, False)


def test_none_is_what_ruby_and_php_write_for_nothing() -> None:
    dial = read(
        Dial,
        '<Dial action="none" callerId="none" confirmSound="none" dialMusic="none" timeout="none" callbackUrl="none">'
        '<Number sendDigits="none">155512</Number></Dial>',
    ).spec
    assert (dial.action_url, dial.caller_id, dial.confirm_sound_url, dial.music, dial.callback_url) == ("",) * 5
    assert (dial.timeout_s, dial.destinations[0].send_digits) == (120, "")
    asked = read(GetInput, '<GetInput action="https://a/" inputType="dtmf" hints="none" numDigits="none"/>')
    assert (asked.hints, asked.num_digits) == ((), 32)
    room = read(
        Conference, '<Conference enterSound="none" waitSound="none" recordFileFormat="none">r</Conference>'
    ).spec
    assert (room.enter_sound, room.wait_sound, room.record_format) == ("", "", "mp3")
    party = read(
        MultiPartyCall, '<MultiPartyCall role="Agent" enterSound="none" waitMusicUrl="none">m</MultiPartyCall>'
    ).spec
    assert (party.enter_sound.url, party.exit_sound.url, party.wait_music.url) == ("", "beep:2", "")


@pytest.mark.parametrize("zero", ["0", "none", "true"])
def test_an_endless_loop_is_none_or_true_in_php(zero: str) -> None:
    assert read(Play, f'<Play loop="{zero}">https://a/x.mp3</Play>').loops == 0
    assert read(Speak, f'<Speak loop="{zero}">hello</Speak>').loops == 0


def test_a_loop_that_is_no_number_is_illegal_all_the_same() -> None:
    with pytest.raises(InvalidDocument):
        read(Play, '<Play loop="false">https://a/x.mp3</Play>')


def test_a_party_may_have_a_caller_id_of_its_own_in_node() -> None:
    spec = read(
        Dial,
        '<Dial callerId="15550001111"><Number callerId="+1 555 000 2222" callerName="Two">155512</Number>'
        '<User callerId="desk">sip:a@b.c</User><Number>155513</Number></Dial>',
    ).spec
    shown = [(each.caller_id, each.caller_name) for each in spec.destinations]
    assert shown == [("15550002222", "Two"), ("desk", ""), ("", "")]


@pytest.mark.parametrize("name", ["minSilence", "min_silence"])
def test_the_least_silence_has_two_names(name: str) -> None:
    assert read(Wait, f'<Wait length="9" silence="true" {name}="500"/>').min_silence_ms == 500


def test_ssml_may_be_named_after_the_classes_of_dotnet() -> None:
    pauses = [
        [(passage.text, passage.pause_ms) for passage in read(Speak, f"<Speak>{body}</Speak>").speech.passages]
        for body in (
            'One <Break time="2s"/> <Emphasis>two</Emphasis>',
            'One <break time="2s"/> <emphasis>two</emphasis>',
        )
    ]
    assert pauses[0] == pauses[1]
