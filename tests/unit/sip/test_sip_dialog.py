"""Dialogs: identity, order, target and routes."""

from __future__ import annotations

import pytest
from tests.support.sip_transactions import UDP, request

from ringback.sip.dialog import (
    MAX_ROUTES,
    Dialog,
    DialogId,
    MalformedDialog,
    dialog_id_of,
    dialog_of_uac,
    dialog_of_uas,
    routed,
)
from ringback.sip.message import SipRequest, response_to


def invite(*routes: str, contact: str | None = "<sip:peer@192.0.2.1:5062>") -> SipRequest:
    message = request("INVITE")
    for route in routes:
        message.headers.add("record-route", route)
    if contact is not None:
        message.headers.add("contact", contact)
    return message


def test_a_uas_dialog_has_our_tag_the_peers_contact_and_the_routes_in_order() -> None:
    dialog = dialog_of_uas(invite("<sip:a;lr>", "<sip:b;lr>"), "ours", "<sip:100@192.0.2.9>", UDP)
    assert dialog.dialog_id == DialogId("call-1", "ours", "ft")
    assert dialog.remote_target == "sip:peer@192.0.2.1:5062"
    assert dialog.route_set == ("<sip:a;lr>", "<sip:b;lr>")
    assert (dialog.local_cseq, dialog.remote_cseq, dialog.owns_call_id) == (0, 1, False)
    bye = dialog.request("BYE", dialog.next_cseq(), "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx")
    assert bye.uri_text == "sip:peer@192.0.2.1:5062"
    assert bye.headers.all("route") == ("<sip:a;lr>", "<sip:b;lr>")
    assert (bye.cseq.number, bye.from_.tag, bye.to.tag, bye.max_forwards) == (1, "ours", "ft", 70)
    assert str(dialog.next_hop()) == "sip:a;lr"


def test_a_uac_dialog_has_the_routes_reversed_and_goes_on_from_our_cseq() -> None:
    response = response_to(invite("<sip:a;lr>", "<sip:b;lr>"), 200, to_tag="theirs")
    response.headers.add("contact", "<sip:far@192.0.2.9>")
    dialog = dialog_of_uac(invite(), response, "<sip:me@192.0.2.1>", UDP)
    assert dialog.dialog_id == DialogId("call-1", "ft", "theirs")
    assert dialog.route_set == ("<sip:b;lr>", "<sip:a;lr>")
    assert dialog.next_cseq() == 2
    assert dialog.owns_call_id


def test_requests_must_come_in_order() -> None:
    dialog = dialog_of_uas(invite(), "ours", "", UDP)
    assert not dialog.accepts_cseq(request("BYE", cseq=1))
    assert dialog.accepts_cseq(request("BYE", cseq=5))
    assert not dialog.accepts_cseq(request("BYE", cseq=5))
    assert not dialog.accepts_cseq(request("BYE", cseq=4))
    assert dialog.accepts_cseq(request("BYE", cseq=6))


def test_target_refresh_changes_the_target_and_never_the_routes() -> None:
    dialog = dialog_of_uas(invite("<sip:a;lr>"), "ours", "", UDP)
    dialog.refresh_target(invite("<sip:z;lr>", contact="<sip:moved@192.0.2.7>"))
    assert dialog.remote_target == "sip:moved@192.0.2.7"
    assert dialog.route_set == ("<sip:a;lr>",)
    dialog.refresh_target(invite(contact=None))
    assert dialog.remote_target == "sip:moved@192.0.2.7"


def test_strict_first_route_takes_the_request_uri() -> None:
    assert routed("sip:t@x", ()) == ("sip:t@x", ())
    assert routed("sip:t@x", ("<sip:a;lr=on>",)) == ("sip:t@x", ("<sip:a;lr=on>",))
    assert routed("sip:t@x", ("<sip:a>", "<sip:b;lr>")) == ("sip:a", ("<sip:b;lr>", "<sip:t@x>"))


def test_dialogs_of_rfc_2543_peers_have_no_remote_tag() -> None:
    message = invite()
    message.headers.set("from", "<sip:old@192.0.2.1>")
    dialog = dialog_of_uas(message, "ours", "", UDP)
    assert dialog.dialog_id.remote_tag == ""
    bye = request("BYE", to_tag="ours", cseq=2)
    bye.headers.set("from", "<sip:old@192.0.2.1>")
    assert dialog_id_of(bye) == dialog.dialog_id


def test_an_invite_without_contact_is_answered_towards_its_from() -> None:
    assert dialog_of_uas(invite(contact=None), "ours", "", UDP).remote_target == "sip:a@192.0.2.1"


def test_an_invite_with_too_many_routes_founds_no_dialog() -> None:
    routes = [f"<sip:p{number};lr>" for number in range(MAX_ROUTES)]
    assert len(dialog_of_uas(invite(*routes), "ours", "", UDP).route_set) == MAX_ROUTES
    with pytest.raises(MalformedDialog):
        dialog_of_uas(invite(*routes, "<sip:one-more;lr>"), "ours", "", UDP)


def test_a_dialog_is_a_flat_record() -> None:
    assert all(isinstance(name, str) for name in Dialog.__slots__)
    dialog = dialog_of_uas(invite(), "ours", "<sip:100@192.0.2.9>", UDP)
    assert Dialog(**{name: getattr(dialog, name) for name in Dialog.__slots__}) == dialog
