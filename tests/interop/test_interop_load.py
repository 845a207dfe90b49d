"""Twenty calls a second for ten seconds, every twentieth message lost by SIPp: all calls complete, nothing stays."""

from __future__ import annotations

import pytest
from tests.support.interop_stage import ECHO, SCENARIOS
from tests.support.sipp import sipp

from ringback.testing.platform import Platform

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(240)]
CALLS, PER_SECOND, LOST_PERCENT, TALK_MS = 200, 20, 5, 1_000


async def test_every_call_completes_although_messages_are_lost(load_platform: Platform) -> None:
    async with sipp(
        SCENARIOS / "uac_call.xml",
        *("-s", ECHO, "-r", str(PER_SECOND), "-l", str(CALLS), "-lost", str(LOST_PERCENT)),
        *("-d", str(TALK_MS), "-rtp_echo"),
        remote=(load_platform.sip_host, load_platform.sip_port),
        calls=CALLS,
        keys={"rtp_port": "[media_port]", "formats": "0"},
    ) as peer:
        run = (await peer.finish()).check()
    assert run.trace.count(" lost (") > CALLS * LOST_PERCENT // 100, "SIPp lost nothing"
    # SIPp leaves when each of its BYEs is answered.
    load_platform.assert_idle()
    pages = [load_platform.api.account("Call/", limit=20, offset=offset) for offset in range(0, CALLS, 20)]
    assert pages[0]["meta"]["total_count"] == CALLS
    records = [record for page in pages for record in page["objects"]]
    assert len({record["call_uuid"] for record in records}) == CALLS
    assert {record["hangup_cause_code"] for record in records} == {4000}
