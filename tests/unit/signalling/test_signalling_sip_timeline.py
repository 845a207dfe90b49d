"""SIP messages on the timeline of their call."""

from __future__ import annotations

from tests.support.legs_on_fakes import LegsOnFakes, settle

from ringback.signalling.settings import SignallingSettings
from ringback.sip.endpoint import Flow, InviteEnded, Transport
from ringback.sip.flow import Target
from ringback.sip.trace import Direction, SipTrace


def trace(summary: str, *, invite_id: str | None = "in-1", call_id: str = "call-1@127.0.0.1") -> SipTrace:
    """Return one traced message."""
    flow = Flow(Transport.UDP, ("127.0.0.1", 5060), ("::1", 5070))
    return SipTrace(Direction.IN, flow, summary, call_id, b"raw \xff", invite_id)


async def test_messages_reach_the_timeline_of_their_call() -> None:
    world = LegsOnFakes()
    world.legs.handle_sip_trace(trace("INVITE", invite_id=None))
    world.legs.handle_sip_trace(trace("INVITE of another", invite_id=None, call_id="other"))
    leg = world.call_in()
    world.legs.handle_sip_trace(trace("180 Ringing"))
    world.legs.handle_sip_trace(trace("CANCEL", invite_id=None))
    await leg.hangup()
    world.legs.handle_sip_trace(trace("ACK"))
    world.legs.handle_sip_event(InviteEnded(leg.invite_id))
    world.legs.handle_sip_trace(trace("stray"))
    facts = world.facts.of("sip")
    assert [fact["summary"] for fact in facts] == ["INVITE", "180 Ringing", "CANCEL", "ACK"]
    assert facts[0] == {
        "direction": "in",
        "summary": "INVITE",
        "raw": "raw \ufffd",
        "transport": "UDP",
        "peer": "[::1]:5070",
    }
    assert {call_uuid for call_uuid, _, _ in world.facts.rows} == {leg.call_uuid}


async def test_outbound_messages_sent_before_the_id_is_known_are_kept() -> None:
    world = LegsOnFakes()
    world.legs.handle_sip_trace(trace("INVITE", invite_id="out-1", call_id="c"))
    leg = await world.dialled()
    world.legs.handle_sip_trace(trace("100 Trying", invite_id=None, call_id="c"))
    assert [fact["summary"] for fact in world.facts.of("sip")] == ["INVITE", "100 Trying"]
    assert world.facts.rows[-1][0] == "uuid-1"
    await leg.hangup()


async def test_messages_that_wait_for_a_call_are_bounded() -> None:
    world = LegsOnFakes(SignallingSettings(maximum_waiting_traces=2))
    for number in range(3):
        world.legs.handle_sip_trace(trace(f"INVITE {number}", invite_id=None))
    leg = world.call_in()
    await settle()
    assert [fact["summary"] for fact in world.facts.of("sip")] == ["INVITE 1", "INVITE 2"]
    await leg.hangup()


async def test_registrations_push_nothing_out() -> None:
    world = LegsOnFakes(SignallingSettings(maximum_waiting_traces=1))
    world.legs.handle_sip_trace(trace("INVITE", invite_id=None))
    world.legs.handle_sip_trace(trace("REGISTER sip:127.0.0.1", invite_id=None))
    world.legs.handle_sip_trace(trace("401 Unauthorized (REGISTER)", invite_id=None))
    leg = world.call_in()
    assert [fact["summary"] for fact in world.facts.of("sip")] == ["INVITE"]
    await leg.hangup()


async def test_message_to_a_target_names_it_as_the_peer() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    target = Target(Transport.TCP, "192.0.2.1", 5061)
    world.legs.handle_sip_trace(SipTrace(Direction.OUT, target, "BYE", "", b"", "in-1"))
    (fact,) = world.facts.of("sip")
    assert (fact["peer"], fact["transport"], fact["direction"]) == ("192.0.2.1:5061", "TCP", "out")
    await leg.hangup()
