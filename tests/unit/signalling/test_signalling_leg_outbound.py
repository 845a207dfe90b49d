"""`signalling.sip_leg`: legs that are placed: early media, answers, refusals, gateways, media that fails."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.fake_sip import ANSWER, bye, response
from tests.support.legs_on_fakes import LegsOnFakes, settle

from ringback.errors import InvalidParameter, MediaError
from ringback.machine import MS, Instant
from ringback.media.control.commands import OpenSession, SetRemote
from ringback.media.control.port import CommandRejected, WorkerLost
from ringback.media.control.values import Address, RejectCode
from ringback.numbers.trunks import Gateway, GatewayCredentials
from ringback.sdp.parser import parse_sdp
from ringback.signalling.errors import LegOver
from ringback.signalling.events import (
    DialRequest,
    LegAnswered,
    LegEnd,
    LegEndKind,
    LegEvent,
    LegMedia,
    LegRinging,
)
from ringback.signalling.settings import SignallingSettings
from ringback.sip.endpoint import (
    Answered,
    Credentials,
    EndDetail,
    HungUp,
    InviteEnded,
    Progressed,
    Refused,
    Target,
    Transport,
)

QUICK = SignallingSettings(setup_limit_ms=20, release_limit_ms=20)


def without_media(events: list[LegEvent]) -> list[LegEvent]:
    """Return what is not of the media session."""
    return [event for event in events if not isinstance(event, LegMedia)]


async def test_outbound_call_rings_with_early_media_and_is_answered() -> None:
    world = LegsOnFakes()
    request = DialRequest(
        call_uuid="uuid-1",
        request_uri="sip:bob@127.0.0.1:5080",
        from_uri="+15550001000",
        from_display='Ann "A"\r\n',
        credentials=(GatewayCredentials("u", "p"), GatewayCredentials("v", "q", "realm")),
        headers=(("X-Trunk", "1"),),
        custom_headers=(("Order", "7"), ("Plivo-x", "no")),
    )
    leg = await world.dialled(request)
    (outbound,) = world.sip.invites.values()
    assert outbound.request_uri == outbound.to.uri_text == "sip:bob@127.0.0.1:5080"
    assert str(outbound.from_) == '"Ann \\"A\\"" <sip:+15550001000@127.0.0.1>'
    assert outbound.targets == (Target(Transport.UDP, "127.0.0.1", 5080),)
    assert outbound.headers == (("X-Trunk", "1"), ("X-PH-Order", "7"), ("X-CallUUID", "uuid-1"))
    assert outbound.credentials == (Credentials("u", "p"), Credentials("v", "q", "realm"))
    assert (leg.caller, leg.callee) == ("15550001000", "sip:bob@127.0.0.1:5080")
    offer = parse_sdp(outbound.sdp or b"")
    assert (offer.media[0].port, offer.media[0].formats) == (20_000, ("0", "8", "101"))
    world.legs.handle_sip_event(Progressed(leg.invite_id, 180, "Ringing", None, response(180)))
    early = ANSWER.replace(b"50000", b"50002")
    world.legs.handle_sip_event(Progressed(leg.invite_id, 183, "Session Progress", early, response(183)))
    await settle()
    world.legs.handle_sip_event(Progressed(leg.invite_id, 180, "Ringing", None, response(180)))
    world.legs.handle_sip_event(Answered(leg.invite_id, ANSWER, response(200, ("x-ph-Room", "4"))))
    await leg.answer()
    assert without_media(world.told(leg)) == [
        LegRinging(180, False),
        LegRinging(183, True),
        LegRinging(180, True),
        LegAnswered("PCMU", Address("127.0.0.1", 20_000), Address("127.0.0.1", 50_000)),
    ]
    assert [command.address.port for command in world.media.of_type(SetRemote)] == [50_002, 50_000]
    assert leg.custom_headers == (("X-PH-Room", "4"),)
    world.legs.handle_sip_event(HungUp(leg.invite_id, bye(), EndDetail.REMOTE))
    await leg.wait_ended()
    assert world.end_of(leg) == LegEnd(LegEndKind.REMOTE_HANGUP)
    await world.assert_nothing_left()


async def test_answer_without_sdp_keeps_the_early_media() -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    world.legs.handle_sip_event(Progressed(leg.invite_id, 183, "", ANSWER, response(183)))
    world.legs.handle_sip_event(Answered(leg.invite_id, None, response(200)))
    await settle()
    assert leg.is_answered
    assert len(world.media.of_type(SetRemote)) == 1
    await leg.hangup()


@pytest.mark.parametrize("sdp", [None, b"nonsense", ANSWER.replace(b"RTP/AVP 0 101", b"RTP/AVP 18")])
async def test_answer_that_cannot_be_used_ends_with_bye(sdp: bytes | None) -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    world.legs.handle_sip_event(Answered(leg.invite_id, sdp, response(200)))
    await leg.wait_ended()
    assert world.sip.last.verb == "hangup"
    assert world.sip.last.reason.startswith("Q.850;cause=65")
    assert (world.end_of(leg).kind, world.end_of(leg).sip_status) == (LegEndKind.NO_COMMON_CODEC, 0)
    await world.assert_nothing_left()


async def test_unusable_early_media_does_not_end_the_call() -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    world.legs.handle_sip_event(Progressed(leg.invite_id, 183, "", b"nonsense", response(183)))
    await settle()
    assert without_media(world.told(leg)) == [LegRinging(183, False)]
    world.legs.handle_sip_event(Answered(leg.invite_id, ANSWER, response(200)))
    await settle()
    assert leg.is_answered
    await leg.hangup()


@pytest.mark.parametrize(
    ("refused", "end"),
    [
        (
            Refused("out-1", 486, "Busy Here", response(486, ("Reason", "Q.850;cause=17")), False, EndDetail.REMOTE),  # type: ignore[arg-type]  # a plain id will do
            LegEnd(LegEndKind.REFUSED, 486, "Busy Here", "Q.850;cause=17"),
        ),
        (
            Refused("out-1", 408, "Request Timeout", None, True, EndDetail.TIMEOUT),  # type: ignore[arg-type]  # as above
            LegEnd(LegEndKind.REQUEST_TIMEOUT, 408, "Request Timeout", "", "no gateway answered in time"),
        ),
        (
            Refused("out-1", 503, "Service Unavailable", None, True, EndDetail.TRANSPORT),  # type: ignore[arg-type]  # as above
            LegEnd(LegEndKind.TRANSPORT, 503, "Service Unavailable", "", "no gateway could be reached"),
        ),
        (
            Refused("out-1", 407, "Proxy", response(407), False, EndDetail.CREDENTIALS),  # type: ignore[arg-type]  # as above
            LegEnd(LegEndKind.REFUSED, 407, "Proxy", "", "the peer wants other credentials"),
        ),
    ],
)
async def test_call_that_is_refused(refused: Refused, end: LegEnd) -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    world.legs.handle_sip_event(refused)
    await leg.wait_ended()
    assert world.end_of(leg) == end
    assert world.sip.of("hangup") == []
    with pytest.raises(LegOver):
        await leg.answer()
    await world.assert_nothing_left()


async def test_nobody_answers() -> None:
    world = LegsOnFakes()
    request = DialRequest(call_uuid="u", request_uri="sip:bob@127.0.0.1", from_uri="sip:a@b", ring_timeout_ms=20)
    leg = await world.dialled(request)
    world.legs.handle_sip_event(Progressed(leg.invite_id, 180, "Ringing", None, response(180)))
    world.clock.now = Instant(21 * MS)
    await leg.wait_ended()
    assert world.sip.last.verb == "hangup"
    assert world.sip.last.reason.startswith("Q.850;cause=19")
    assert world.end_of(leg).kind is LegEndKind.RING_TIMEOUT
    world.legs.handle_sip_event(Refused(leg.invite_id, 487, "", response(487), False, EndDetail.CANCELLED))
    world.legs.handle_sip_event(InviteEnded(leg.invite_id))
    assert world.end_of(leg).kind is LegEndKind.RING_TIMEOUT
    await world.assert_nothing_left()


async def test_owner_hangs_up_while_ringing() -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    await leg.hangup()
    assert (world.sip.last.verb, world.sip.last.reason) == ("hangup", "Q.850;cause=16")
    assert world.end_of(leg).kind is LegEndKind.LOCAL_HANGUP
    await world.assert_nothing_left()


async def test_owner_hangs_up_before_anything_started() -> None:
    world = LegsOnFakes()
    leg = world.dial()
    await leg.hangup()
    assert world.sip.calls == []
    assert world.media.commands == []
    await world.assert_nothing_left()


async def test_owner_hangs_up_while_names_are_looked_up() -> None:
    world = LegsOnFakes()
    looked_up = asyncio.Event()

    async def resolve(uri: str) -> tuple[Target, ...]:
        await looked_up.wait()
        raise AssertionError("not reached")

    world.sip.resolve = resolve  # type: ignore[method-assign]  # a slower one
    leg = await world.dialled()
    await leg.hangup()
    assert world.end_of(leg).kind is LegEndKind.LOCAL_HANGUP
    await world.assert_nothing_left()


async def test_nothing_is_opened_for_a_call_that_leads_nowhere() -> None:
    world = LegsOnFakes()
    leg = await world.dialled(DialRequest(call_uuid="u", request_uri="sip:bob@nowhere.example", from_uri="1"))
    end = world.end_of(leg)
    assert (end.kind, end.sip_status) == (LegEndKind.TRANSPORT, 503)
    assert "nowhere.example" in end.detail
    assert world.media.commands == []
    await world.assert_nothing_left()


async def test_gateways_are_looked_up_in_order_and_a_lost_one_is_skipped() -> None:
    world = LegsOnFakes()
    leg = await world.dialled(
        DialRequest(
            call_uuid="u",
            request_uri="sip:+1555@sip.acme.example",
            from_uri="1",
            targets=(Gateway("192.0.2.1", 5070, "tcp"), Gateway("gone.example"), Gateway("2001:db8::1")),
        )
    )
    (outbound,) = world.sip.invites.values()
    assert outbound.targets == (Target(Transport.TCP, "192.0.2.1", 5070), Target(Transport.UDP, "2001:db8::1", 5060))
    assert leg.source_host == "192.0.2.1"
    await leg.hangup()


@pytest.mark.parametrize("error", [WorkerLost("gone"), CommandRejected("full", reject=RejectCode.LIMIT)])
async def test_call_without_media_is_not_dialled(error: MediaError) -> None:
    world = LegsOnFakes()
    world.media.fail(OpenSession, error)
    leg = await world.dialled()
    assert world.sip.calls == []
    assert world.end_of(leg).kind in (LegEndKind.WORKER_LOST, LegEndKind.MEDIA_FAILED)
    await world.assert_nothing_left()


async def test_worker_that_dies_while_ringing_cancels() -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    world.media.lose_worker()
    assert world.sip.last.verb == "hangup"
    assert world.end_of(leg).kind is LegEndKind.WORKER_LOST
    await world.assert_nothing_left()


async def test_endpoint_that_takes_no_call_ends_the_leg() -> None:
    world = LegsOnFakes()

    def full(outbound: object) -> str:
        raise InvalidParameter("no more calls")

    world.sip.invite = full  # type: ignore[method-assign, assignment]  # refuses
    leg = await world.dialled()
    assert world.end_of(leg) == LegEnd(LegEndKind.TRANSPORT, 503, detail="no more calls")
    await world.assert_nothing_left()
