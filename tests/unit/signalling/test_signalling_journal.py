"""The record of a confirmed leg."""

from __future__ import annotations

import json
from dataclasses import asdict

from tests.support.fake_sip import OFFER
from tests.support.legs_on_fakes import LegsOnFakes

from ringback.sdp.parser import parse_sdp
from ringback.sip.endpoint import Confirmed


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
