"""The record of a confirmed leg."""

from __future__ import annotations

import json
from dataclasses import asdict

from tests.support.fake_sip import OFFER
from tests.support.legs_on_fakes import LegsOnFakes

from ringback.sdp.parser import parse_sdp
from ringback.signalling.journal import read, written
from ringback.sip.dialog import Dialog, DialogId
from ringback.sip.endpoint import Confirmed
from ringback.sip.flow import Flow, Transport


async def test_record_exists_while_confirmed_and_is_plain_and_small() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    assert leg.record() is None
    world.legs.handle_sip_event(Confirmed(leg.invite_id, None))
    record = leg.record()
    assert record is not None
    assert len(json.dumps(asdict(record))) <= 2048
    assert (record.direction, record.sdp_version, record.local_rtp_port) == ("inbound", 1, 20_000)
    assert parse_sdp(record.remote_sdp.encode()) == parse_sdp(OFFER)
    assert record.local_sdp.encode() == world.sip.of("answer")[0].sdp
    await leg.hangup()
    assert leg.record() is None


DIALOG = Dialog(
    DialogId("call-1", "ours", "theirs"),
    "<sip:us@h>;tag=ours",
    "<sip:them@h>;tag=theirs",
    7,
    3,
    "sip:them@192.0.2.1:5062",
    ("<sip:proxy@192.0.2.9;lr>",),
    "<sip:us@192.0.2.7>",
    False,
    Flow(Transport.UDP, ("192.0.2.7", 5060), ("192.0.2.9", 5060)),
)


def test_a_dialog_survives_being_written() -> None:
    assert read(written(DIALOG)) == DIALOG
    assert read("nonsense") is None
    assert read("") is None


async def test_legs_of_an_earlier_server_are_left_once_each() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    assert leg.dialog_text() == ""
    world.sip.dialogs[leg.invite_id] = DIALOG
    assert world.legs.leave([leg.dialog_text(), "nonsense"]) == 1
    assert world.sip.left == [DIALOG]
    await leg.hangup()
