"""Which SIP addresses belong to our endpoints."""

from __future__ import annotations

import pytest

from ringback.signalling.domains import OwnDomains, own_domains

OWN = own_domains(("", "Phones.example", "phone.plivo.com"), ("127.0.0.1", "2001:db8::1"), 5080)


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:alice@phones.example", "alice"),
        ("sip:alice@PHONES.example:5080;transport=tcp", "alice"),
        ("sip:a%6Cice@phone.plivo.com", "alice"),
        ("sip:alice@127.0.0.1:5080", "alice"),
        ("sip:alice@[2001:db8::1]:5080", "alice"),
        ("sip:alice@127.0.0.1", ""),
        ("sip:alice@phones.example:5060", ""),
        ("sip:alice@127.0.0.1:5081", ""),
        ("sip:alice@other.example", ""),
        ("sip:phones.example", ""),
        ("tel:+15551234", ""),
        ("alice@phones.example", ""),
        ("", ""),
    ],
)
def test_whose_address_it_is(uri: str, user: str) -> None:
    assert OWN.user_of(uri) == user


def test_an_address_without_port_means_the_usual_one() -> None:
    assert own_domains((), ("127.0.0.1",), 5060).user_of("sip:alice@127.0.0.1") == "alice"
    assert OwnDomains().user_of("sip:alice@127.0.0.1") == ""
