"""The way of a request inside a dialog: contact, route, connection, NAT."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.sip_transactions import request

from ringback.errors import Bug
from ringback.sip.dialog import Dialog, dialog_of_uas
from ringback.sip.flow import Flow, Listener, Target, Transport
from ringback.sip.paths import path_back, path_of, path_to
from ringback.sip.settings import SipSettings

LISTENERS = (
    Listener(Transport.UDP, "192.0.2.1", 5060, "192.0.2.1", 5060),
    Listener(Transport.TCP, "192.0.2.1", 5060, "192.0.2.1", 5060),
)
UDP = Flow(Transport.UDP, ("192.0.2.1", 5060), ("203.0.113.9", 33_333))
TCP = Flow(Transport.TCP, ("192.0.2.1", 5060), ("203.0.113.9", 44_444), 3)
SETTINGS = SipSettings()


def dialog(contact: str, flow: Flow, *routes: str) -> Dialog:
    message = request("INVITE")
    message.headers.add("contact", contact)
    for route in routes:
        message.headers.add("record-route", route)
    return dialog_of_uas(message, "ours", "", flow)


def test_a_public_contact_is_where_requests_go() -> None:
    path = path_of(LISTENERS, SETTINGS, dialog("<sip:a@203.0.113.9:5070>", UDP))
    assert path.destination == replace(UDP, remote=("203.0.113.9", 5070))
    assert path.via("tok") == "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtok;rport"


def test_the_first_route_goes_before_the_contact() -> None:
    path = path_of(LISTENERS, SETTINGS, dialog("<sip:a@10.1.1.1>", UDP, "<sip:203.0.113.77;lr>"))
    assert path.destination == replace(UDP, remote=("203.0.113.77", 5060))


@pytest.mark.parametrize("contact", ["<sip:a@192.168.1.5:5060>", "<sip:a@phone.invalid>", "<tel:+1555>"])
def test_private_and_named_contacts_are_reached_over_the_flow(contact: str) -> None:
    assert path_of(LISTENERS, SETTINGS, dialog(contact, UDP)).destination == UDP


def test_a_connection_to_the_same_host_is_kept_with_the_contact_as_fallback() -> None:
    path = path_of(LISTENERS, SETTINGS, dialog("<sip:a@203.0.113.9:5070>", TCP))
    assert (path.destination, path.fallback) == (TCP, Target(Transport.TCP, "203.0.113.9", 5070))
    assert path.contact("me") == "<sip:me@192.0.2.1:5060;transport=tcp>"


def test_another_host_behind_a_connection_is_reached_by_its_own_transport() -> None:
    there = dialog("<sip:a@203.0.113.50;transport=tcp>", TCP)
    assert path_of(LISTENERS, SETTINGS, there).destination == Target(Transport.TCP, "203.0.113.50", 5060)
    plain = path_of(LISTENERS, SETTINGS, dialog("<sip:a@203.0.113.50>", TCP)).destination
    assert plain == Flow(Transport.UDP, ("192.0.2.1", 5060), ("203.0.113.50", 5060))
    assert path_of(LISTENERS[1:], SETTINGS, dialog("<sip:a@203.0.113.50>", TCP)).destination == TCP


def test_a_contact_of_the_other_address_family_is_reached_over_the_flow() -> None:
    assert path_of(LISTENERS, SETTINGS, dialog("<sip:a@[2001:db8::5]>", UDP)).destination == UDP


def test_targets_need_a_listener_of_their_kind() -> None:
    assert path_to(LISTENERS, SETTINGS, Target(Transport.UDP, "2001:db8::5", 5060)) is None
    path = path_to(LISTENERS, SETTINGS, Target(Transport.TCP, "203.0.113.9", 5060))
    assert path is not None
    assert path.destination == Target(Transport.TCP, "203.0.113.9", 5060)
    with pytest.raises(Bug):
        path_back((), SETTINGS, UDP)
