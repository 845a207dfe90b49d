"""Who calls whom, read from an INVITE."""

from __future__ import annotations

import pytest
from tests.support.fake_sip import invite_request

from ringback.signalling.identity import Identity, clean_name, identity_of, party
from ringback.sip.uri import parse_uri_or_opaque

PAI = ("P-Asserted-Identity", '"Real" <sip:+15551112222@carrier.example>, <tel:+15551112222>')


def test_plain_invite() -> None:
    assert identity_of(invite_request(), trusts_peer=False) == Identity("15557654321", "15550001000", "Ann")


def test_asserted_identity_is_believed_from_trunks_only() -> None:
    request = invite_request(PAI)
    assert identity_of(request, trusts_peer=False).caller == "15557654321"
    trusted = identity_of(request, trusts_peer=True)
    assert (trusted.caller, trusted.caller_name) == ("15551112222", "Real")


def test_name_comes_from_the_sender_when_the_asserted_one_has_none() -> None:
    request = invite_request(("P-Asserted-Identity", "<tel:+1-555-111-2222>"))
    identity = identity_of(request, trusts_peer=True)
    assert (identity.caller, identity.caller_name) == ("15551112222", "Ann")


@pytest.mark.parametrize("privacy", ["id", "user;id", "ID", "header; full"])
def test_privacy_hides_the_caller(privacy: str) -> None:
    identity = identity_of(invite_request(PAI, ("Privacy", privacy)), trusts_peer=True)
    assert identity == Identity("anonymous", "15550001000", "", is_anonymous=True)


@pytest.mark.parametrize(
    "sender", ["<sip:anonymous@anonymous.invalid>;tag=1", "Anonymous <sip:Anonymous@x.example>;tag=1"]
)
def test_anonymous_sender(sender: str) -> None:
    identity = identity_of(invite_request(sender=sender), trusts_peer=False)
    assert (identity.caller, identity.caller_name, identity.is_anonymous) == ("anonymous", "", True)
    asserted = identity_of(invite_request(PAI, sender=sender), trusts_peer=True)
    assert (asserted.caller, asserted.is_anonymous) == ("15551112222", False)


def test_no_privacy_is_no_wish() -> None:
    assert not identity_of(invite_request(("Privacy", "none")), trusts_peer=False).is_anonymous


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("sip:+15550001000@host", "15550001000"),
        ("sip:15550001000;phone-context=x@host;user=phone", "15550001000"),
        ("sip:+1-555-000.1000@host", "15550001000"),
        ("tel:+1-555-0001000", "15550001000"),
        ("tel:7042;phone-context=example.com", "7042"),
        ("sip:*97@host", "*97"),
        ("sip:%2B1555@host", "1555"),
        ("sip:alice@host:5070;transport=tcp", "sip:alice@host:5070"),
        ("sips:alice@host", "sip:alice@host"),
        ("sip:al%20ice@host", "sip:al%20ice@host"),
        ("sip:host", "sip:host"),
        ("urn:service:sos", "urn:service:sos"),
        ("sip:" + "a" * 400 + "@host", ("sip:" + "a" * 400)[:255]),
    ],
)
def test_party(uri: str, text: str) -> None:
    assert party(parse_uri_or_opaque(uri)) == text


def test_callee_is_the_request_uri() -> None:
    assert identity_of(invite_request(uri="sip:echo@127.0.0.1"), trusts_peer=False).callee == "sip:echo@127.0.0.1"


def test_diversion_names_who_forwarded() -> None:
    request = invite_request(("Diversion", "<sip:+15553334444@host>;reason=no-answer, <sip:+15550009999@host>"))
    assert identity_of(request, trusts_peer=False).diverted_from == "15553334444"


def test_history_names_who_forwarded_if_it_says_why() -> None:
    diverted = "<sip:15553334444@host>;index=1, <sip:15550001000@host;cause=302>;index=1.1"
    routed = "<sip:15553334444@host>;index=1, <sip:15550001000@host>;index=1.1"
    assert identity_of(invite_request(("History-Info", diverted)), trusts_peer=False).diverted_from == "15553334444"
    assert identity_of(invite_request(("History-Info", routed)), trusts_peer=False).diverted_from == ""


def test_names_are_cleaned_and_bounded() -> None:
    assert clean_name(" A\tn\x07n ") == "Ann"
    assert len(clean_name("x" * 1000)) == 255
