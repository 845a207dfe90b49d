"""One leg between a fake SIP endpoint and a fake media plane: every way in, through and out."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.fake_sip import ANSWER, OFFER, bye, invite_request, received, response
from tests.support.legs_on_fakes import LegsOnFakes, settle

from ringback.errors import InvalidParameter, MediaError
from ringback.machine import MS, Instant
from ringback.media.control.commands import CloseSession, OpenSession, Play, ReportDigit, SetRemote
from ringback.media.control.events import DigitReceived, MediaTimedOut, SessionClosed
from ringback.media.control.port import CommandRejected, WorkerLost
from ringback.media.control.settings import PoolSettings
from ringback.media.control.values import Address, MediaDirection, RejectCode, SessionEnd
from ringback.sdp.errors import NoCommonCodec
from ringback.sdp.parser import parse_sdp
from ringback.signalling.errors import LegOver, MediaSetupFailed
from ringback.signalling.events import (
    LegAnswered,
    LegConfirmed,
    LegEnd,
    LegEnded,
    LegEndKind,
    LegEvent,
    LegMedia,
    LegRenegotiated,
)
from ringback.signalling.settings import SignallingSettings
from ringback.signalling.sip_leg import SipLeg
from ringback.sip.endpoint import (
    Answered,
    CancelReceived,
    Confirmed,
    EndDetail,
    HungUp,
    InfoReceived,
    InviteEnded,
    Progressed,
    ReofferConfirmed,
    Reoffered,
)

QUICK = SignallingSettings(setup_limit_ms=20, release_limit_ms=20)


def without_media(events: list[LegEvent]) -> list[LegEvent]:
    """Return what is not of the media session."""
    return [event for event in events if not isinstance(event, LegMedia)]


# Inbound.


async def test_early_media_is_sent_once_and_the_answer_repeats_its_sdp() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await leg.ring()
    await asyncio.gather(leg.start_early_media(), leg.start_early_media())
    await leg.start_early_media()
    await leg.answer()
    assert [(call.verb, call.status) for call in world.sip.calls] == [
        ("progress", 180),
        ("progress", 183),
        ("answer", 200),
    ]
    assert world.sip.calls[1].sdp == world.sip.calls[2].sdp
    assert len(world.media.of_type(OpenSession)) == 1
    assert leg.is_answered
    await leg.start_early_media()
    assert world.sip.last.verb == "answer"


async def test_refusal_after_early_media_closes_the_session() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await leg.start_early_media()
    await leg.reject(486)
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 486)
    assert not world.media.sessions
    assert leg.has_ended


async def test_caller_gives_up_during_early_media() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await leg.start_early_media()
    world.legs.handle_sip_event(CancelReceived(leg.invite_id, invite_request()))
    await leg.wait_ended()
    assert not world.media.sessions
    with pytest.raises(LegOver):
        await leg.start_early_media()


async def test_early_media_without_an_offer_does_nothing() -> None:
    world = LegsOnFakes()
    leg = world.call_in(received(offer=None))
    await leg.start_early_media()
    assert not world.sip.calls
    assert not world.media.commands


async def test_early_media_that_gets_no_session_is_refused() -> None:
    world = LegsOnFakes()
    world.media.failures[OpenSession] = CommandRejected("full", reject=RejectCode.NO_PORT)
    leg = world.call_in()
    with pytest.raises(MediaError):
        await leg.start_early_media()
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 503)


async def test_inbound_call_is_answered_confirmed_and_hung_up_by_the_caller() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await leg.ring()
    await leg.ring()
    await leg.answer()
    assert [call.verb for call in world.sip.calls] == ["progress", "answer"]
    assert world.sip.calls[0].status == 180
    assert all(call.header("x-calluuid") == leg.call_uuid for call in world.sip.calls)
    answer = parse_sdp(world.sip.last.sdp or b"")
    assert (answer.media[0].port, answer.media[0].formats) == (20_000, ("8", "0", "96"))
    (remote,) = world.media.of_type(SetRemote)
    assert (remote.address, remote.codec.name) == (Address("127.0.0.1", 40_000), "PCMA")
    assert leg.is_answered
    world.legs.handle_sip_event(Confirmed(leg.invite_id, None))
    world.legs.handle_sip_event(
        HungUp(leg.invite_id, bye(("Reason", "Q.850;cause=16"), ("Reason", "SIP;cause=200")), EndDetail.REMOTE)
    )
    assert not leg.is_answered
    await leg.wait_ended()
    assert without_media(world.told(leg)) == [
        LegAnswered("PCMA", Address("127.0.0.1", 20_000), Address("127.0.0.1", 40_000)),
        LegConfirmed(),
        LegEnded(LegEnd(LegEndKind.REMOTE_HANGUP, reason_header="Q.850;cause=16, SIP;cause=200")),
    ]
    closed = world.told(leg)[-2]
    assert isinstance(closed, LegMedia)
    assert isinstance(closed.event, SessionClosed)
    assert world.sip.of("hangup") == []
    world.legs.handle_sip_event(InviteEnded(leg.invite_id))
    await world.assert_nothing_left()


async def test_repeated_answer_is_harmless() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await asyncio.gather(leg.answer(), leg.answer())
    await leg.answer()
    assert len(world.sip.of("answer")) == len(world.media.of_type(OpenSession)) == 1
    await leg.hangup()


async def test_remote_is_set_before_the_answer_leaves() -> None:
    world = LegsOnFakes()
    gate = world.media.hold(SetRemote)
    leg = world.call_in()
    answering = asyncio.create_task(leg.answer())
    await settle()
    assert world.sip.of("answer") == []
    gate.set()
    await answering
    assert len(world.sip.of("answer")) == 1
    await leg.hangup()
    await world.assert_nothing_left()


async def test_owner_hangs_up_an_answered_leg_with_a_reason() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    await asyncio.gather(leg.hangup(17, 'busy "now"\r\n'), leg.hangup(16))
    assert [call.reason for call in world.sip.of("hangup")] == ['Q.850;cause=17;text="busy \\"now\\""']
    assert world.end_of(leg).kind is LegEndKind.LOCAL_HANGUP
    assert len(world.media.of_type(CloseSession)) == 1
    await leg.hangup()
    await leg.reject(486)
    assert len(world.sip.of("hangup")) == 1
    await world.assert_nothing_left()


@pytest.mark.parametrize(("q850", "status"), [(16, 480), (17, 486), (21, 603), (41, 503), (1, 404)])
async def test_hang_up_before_the_answer_is_a_final_response(q850: int, status: int) -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await leg.ring()
    await leg.hangup(q850)
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", status)
    assert world.end_of(leg).sip_status == status
    await world.assert_nothing_left()


async def test_owner_rejects() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await leg.reject(486, "Busy", (("X-Why", "lunch"),))
    assert (world.sip.last.status, world.sip.last.reason) == (486, "Busy")
    assert world.sip.last.header("x-why") == "lunch"
    assert world.sip.last.header("x-calluuid") == leg.call_uuid
    assert world.end_of(leg) == LegEnd(LegEndKind.REJECTED, 486, "Busy")
    with pytest.raises(LegOver, match="rejected"):
        await leg.answer()
    await world.assert_nothing_left()


async def test_impossible_rejection_changes_nothing() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    with pytest.raises(InvalidParameter, match="found status 200"):
        await leg.reject(200)
    with pytest.raises(InvalidParameter):
        await leg.reject(486, "", (("X-Why", "a\r\nb"),))
    assert world.sip.calls == []
    await leg.answer()
    assert leg.is_answered
    await leg.hangup()


async def test_answered_leg_is_hung_up_when_rejected() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    await leg.reject(486)
    assert world.sip.last.verb == "hangup"
    assert world.end_of(leg).kind is LegEndKind.LOCAL_HANGUP


async def test_caller_cancels_while_ringing() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    await leg.ring()
    cancel = bye(("Reason", 'SIP;cause=200;text="Call completed elsewhere"'))
    world.legs.handle_sip_event(CancelReceived(leg.invite_id, cancel))
    assert world.end_of(leg) == LegEnd(
        LegEndKind.CANCELLED_BY_CALLER,
        487,
        "Request Terminated",
        'SIP;cause=200;text="Call completed elsewhere"',
    )
    assert world.sip.of("reject") == world.sip.of("hangup") == []
    await world.assert_nothing_left()


@pytest.mark.parametrize("held", [OpenSession, SetRemote])
async def test_cancel_while_media_is_being_opened_frees_the_port(held: type[OpenSession]) -> None:
    world = LegsOnFakes()
    gate = world.media.hold(held)
    leg = world.call_in()
    answering = asyncio.create_task(leg.answer())
    await settle()
    world.legs.handle_sip_event(CancelReceived(leg.invite_id, None))
    with pytest.raises(LegOver, match="cancelled-by-caller"):
        await answering
    assert not leg.has_ended
    gate.set()
    await leg.wait_ended()
    assert world.sip.of("answer") == []
    assert len(world.media.of_type(CloseSession)) == 1
    assert world.end_of(leg).kind is LegEndKind.CANCELLED_BY_CALLER
    await world.assert_nothing_left()


def test_leg_waits_for_its_media_as_long_as_the_pool_waits_for_a_worker() -> None:
    """One that gets no processor for a second costs no call."""
    assert SignallingSettings().setup_limit_ms == PoolSettings(runtime_dir="/run").command_timeout_ms


async def test_media_that_is_late_is_503_and_its_port_is_freed_when_it_comes() -> None:
    world = LegsOnFakes(QUICK)
    gate = world.media.hold(OpenSession)
    leg = world.call_in()
    answering = asyncio.create_task(leg.answer())
    await settle()
    world.clock.now = Instant(21 * MS)
    with pytest.raises(MediaSetupFailed, match="in time"):
        await answering
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 503)
    world.clock.now = Instant(50 * MS)
    await leg.wait_ended()
    assert world.end_of(leg).kind is LegEndKind.MEDIA_FAILED
    gate.set()
    await world.assert_nothing_left()
    assert len(world.media.of_type(CloseSession)) == 1


@pytest.mark.parametrize("failing", [OpenSession, SetRemote])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CommandRejected("no port", reject=RejectCode.NO_PORT), LegEndKind.MEDIA_FAILED),
        (WorkerLost("gone"), LegEndKind.WORKER_LOST),
    ],
)
async def test_media_that_fails_is_503(failing: type[OpenSession], error: MediaError, kind: LegEndKind) -> None:
    world = LegsOnFakes()
    world.media.fail(failing, error)
    leg = world.call_in()
    with pytest.raises(MediaError) as caught:
        await leg.answer()
    assert caught.value is error
    await leg.wait_ended()
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 503)
    assert (world.end_of(leg).kind, world.end_of(leg).sip_status) == (kind, 503)
    await world.assert_nothing_left()


async def test_address_that_the_worker_never_sends_to_is_488() -> None:
    world = LegsOnFakes()
    world.media.fail(SetRemote, CommandRejected("worker media-0 refused", reject=RejectCode.INVALID))
    leg = world.call_in()
    with pytest.raises(NoCommonCodec, match=r"^found media at \S+ port \d+, allowed"):
        await leg.answer()
    await leg.wait_ended()
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 488)
    await world.assert_nothing_left()


async def test_broken_media_port_costs_one_leg(caplog: pytest.LogCaptureFixture) -> None:
    world = LegsOnFakes()
    world.media.fail(OpenSession, ZeroDivisionError("bug"))
    leg = world.call_in()
    with pytest.raises(MediaError):
        await leg.answer()
    await leg.wait_ended()
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 500)
    assert "ZeroDivisionError" in world.end_of(leg).detail
    await world.assert_nothing_left()


async def test_worker_that_dies_ends_the_call_with_bye() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    world.media.lose_worker()
    await leg.wait_ended()
    assert world.sip.last.verb == "hangup"
    assert world.sip.last.reason.startswith("Q.850;cause=41")
    end = world.end_of(leg)
    assert (end.kind, end.sip_status) == (LegEndKind.WORKER_LOST, 0)
    assert "media-0" in end.detail
    with pytest.raises(LegOver):
        await leg.media(Play(command_id=leg.new_command_id(), session_id=leg.session_id, play_id="p", path="x"))  # type: ignore[arg-type]  # a plain id will do
    await world.assert_nothing_left()


async def test_session_that_closes_by_itself_ends_the_call_with_bye() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    world.media.close(leg.session_id, SessionEnd.ORPHANED)
    await leg.wait_ended()
    assert world.sip.last.verb == "hangup"
    end = world.end_of(leg)
    assert (end.kind, end.detail) == (LegEndKind.MEDIA_FAILED, "the media session closed by itself: orphaned")
    await world.assert_nothing_left()


async def test_session_that_never_closes_is_not_waited_for() -> None:
    world = LegsOnFakes(QUICK)
    world.media.closes_itself = False
    leg = await world.answered_in()
    hanging_up = asyncio.create_task(leg.hangup())
    await settle()
    assert not leg.has_ended
    world.clock.now = Instant(1000 * MS)
    await hanging_up
    assert world.end_of(leg).kind is LegEndKind.LOCAL_HANGUP
    world.media.close(leg.session_id)
    assert isinstance(world.told(leg)[-1], LegEnded)
    await world.assert_nothing_left()


async def test_session_that_cannot_be_closed_is_given_up() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    world.media.fail(CloseSession)
    await leg.hangup()
    assert world.end_of(leg).kind is LegEndKind.LOCAL_HANGUP


async def test_media_timeout_is_told_and_its_owner_ends_the_leg() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    assert world.media.of_type(OpenSession)[0].media_idle_ms == 60_000
    world.media.time_out(leg.session_id)
    assert leg.is_answered
    assert isinstance(world.told(leg)[-1], LegMedia)
    await leg.end_for_media_timeout()
    assert world.end_of(leg).kind is LegEndKind.MEDIA_TIMEOUT
    assert world.sip.last.verb == "hangup"
    media = [event.event for event in world.told(leg) if isinstance(event, LegMedia)]
    assert sum(isinstance(event, MediaTimedOut) for event in media) == 1


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        (EndDetail.NO_ACK, LegEndKind.NO_ACK),
        (EndDetail.NO_ANSWER_IN_ACK, LegEndKind.NO_ACK),
        (EndDetail.DIALOG_GONE, LegEndKind.TRANSPORT),
        (EndDetail.TRANSPORT, LegEndKind.TRANSPORT),
    ],
)
async def test_dialog_that_is_lost(detail: EndDetail, kind: LegEndKind) -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    world.legs.handle_sip_event(HungUp(leg.invite_id, None, detail))
    await leg.wait_ended()
    assert world.end_of(leg).kind is kind
    assert world.end_of(leg).detail
    await world.assert_nothing_left()


async def test_delayed_offer_is_answered_with_ours_and_concluded_by_the_ack() -> None:
    world = LegsOnFakes()
    leg = world.call_in(received(offer=None))
    answering = asyncio.create_task(leg.answer())
    await settle()
    offer = parse_sdp(world.sip.last.sdp or b"")
    assert (world.sip.last.verb, offer.media[0].formats) == ("answer", ("0", "8", "101"))
    assert not answering.done()
    assert world.media.of_type(SetRemote) == []
    world.legs.handle_sip_event(Confirmed(leg.invite_id, ANSWER))
    await answering
    assert world.media.of_type(SetRemote)[0].address == Address("127.0.0.1", 50_000)
    assert [type(event) for event in without_media(world.told(leg))] == [LegAnswered, LegConfirmed]
    await leg.hangup()
    await world.assert_nothing_left()


@pytest.mark.parametrize("answer", [None, b"nonsense", ANSWER.replace(b"m=audio 50000", b"m=audio 0")])
async def test_delayed_offer_without_a_usable_answer_ends_with_bye(answer: bytes | None) -> None:
    world = LegsOnFakes()
    leg = world.call_in(received(offer=None))
    answering = asyncio.create_task(leg.answer())
    await settle()
    world.legs.handle_sip_event(Confirmed(leg.invite_id, answer))
    with pytest.raises(NoCommonCodec):
        await answering
    await leg.wait_ended()
    assert world.sip.last.verb == "hangup"
    assert world.end_of(leg).kind is LegEndKind.NO_COMMON_CODEC
    await world.assert_nothing_left()


# Renegotiation.


def reoffer(leg: SipLeg, sdp: bytes | None) -> Reoffered:
    """Return a re-INVITE."""
    return Reoffered(leg.invite_id, sdp, invite_request())


async def confirmed() -> tuple[LegsOnFakes, SipLeg]:
    """Return an inbound leg that is confirmed."""
    world = LegsOnFakes()
    leg = await world.answered_in()
    world.legs.handle_sip_event(Confirmed(leg.invite_id, None))
    return world, leg


async def test_hold_move_and_codec_change_are_renegotiated() -> None:
    world, leg = await confirmed()
    hold = OFFER.replace(b"o=- 77 1", b"o=- 77 2") + b"a=sendonly\r\n"
    world.legs.handle_sip_event(reoffer(leg, hold))
    await settle()
    assert world.sip.last.verb == "accept_reoffer"
    assert b"a=recvonly" in (world.sip.last.sdp or b"")
    moved = OFFER.replace(b"o=- 77 1", b"o=- 77 3").replace(b"audio 40000 RTP/AVP 8 0", b"audio 40100 RTP/AVP 0")
    world.legs.handle_sip_event(reoffer(leg, moved))
    await settle()
    assert [event for event in world.told(leg) if isinstance(event, LegRenegotiated)] == [
        LegRenegotiated("PCMA", Address("127.0.0.1", 40_000), MediaDirection.RECVONLY),
        LegRenegotiated("PCMU", Address("127.0.0.1", 40_100), MediaDirection.SENDRECV),
    ]
    versions = [parse_sdp(call.sdp or b"").origin.version for call in world.sip.calls if call.sdp]
    assert versions == ["1", "2", "3"]
    await leg.hangup()


async def test_refresh_gets_the_same_answer_and_leaves_media_alone() -> None:
    world, leg = await confirmed()
    first = world.sip.of("answer")[0].sdp
    world.legs.handle_sip_event(reoffer(leg, OFFER))
    await settle()
    assert world.sip.last.verb == "accept_reoffer"
    assert world.sip.last.sdp == first
    assert len(world.media.of_type(SetRemote)) == 1
    assert not any(isinstance(event, LegRenegotiated) for event in world.told(leg))
    await leg.hangup()


@pytest.mark.parametrize(
    ("sdp", "status"),
    [(OFFER.replace(b"AVP 8 0 96", b"AVP 18"), 488), (OFFER.replace(b"RTP/AVP", b"RTP/SAVP"), 488), (b"junk", 400)],
)
async def test_useless_reoffer_is_refused_and_the_call_goes_on(sdp: bytes, status: int) -> None:
    world, leg = await confirmed()
    world.legs.handle_sip_event(reoffer(leg, sdp))
    await settle()
    assert (world.sip.last.verb, world.sip.last.status) == ("refuse_reoffer", status)
    assert len(world.media.of_type(SetRemote)) == 1
    assert leg.is_answered
    world.legs.handle_sip_event(reoffer(leg, OFFER))
    await settle()
    assert world.sip.last.verb == "accept_reoffer"
    await leg.hangup()


async def test_reoffer_that_the_worker_refuses_leaves_the_old_media() -> None:
    world, leg = await confirmed()
    for code, status in ((RejectCode.LIMIT, 500), (RejectCode.INVALID, 488)):
        world.media.fail(SetRemote, CommandRejected("no", reject=code))
        world.legs.handle_sip_event(reoffer(leg, OFFER + b"a=sendonly\r\n"))
        await settle()
        assert (world.sip.last.verb, world.sip.last.status) == ("refuse_reoffer", status)
    assert leg.is_answered
    world.media.failures.clear()
    world.legs.handle_sip_event(reoffer(leg, OFFER))
    await settle()
    assert world.sip.last.sdp == world.sip.of("answer")[0].sdp
    await leg.hangup()


async def test_reinvite_without_sdp_gets_the_full_offer() -> None:
    world, leg = await confirmed()
    world.legs.handle_sip_event(reoffer(leg, None))
    await settle()
    offer = parse_sdp(world.sip.last.sdp or b"")
    assert offer.media[0].formats == ("0", "8", "96")
    assert offer.origin.version == "2"
    world.legs.handle_sip_event(ReofferConfirmed(leg.invite_id, ANSWER))
    await settle()
    assert world.media.of_type(SetRemote)[-1].address.port == 50_000
    assert any(isinstance(event, LegRenegotiated) for event in world.told(leg))
    world.legs.handle_sip_event(ReofferConfirmed(leg.invite_id, None))
    await leg.hangup()
    await world.assert_nothing_left()


async def test_unusable_answer_to_our_reoffer_ends_with_bye() -> None:
    world, leg = await confirmed()
    world.legs.handle_sip_event(reoffer(leg, None))
    await settle()
    world.legs.handle_sip_event(ReofferConfirmed(leg.invite_id, b"junk"))
    await leg.wait_ended()
    assert world.end_of(leg).kind is LegEndKind.NO_COMMON_CODEC


async def test_reoffer_in_the_middle_of_an_exchange_is_491() -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    world.media.hold(SetRemote).clear()
    world.legs.handle_sip_event(Answered(leg.invite_id, ANSWER, response(200)))
    await settle()
    world.legs.handle_sip_event(reoffer(leg, OFFER))
    assert (world.sip.last.verb, world.sip.last.status) == ("refuse_reoffer", 491)


async def test_hang_up_during_a_reoffer_leaves_nothing() -> None:
    world, leg = await confirmed()
    gate = world.media.hold(SetRemote)
    world.legs.handle_sip_event(reoffer(leg, OFFER + b"a=sendonly\r\n"))
    await settle()
    world.legs.handle_sip_event(HungUp(leg.invite_id, bye(), EndDetail.REMOTE))
    gate.set()
    await leg.wait_ended()
    assert world.end_of(leg).kind is LegEndKind.REMOTE_HANGUP
    await world.assert_nothing_left()


# Digits, commands, listeners.


def digits_of(world: LegsOnFakes, leg: SipLeg) -> list[str]:
    """Return the digits that were reported."""
    media = [event.event for event in world.told(leg) if isinstance(event, LegMedia)]
    return [event.digit for event in media if isinstance(event, DigitReceived)]


async def test_digits_by_info_pass_by_the_worker_which_hears_rtp_too() -> None:
    world, leg = await confirmed()
    info = InfoReceived(leg.invite_id, "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n")
    world.legs.handle_sip_event(info)
    world.legs.handle_sip_event(InfoReceived(leg.invite_id, "application/dtmf-relay", b"junk"))
    await settle()
    reported = [command for command in world.media.commands if isinstance(command, ReportDigit)]
    assert [(command.session_id, command.digit, command.duration_ms) for command in reported] == [
        (leg.session_id, "5", 160)
    ]
    assert digits_of(world, leg) == []
    world.media.press(leg.session_id, "5")
    assert digits_of(world, leg) == ["5"]
    await leg.hangup()
    world.legs.handle_sip_event(info)
    await settle()
    assert sum(isinstance(command, ReportDigit) for command in world.media.commands) == 1


async def test_digit_by_info_that_the_worker_refuses_costs_no_call() -> None:
    world, leg = await confirmed()
    world.media.fail(ReportDigit, CommandRejected("refused", reject=RejectCode.INVALID))
    world.legs.handle_sip_event(InfoReceived(leg.invite_id, "application/dtmf", b"7"))
    await settle()
    assert leg.end is None
    await leg.hangup()
    await world.assert_nothing_left()


async def test_commands_reach_the_session_of_a_live_leg_only() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    play = Play(command_id=leg.new_command_id(), session_id=leg.session_id, play_id="p", path="/x.wav")  # type: ignore[arg-type]  # a plain id will do
    with pytest.raises(LegOver):
        await leg.media(play)
    await leg.answer()
    await leg.media(play)
    assert world.media.of_type(Play) == [play]
    await leg.hangup()
    with pytest.raises(LegOver):
        await leg.media(play)


async def test_info_goes_out_inside_a_live_dialog_only() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    with pytest.raises(LegOver):
        await leg.send_info("application/dtmf", b"5")
    await leg.answer()
    await leg.send_info("application/dtmf", b"5")
    assert (world.sip.last.verb, world.sip.last.sdp) == ("send_info", b"5")
    await leg.hangup()


async def test_events_wait_for_their_listener_and_are_bounded() -> None:
    world = LegsOnFakes(SignallingSettings(maximum_waiting_events=3))
    leg = world.call_in()
    leg.listener = None
    await leg.answer()
    await leg.hangup()
    heard: list[LegEvent] = []
    leg.listener = heard.append
    assert [type(event) for event in heard] == [LegAnswered, LegMedia, LegEnded]


async def test_broken_listener_does_not_keep_a_leg_alive() -> None:
    world = LegsOnFakes()
    leg = world.call_in()

    def broken(event: LegEvent) -> None:
        raise ZeroDivisionError

    leg.listener = broken
    await leg.answer()
    await leg.hangup()
    await world.assert_nothing_left()


async def test_every_step_is_on_the_timeline() -> None:
    world, leg = await confirmed()
    await leg.hangup()
    assert [fields["event"] for fields in world.facts.of("leg")] == ["answered", "confirmed", "ended"]
    assert world.facts.of("leg", "answered")[0]["codec"] == "PCMA"
    assert world.facts.of("leg", "ended")[0]["kind"] == "local-hangup"
    assert {call_uuid for call_uuid, _, _ in world.facts.rows} == {leg.call_uuid}


async def test_broken_sip_verb_costs_one_leg() -> None:
    world = LegsOnFakes()
    leg = world.call_in()

    def broken(*args: object, **kwargs: object) -> bool:
        raise ZeroDivisionError

    world.sip.progress = broken  # type: ignore[method-assign]  # a fault
    await leg.ring()
    await leg.wait_ended()
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 500)
    assert world.end_of(leg).kind is LegEndKind.MEDIA_FAILED
    await world.assert_nothing_left()


async def test_worker_that_dies_under_early_media_cancels() -> None:
    world = LegsOnFakes()
    leg = await world.dialled()
    world.media.fail(SetRemote)
    world.legs.handle_sip_event(Progressed(leg.invite_id, 183, "", ANSWER, response(183)))
    await leg.wait_ended()
    assert world.sip.last.verb == "hangup"
    assert world.end_of(leg).kind is LegEndKind.WORKER_LOST
    await world.assert_nothing_left()


async def test_leg_can_be_looked_at() -> None:
    world = LegsOnFakes()
    leg = world.call_in()
    assert leg.listener is not None
    assert (leg.state.value, leg.end) == ("incoming", None)
    assert repr(leg) == f"SipLeg({leg.leg_id}, inbound, incoming)"
    await leg.hangup()
    assert leg.end is world.end_of(leg)
