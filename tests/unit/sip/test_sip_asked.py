"""REGISTER as the endpoint hands it up: reported, answered once, forgotten in time, bounded."""

from __future__ import annotations

import itertools

import pytest
from tests.support.sip_network import Network, Node
from tests.support.sip_peer import Caller

from ringback.errors import InvalidParameter
from ringback.sip.endpoint import AskedId, RegisterReceived
from ringback.sip.message import SipRequest
from ringback.sip.settings import SipSettings


def registrar(settings: SipSettings | None = None) -> tuple[Network, Node, Caller]:
    network = Network()
    node = network.node("10.0.0.1", settings, is_traced=True, is_registrar=True)
    return network, node, Caller(network, node)


_numbers = itertools.count(1)


def asked(caller: Caller, *headers: tuple[str, str]) -> SipRequest:
    request = caller.request("REGISTER", to_tag="", cseq=next(_numbers), headers=headers)
    caller.send(request)
    return request


def test_a_register_is_handed_up_and_answered_once() -> None:
    network, node, caller = registrar()
    request = asked(caller)
    (event,) = node.registers
    assert isinstance(event, RegisterReceived)
    assert event.request.method == "REGISTER"
    assert event.flow.remote[0] == caller.host
    caller.send(request)
    assert len(node.registers) == 1
    assert node.endpoint.reply(node.now, event.asked_id, 200, headers=(("contact", "<sip:a@h>;expires=60"),))
    assert not node.endpoint.reply(node.now, event.asked_id, 200)
    network.run(10)
    assert caller.statuses("REGISTER") == [200]
    assert caller.responses("REGISTER")[0].headers.get("contact") == "<sip:a@h>;expires=60"
    caller.send(request)
    network.run(10)
    assert caller.statuses("REGISTER") == [200, 200]
    network.run_out()
    assert node.endpoint.is_idle


def test_an_ignored_register_gets_nothing_and_may_come_again() -> None:
    network, node, caller = registrar()
    request = asked(caller)
    assert node.endpoint.ignore(node.now, node.registers[0].asked_id)
    assert not node.endpoint.ignore(node.now, node.registers[0].asked_id)
    assert node.endpoint.is_idle
    caller.send(request)
    assert len(node.registers) == 2
    network.run_out()
    assert caller.statuses("REGISTER") == []
    assert node.endpoint.is_idle


def test_one_that_nobody_answers_is_forgotten() -> None:
    network, node, caller = registrar()
    asked(caller)
    network.run(31_000)
    assert not node.endpoint.is_idle
    network.run(2_000)
    assert node.endpoint.is_idle
    assert not node.endpoint.reply(node.now, node.registers[0].asked_id, 200)


def test_one_too_many_gets_503_with_retry_after() -> None:
    network, node, caller = registrar(SipSettings(max_asked=2))
    for _ in range(3):
        asked(caller)
    network.run(10)
    assert len(node.registers) == 2
    assert caller.statuses("REGISTER") == [503]
    assert caller.responses("REGISTER")[0].headers.get("retry-after")
    assert node.endpoint.counters.overloads == 1


def test_path_may_be_required_and_other_extensions_not() -> None:
    network, node, caller = registrar()
    asked(caller, ("Require", "path"))
    asked(caller, ("Require", "path, gruu"))
    network.run(10)
    assert len(node.registers) == 1
    assert caller.responses("REGISTER")[0].headers.get("unsupported") == "gruu"


def test_a_final_status_is_needed() -> None:
    _, node, _ = registrar()
    with pytest.raises(InvalidParameter):
        node.endpoint.reply(node.now, AskedId("x"), 100)


def test_a_register_while_draining_is_still_taken() -> None:
    _, node, caller = registrar()
    node.endpoint.is_draining = True
    asked(caller)
    assert len(node.registers) == 1
