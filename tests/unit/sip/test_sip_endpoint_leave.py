"""Leaving dialogs of an earlier process: what goes on the wire, and where."""

from __future__ import annotations

from itertools import count

import pytest

from ringback.machine import Instant
from ringback.sip.dialog import Dialog, DialogId
from ringback.sip.endpoint import Endpoint
from ringback.sip.flow import Flow, Listener, Transmit, Transport
from ringback.sip.message import SipRequest
from ringback.sip.parser import parse_message
from ringback.sip.settings import SipSettings

NOW = Instant(1)


def endpoint(*listeners: Listener) -> Endpoint:
    numbers = count()
    made = Endpoint(SipSettings(), lambda: f"token{next(numbers)}", lambda: 0.5)
    made.listeners = listeners
    return made


def dialog(transport: Transport = Transport.UDP, host: str = "192.0.2.9", routes: tuple[str, ...] = ()) -> Dialog:
    return Dialog(
        DialogId("call-1", "ours", "theirs"),
        "<sip:us@h>;tag=ours",
        "<sip:them@h>;tag=theirs",
        7,
        3,
        f"sip:them@{host}:5062;transport={transport.value.lower()}",
        routes,
        "<sip:us@192.0.2.7>",
        False,
        Flow(transport, ("192.0.2.7", 40_000), (host, 5066), 3 if transport.is_reliable else 0),
    )


UDP = Listener(Transport.UDP, "192.0.2.7", 5060, "192.0.2.7", 5060)
TCP = Listener(Transport.TCP, "192.0.2.7", 5060, "192.0.2.7", 5060)


def sent(made: Endpoint) -> tuple[SipRequest, Transmit]:
    output = made.poll_output()
    assert isinstance(output, Transmit)
    message = parse_message(output.payload)
    assert isinstance(message, SipRequest)
    return message, output


def test_bye_speaks_from_the_new_listener_with_the_dialogs_names_and_a_number_above_all_before() -> None:
    made = endpoint(UDP)
    assert made.leave(NOW, dialog(routes=("<sip:192.0.2.20;lr>",)), "Q.850;cause=41")
    bye, output = sent(made)
    assert (bye.method, bye.uri_text, bye.call_id) == ("BYE", "sip:them@192.0.2.9:5062;transport=udp", "call-1")
    assert (bye.from_.tag, bye.to.tag) == ("ours", "theirs")
    assert bye.cseq.number == 10_008
    assert bye.headers.all("route") == ("<sip:192.0.2.20;lr>",)
    assert bye.headers.get("reason") == "Q.850;cause=41"
    assert output.to == Flow(Transport.UDP, ("192.0.2.7", 5060), ("192.0.2.20", 5060))


def test_a_party_that_spoke_over_a_connection_is_called_at_its_contact() -> None:
    made = endpoint(UDP, TCP)
    assert made.leave(NOW, dialog(Transport.TCP))
    _, output = sent(made)
    assert output.fallback is not None
    assert (output.fallback.transport, output.fallback.host, output.fallback.port) == (Transport.TCP, "192.0.2.9", 5062)


@pytest.mark.parametrize("listeners", [(), (TCP,)])
def test_without_a_listener_of_the_transport_nothing_is_sent(listeners: tuple[Listener, ...]) -> None:
    made = endpoint(*listeners)
    assert not made.leave(NOW, dialog())
    assert made.poll_output() is None


def test_nothing_is_left_when_nobody_answers() -> None:
    made = endpoint(UDP)
    made.leave(NOW, dialog())
    while (deadline := made.poll_timeout()) is not None:
        made.handle_timeout(deadline)
    assert made.is_idle
