"""`<Dial>`: what is read from the document, what is noted, and what is done with the outcome."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo import plivoxml
from tests.support.dials import element
from tests.support.document_run import Run

from ringback.callflow.commands import DocumentKind, EndCall, ReplaceDocument, StartDial, StopDial
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.dial import Dial
from ringback.callflow.elements.registry import bind
from ringback.callflow.events import DialFinished, DialRefused, DigitPressed, Interruption
from ringback.calls.hangup import HangupSource
from ringback.dials.spec import DESTINATIONS_MAX, Destination, DialOutcome, DialSpec, DialStatus
from ringback.ids import CallUuid

END_OF_XML = EndCall(4010, HangupSource.PLATFORM)
BUSY = DialFinished(DialOutcome(DialStatus.BUSY, True, "USER_BUSY"), CallUuid("a1"), CallUuid(""))


def read(body: str) -> tuple[DialSpec, list[str]]:
    program = bind(parse_document(f"<Response>{body}</Response>".encode()))
    element = program.steps[0].element
    assert isinstance(element, Dial)
    return element.spec, [note.text for note in program.notes]


def test_defaults() -> None:
    spec, notes = read("<Dial><Number>+1 (555) 123-4567</Number></Dial>")
    assert spec == DialSpec((Destination("15551234567"),))
    assert (spec.timeout_s, spec.time_limit_s, spec.is_redirecting, spec.is_challenging) == (120, 14_400, True, False)
    assert notes == []


def test_every_attribute_of_the_official_builder_is_read() -> None:
    document = plivoxml.ResponseElement()
    dial = plivoxml.DialElement(
        action="https://a/action",
        method="GET",
        hangup_on_star=True,
        time_limit=30,
        timeout=20,
        caller_id="+15550001111",
        caller_name="Shop",
        confirm_sound="https://a/sound",
        confirm_key="5",
        dial_music="real",
        callback_url="https://a/events",
        callback_method="GET",
        redirect=False,
        digits_match="1,22",
        digits_match_b_leg="*9",
        sip_headers="Tenant=7",
    )
    dial.add(
        plivoxml.NumberElement("15551234567", send_digits="w1#", send_on_preanswer=True, send_digits_mode="rfc2833")
    )
    dial.add(plivoxml.UserElement("sip:agent@example.com", send_digits="2", sip_headers="tenant=8,X-PH-Id=a"))
    document.add(dial)
    program = bind(parse_document(document.to_string().encode()))
    assert program.notes == ()
    element = program.steps[0].element
    assert isinstance(element, Dial)
    assert element.spec == DialSpec(
        (
            Destination("15551234567", "w1#", True, (("Tenant", "7"),)),
            Destination("sip:agent@example.com", "2", False, (("tenant", "8"), ("Id", "a"))),
        ),
        action_url="https://a/action",
        action_method="GET",
        is_redirecting=False,
        timeout_s=20,
        time_limit_s=30,
        caller_id="15550001111",
        caller_name="Shop",
        hangs_up_on_star=True,
        confirm_sound_url="https://a/sound",
        confirm_key="5",
        music="real",
        callback_url="https://a/events",
        callback_method="GET",
        digits_match=("1", "22"),
        digits_match_b_leg=("*9",),
    )


def test_credentials_of_a_user_belong_together() -> None:
    inside = '<User sipAuthUsername="u" sipAuthPassword="{}">sip:a@b</User>'
    spec, notes = read(f"<Dial>{inside.format('12345678')}</Dial>")
    assert (spec.destinations[0].username, spec.destinations[0].password, notes) == ("u", "12345678", [])
    assert "12345678" not in repr(spec)
    spec, notes = read(f"<Dial>{inside.format('1234567')}</Dial>")
    assert spec.destinations[0].username == ""
    assert "8 to 128" in notes[0]


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ("<Dial><Number>tel</Number></Dial>", "'tel' is no phone number"),
        ("<Dial><User>agent</User></Dial>", "'agent' is no sip: address"),
        ("<Dial><User></User></Dial>", "an empty text is no sip: address"),
        ("<Dial><Play>x</Play></Dial>", "<Play> inside is ignored"),
        ("<Dial>agent</Dial>", "no phone number"),
        ('<Dial><Number volume="1">155512</Number></Dial>', "unknown attribute volume"),
        ('<Dial><Number sendDigits="x">155512</Number></Dial>', "sendDigits"),
        ('<Dial><Number sendDigitsMode="inband">155512</Number></Dial>', "telephone events"),
        ('<Dial digitsMatch="1,x"/>', "digitsMatch: 'X' is ignored"),
        ('<Dial confirmKey="x"/>', "confirmKey"),
        ('<Dial sipHeaders="abc"/>', "is no key=value"),
        ('<Dial callerId="a b"/>', "callerId"),
        ('<Dial callbackMethod="PUT"/>', "callbackMethod"),
        ('<Dial callType="whatsapp"/>', "callType"),
        ('<Dial timeout="601"/>', "601 is more than 600"),
        ('<Dial nonsense="1"/>', "unknown attribute nonsense"),
    ],
)
def test_odd_things_are_noted_and_the_rest_is_dialled(body: str, note: str) -> None:
    _, notes = read(body)
    assert any(note in each for each in notes), notes


@pytest.mark.parametrize("attribute", ['timeout="x"', 'timeout="0"', 'timeLimit="-1"', 'redirect="maybe"'])
def test_illegal_values_make_the_document_invalid(attribute: str) -> None:
    with pytest.raises(InvalidDocument):
        read(f"<Dial {attribute}/>")


@pytest.mark.parametrize("count", [DESTINATIONS_MAX, DESTINATIONS_MAX + 1])
def test_so_many_parties_are_dialled_at_once(count: int) -> None:
    spec, notes = read("<Dial>" + "".join(f"<Number>1555{at:04}</Number>" for at in range(count)) + "</Dial>")
    assert len(spec.destinations) == DESTINATIONS_MAX
    assert bool(notes) == (count > DESTINATIONS_MAX)


def test_text_directly_inside_names_a_party() -> None:
    spec, notes = read("<Dial>155512</Dial>")
    assert (spec.destinations, notes) == ((Destination("155512"),), [])


def test_dial_waits_for_its_outcome_and_hands_it_to_the_action_url() -> None:
    run = Run('<Dial action="https://a/after"><Number>155512</Number></Dial>')
    assert isinstance(run.out()[-1], StartDial)
    assert run.give(DigitPressed("1")) == []
    params = {
        "DialStatus": "busy",
        "DialRingStatus": "true",
        "DialHangupCause": "USER_BUSY",
        "DialALegUUID": "a1",
        "DialBLegUUID": "",
    }
    assert run.give(BUSY) == [ReplaceDocument(DocumentKind.ACTION, "https://a/after", "POST", params)]


@pytest.mark.parametrize("attributes", ["", ' action="https://a/after" redirect="false"'])
def test_without_redirect_the_document_goes_on(attributes: str) -> None:
    run = Run(f"<Dial{attributes}><Number>155512</Number></Dial>")
    run.out()
    assert run.give(BUSY) == [END_OF_XML]


def test_dial_that_cannot_begin_and_dial_of_nobody_are_noted() -> None:
    run = Run("<Dial><Number>155512</Number></Dial>")
    run.out()
    assert run.give(DialRefused("the call is over")) == [END_OF_XML]
    assert Run("<Dial/>").out()[-1] == END_OF_XML


def test_dial_of_nobody_fails_where_an_action_is_to_be_told() -> None:
    run = Run('<Dial action="https://a/after"><Number>tel</Number></Dial>')
    assert run.out() == [StartDial(DialSpec((), action_url="https://a/after"))]
    failed = DialFinished(DialOutcome(DialStatus.FAILED, False, "INVALID_NUMBER_FORMAT"), CallUuid("a1"), CallUuid(""))
    (after,) = run.give(failed)
    assert isinstance(after, ReplaceDocument)
    assert after.params["DialStatus"] == "failed"


def test_replaced_document_ends_the_dial() -> None:
    run = Run("<Dial><Number>155512</Number></Dial>")
    run.out()
    assert run.interrupt(Interruption.REPLACED) == [StopDial()]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60)


@given(
    st.dictionaries(st.sampled_from(sorted(Dial.ATTRIBUTES)), TEXTS, max_size=6),
    st.sampled_from(["Number", "User", "Play"]),
    st.dictionaries(st.sampled_from(["sendDigits", "sipHeaders", "sipAuthUsername", "sipAuthPassword"]), TEXTS),
    TEXTS,
)
def test_any_texts_make_a_dial_or_an_invalid_document(
    attributes: dict[str, str], tag: str, inner: dict[str, str], text: str
) -> None:
    party = element(tag, escape(text), **inner)
    document = f"<Response>{element('Dial', party, **attributes)}</Response>"
    try:
        program = bind(parse_document(document.encode()))
    except InvalidDocument:
        return
    found = program.steps[0].element
    assert isinstance(found, Dial)
    assert len(found.spec.destinations) <= 1
    assert 1 <= found.spec.timeout_s <= 600
