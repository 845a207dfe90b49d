"""Traces: summaries, masked secrets, and which call a message belongs to."""

from __future__ import annotations

from tests.support.sip_transactions import UDP, request

from ringback.sip.flow import Transmit
from ringback.sip.message import response_to
from ringback.sip.trace import Direction, TraceBook, masked, sent_facts, summary_of


def test_summaries_read_the_same_from_messages_and_from_bytes() -> None:
    invite = request("INVITE")
    ringing = response_to(invite, 180, to_tag="ours")
    assert summary_of(invite) == "INVITE sip:100@192.0.2.9"
    assert summary_of(ringing) == "180 Ringing (INVITE)"
    assert sent_facts(invite.to_bytes()) == ("INVITE sip:100@192.0.2.9", "call-1", "ft")
    assert sent_facts(ringing.to_bytes()) == ("180 Ringing (INVITE)", "call-1", "ours")
    assert sent_facts(b"nonsense\r\n\r\n") == ("nonsense", "", "")


def test_credentials_are_masked_and_nothing_else() -> None:
    message = request("INVITE")
    message.headers.add("authorization", 'Digest username="bob", response="0123"')
    message.headers.add("proxy-authorization", 'Digest username="bob", response="4567"')
    raw = masked(message.to_bytes())
    assert b"0123" not in raw
    assert b"4567" not in raw
    assert b"Authorization: (masked)\r\n" in raw
    assert b"Call-ID: call-1\r\n" in raw
    plain = request("INVITE").to_bytes()
    assert masked(plain) is plain


def test_a_message_finds_its_call_by_call_id_and_our_tag() -> None:
    book = TraceBook(limit=10)
    book.name("call-1", "ours", "id-1")
    ringing = response_to(request("INVITE"), 180, to_tag="ours")
    sent = book.sent(Transmit(ringing.to_bytes(), UDP))
    assert (sent.direction, sent.invite_id, sent.summary) == (Direction.OUT, "id-1", "180 Ringing (INVITE)")
    assert book.arrived(UDP, request("BYE", to_tag="ours")).invite_id == "id-1"
    assert book.arrived(UDP, request("BYE", to_tag="other")).invite_id is None
    book.name_next("id-2")
    assert book.arrived(UDP, request("INVITE", call_id="call-2")).invite_id == "id-2"
    assert book.arrived(UDP, request("INVITE", call_id="call-3")).invite_id is None


def test_the_oldest_names_go_beyond_the_bound() -> None:
    book = TraceBook(limit=3)
    for number in range(4):
        book.name(f"call-{number}", "t", f"id-{number}")
    assert len(book) == 3
    assert book.arrived(UDP, request("BYE", call_id="call-0", to_tag="t")).invite_id is None
    assert book.arrived(UDP, request("BYE", call_id="call-1", to_tag="t")).invite_id == "id-1"
