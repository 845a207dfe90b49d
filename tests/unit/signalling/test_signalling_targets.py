"""Customers' SIP URIs lead to allowed addresses only; gateways of trunks are the operator's own choice."""

from __future__ import annotations

from tests.support.legs_on_fakes import LegsOnFakes

from ringback.numbers.trunks import Gateway
from ringback.signalling.events import DialRequest, LegEndKind


async def test_a_customers_uri_to_a_closed_address_is_never_dialled() -> None:
    world = LegsOnFakes()
    world.forbidden.add("192.0.2.1")
    leg = await world.dialled(
        DialRequest(call_uuid="u", request_uri="sip:bob@192.0.2.1:5070", from_uri="1", is_customers_uri=True)
    )
    end = world.end_of(leg)
    assert (end.kind, end.sip_status, end.detail) == (LegEndKind.REFUSED, 403, "192.0.2.1 is closed")
    assert world.sip.invites == {}
    assert world.media.commands == []
    await world.assert_nothing_left()


async def test_a_gateway_is_dialled_wherever_the_operator_put_it() -> None:
    world = LegsOnFakes()
    world.forbidden.add("192.0.2.1")
    leg = await world.dialled(
        DialRequest(
            call_uuid="u", request_uri="sip:1555@pbx", from_uri="1", targets=(Gateway("192.0.2.1", 5070, "tcp"),)
        )
    )
    assert len(world.sip.invites) == 1
    await leg.hangup()


async def test_an_open_address_of_a_customers_uri_is_dialled() -> None:
    world = LegsOnFakes()
    leg = await world.dialled(
        DialRequest(call_uuid="u", request_uri="sip:bob@192.0.2.9:5070", from_uri="1", is_customers_uri=True)
    )
    assert len(world.sip.invites) == 1
    await leg.hangup()
