"""What SIP's ends mean for a leg, and what the peer is told."""

from __future__ import annotations

import pytest
from tests.support.fake_sip import bye, response

from ringback.signalling.events import LegEnd, LegEndKind
from ringback.signalling.leg_ends import (
    end_of_dialog,
    end_of_refusal,
    reason_of_end,
    status_of_cause,
    warning_header,
)
from ringback.sip.endpoint import EndDetail, HungUp, InviteId, Refused
from ringback.sip.header_fields import application_header

ID = InviteId("i")


@pytest.mark.parametrize("detail", list(EndDetail))
def test_every_detail_of_a_refusal_is_an_end_with_its_status(detail: EndDetail) -> None:
    end = end_of_refusal(Refused(ID, 503, "Full", response(503, ("Reason", "Q.850;cause=34")), False, detail))
    assert (end.sip_status, end.sip_reason, end.reason_header) == (503, "Full", "Q.850;cause=34")
    assert end.kind in (LegEndKind.REFUSED, LegEndKind.REQUEST_TIMEOUT, LegEndKind.TRANSPORT)


@pytest.mark.parametrize("detail", list(EndDetail))
def test_every_detail_of_a_lost_dialog_is_an_end(detail: EndDetail) -> None:
    end = end_of_dialog(HungUp(ID, bye(("Reason", "SIP;cause=200")), detail))
    assert end.reason_header == "SIP;cause=200"
    assert end.sip_status == 0
    assert (end.kind is LegEndKind.REMOTE_HANGUP) is (detail is EndDetail.REMOTE)


@pytest.mark.parametrize(
    ("cause", "status"), [(1, 404), (16, 480), (17, 486), (21, 603), (34, 503), (0, 480), (999, 480)]
)
def test_status_before_the_answer(cause: int, status: int) -> None:
    assert status_of_cause(cause) == status


def test_peer_is_told_why() -> None:
    assert str(reason_of_end(None)) == str(reason_of_end(LegEnd(LegEndKind.LOCAL_HANGUP))) == "Q.850;cause=16"
    assert reason_of_end(LegEnd(LegEndKind.RING_TIMEOUT)).cause == 19


def test_warning_can_always_be_sent() -> None:
    name, value = warning_header('found "x\\"\r\n' + "y" * 1000)
    assert application_header(name, value) == (name, value)
    assert value.startswith('399 ringback "found x')
    assert len(value) < 400
