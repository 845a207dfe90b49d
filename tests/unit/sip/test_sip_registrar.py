"""The registrar's rules: reading wishes, times, order, removal, bounds, phones that move, NAT."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.registering import RegisteringPhone

from ringback.sip.flow import Flow, Target, Transport
from ringback.sip.registrar import (
    Binding,
    Change,
    Refusal,
    RegistrarRules,
    Wish,
    apply_wish,
    read_wish,
)

RULES = RegistrarRules(contacts_max=3)
NOW = 1_700_000_000_000


def wish(phone: RegisteringPhone, *extra: tuple[str, str], contact: str | None = None) -> Wish:
    found = read_wish(phone.register(*extra, contact=contact), phone.flow, RULES, NOW)
    assert isinstance(found, Wish)
    return found


def refusal(contact: str, *extra: tuple[str, str]) -> Refusal:
    phone = RegisteringPhone()
    found = read_wish(phone.register(*extra, contact=contact), phone.flow, RULES, NOW)
    assert isinstance(found, Refusal)
    return found


def applied(bindings: tuple[Binding, ...], asked: Wish, now: int = NOW) -> Change:
    found = apply_wish(bindings, asked, RULES, now)
    assert isinstance(found, Change)
    return found


def registered(*phones: RegisteringPhone, at: int = NOW) -> tuple[Binding, ...]:
    bindings: tuple[Binding, ...] = ()
    for index, phone in enumerate(phones):
        found = read_wish(phone.register(), phone.flow, RULES, at + index)
        assert isinstance(found, Wish)
        bindings = applied(bindings, found, at + index).bindings
    return bindings


def test_a_contact_becomes_a_binding_with_where_it_came_from() -> None:
    phone = RegisteringPhone(host="192.0.2.7", port=40_123)
    contact = '<sip:alice@10.0.0.5:5060;transport=udp>;q=0.25;expires=120;+sip.instance="<urn:uuid:1>";reg-id=2'
    (binding,) = wish(phone, ("Path", "<sip:edge.example;lr>, <sip:core.example;lr>"), contact=contact).additions
    assert binding == Binding(
        "sip:alice@10.0.0.5:5060;transport=udp",
        NOW + 120_000,
        phone.call_id,
        1,
        Transport.UDP,
        ("192.0.2.7", 40_123),
        250,
        ("<sip:edge.example;lr>", "<sip:core.example;lr>"),
        "<urn:uuid:1>",
        2,
        "test phone/1",
        NOW,
    )
    assert binding.contact_value(NOW + 500) == (
        '<sip:alice@10.0.0.5:5060;transport=udp>;expires=120;q=0.25;+sip.instance="<urn:uuid:1>";reg-id=2'
    )
    assert ";expires=0" in binding.contact_value(NOW + 500_000)


@pytest.mark.parametrize(
    ("contact", "header", "seconds"),
    [
        ("<sip:a@h>;expires=60", "900", 60),
        ("<sip:a@h>", "900", 900),
        ("<sip:a@h>", None, 3600),
        ("<sip:a@h>;expires=never", "900", 3600),
        ("<sip:a@h>;expires=99999", None, 3600),
        ("<sip:a@h>;expires=99999999999", None, 3600),
        ("<sip:a@h>", "4294967296", 3600),
    ],
)
def test_the_time_is_that_of_the_contact_then_of_the_request_then_ours(
    contact: str, header: str | None, seconds: int
) -> None:
    extra = (("Expires", header),) if header else ()
    (binding,) = wish(RegisteringPhone(), *extra, contact=contact).additions
    assert binding.expires_wall_ms == NOW + seconds * 1000


@pytest.mark.parametrize(
    ("q", "found"), [("", 1000), ("0", 0), ("0.", 0), ("0.5", 500), ("0.123", 123), ("0.1234", 1000), ("1.0", 1000)]
)
def test_preferences(q: str, found: int) -> None:
    (binding,) = wish(RegisteringPhone(), contact=f"<sip:a@h>;q={q}" if q else "<sip:a@h>").additions
    assert binding.q == found


def test_too_short_is_refused_with_the_least() -> None:
    assert refusal("<sip:a@h>;expires=59") == Refusal(423, headers=(("min-expires", "60"),))
    assert refusal("<sip:a@h>, <sip:b@h>;expires=1").status == 423
    assert wish(RegisteringPhone(), contact="<sip:a@h>;expires=60").additions


@pytest.mark.parametrize(
    "contact",
    ["<tel:+15551234>", "<sips:a@h>", "<sip:a@h?Subject=x>", f"<sip:{'a' * 513}@h>", "<mailto:a@h>"],
)
def test_contacts_that_cannot_be_called_are_refused(contact: str) -> None:
    assert refusal(contact).status == 400


def test_bounds_of_one_request() -> None:
    assert refusal(", ".join(f"<sip:a{n}@h>" for n in range(4))).reason == "At Most 3 Contacts"
    assert len(wish(RegisteringPhone(), contact=", ".join(f"<sip:a{n}@h>" for n in range(3))).additions) == 3
    routes = ", ".join("<sip:edge;lr>" for _ in range(9))
    assert refusal("<sip:a@h>", ("Path", routes)).reason == "Path Too Long"
    assert refusal("<sip:a@h>", ("Path", f"<sip:{'e' * 1100};lr>")).reason == "Path Too Long"


def test_no_contact_is_a_query_and_path_support_is_seen() -> None:
    asked = wish(RegisteringPhone(), ("Supported", "outbound, Path"), contact="")
    assert asked.is_query
    assert asked.has_path_support
    assert not wish(RegisteringPhone()).has_path_support


def test_refresh_replaces_and_removal_removes_the_same_contact() -> None:
    phone = RegisteringPhone()
    bindings = registered(phone)
    (refreshed,) = applied(bindings, wish(phone, ("Expires", "120"))).bindings
    assert refreshed.expires_wall_ms == NOW + 120_000
    assert refreshed.cseq == 2
    spelled_otherwise = f"<{phone.contact.replace('sip:', 'SIP:')};x=1>;expires=0"
    assert applied((refreshed,), wish(phone, contact=spelled_otherwise)) == Change(())


def test_star_removes_every_phone() -> None:
    one, two = RegisteringPhone(), RegisteringPhone(port=5071)
    bindings = registered(one, two)
    assert len(bindings) == 2
    asked = wish(one, ("Expires", "0"), contact="*")
    assert asked.removes_all
    assert applied(bindings, asked) == Change(())


@pytest.mark.parametrize("expires", ["0", "300"])
def test_what_comes_out_of_order_changes_nothing(expires: str) -> None:
    phone = RegisteringPhone()
    (binding,) = registered(phone)
    late = replace(wish(phone, ("Expires", expires)), cseq=binding.cseq)
    assert apply_wish((binding,), late, RULES, NOW) == Refusal(500, "CSeq Out of Order")
    every = Wish(phone.call_id, binding.cseq, removes_all=True)
    assert apply_wish((binding,), every, RULES, NOW) == Refusal(500, "CSeq Out of Order")
    other_call = replace(late, call_id="another")
    assert isinstance(apply_wish((binding,), other_call, RULES, NOW), Change)


def test_phones_whose_time_is_over_are_gone() -> None:
    one, two = RegisteringPhone(), RegisteringPhone(port=5071)
    (old,) = registered(one)
    found = applied((old,), wish(two), old.expires_wall_ms)
    assert [binding.contact for binding in found.bindings] == [two.contact]
    assert found.displaced == ()


def test_one_phone_too_many_takes_the_place_of_the_longest_unrefreshed() -> None:
    phones = [RegisteringPhone(port=5070 + index) for index in range(4)]
    bindings = registered(*phones[:3])
    assert len(bindings) == 3
    asked = read_wish(phones[0].register(), phones[0].flow, RULES, NOW + 10)
    assert isinstance(asked, Wish)
    bindings = applied(bindings, asked).bindings
    found = applied(bindings, wish(phones[3]))
    assert [binding.contact for binding in found.displaced] == [phones[1].contact]
    assert len(found.bindings) == 3


def test_a_phone_that_moves_keeps_its_binding() -> None:
    phone = RegisteringPhone()
    instance = ';+sip.instance="<urn:uuid:1>";reg-id=1'
    bindings = applied((), wish(phone, contact=f"<sip:a@192.0.2.1>{instance}")).bindings
    moved = applied(bindings, wish(phone, contact=f"<sip:a@192.0.2.99>{instance}")).bindings
    assert [binding.contact for binding in moved] == ["sip:a@192.0.2.99"]
    other_flow = instance.replace("reg-id=1", "reg-id=2")
    assert len(applied(moved, wish(phone, contact=f"<sip:a@192.0.2.7>{other_flow}")).bindings) == 2


def test_a_contact_named_twice_is_one() -> None:
    found = applied((), wish(RegisteringPhone(), contact="<sip:a@h>;expires=100, <sip:a@h>;expires=200"))
    assert [binding.expires_wall_ms for binding in found.bindings] == [NOW + 200_000]


@pytest.mark.parametrize(
    ("contact", "path", "more"),
    [
        ("sip:a@10.0.0.5:5060", (), []),
        ("sip:a@a.invalid", (), []),
        ("sip:a@192.0.2.7:5062", (), [5062]),
        ("sip:a@192.0.2.7", (), [5060]),
        ("sip:a@192.0.2.7:40000", (), []),
        ("sip:a@192.0.2.7:5062", ("<sip:edge;lr>",), []),
    ],
)
def test_calls_go_over_the_flow_and_else_only_to_another_port_there(
    contact: str, path: tuple[str, ...], more: list[int]
) -> None:
    binding = Binding(contact, 0, "c", 1, Transport.TCP, ("192.0.2.7", 40_000), path=path)
    ports = [40_000, *more]
    assert binding.targets() == tuple(Target(Transport.TCP, "192.0.2.7", port) for port in ports)


def test_ipv6_sources_are_compared_in_brackets() -> None:
    flow = Flow(Transport.UDP, ("::1", 5060), ("2001:db8::7", 40_000))
    found = read_wish(RegisteringPhone().register(contact="<sip:a@[2001:db8::7]:5062>"), flow, RULES, NOW)
    assert isinstance(found, Wish)
    assert [target.port for target in found.additions[0].targets()] == [40_000, 5062]
