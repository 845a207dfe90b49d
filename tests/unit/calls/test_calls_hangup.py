import pytest

from ringback.calls.hangup import NAMES, Code, HangupSource, code_of_refusal, hangup, hangup_of_leg, q850_cause
from ringback.signalling.events import LegEnd, LegEndKind


@pytest.mark.parametrize(
    ("status", "code", "cause", "call_status"),
    [
        (486, 3010, "USER_BUSY", "busy"),
        (600, 3100, "USER_BUSY", "busy"),
        (480, 3000, "NO_ANSWER", "no-answer"),
        (403, 3040, "CALL_REJECTED", "failed"),
        (603, 3110, "CALL_REJECTED", "busy"),
        (607, 3130, "CALL_REJECTED", "failed"),
        (404, 3050, "UNALLOCATED_NUMBER", "failed"),
        (410, 3050, "UNALLOCATED_NUMBER", "failed"),
        (604, 3120, "UNALLOCATED_NUMBER", "failed"),
        (484, 2000, "INVALID_NUMBER_FORMAT", "failed"),
        (408, 3070, "RECOVERY_ON_TIMER_EXPIRE", "failed"),
        (504, 3070, "RECOVERY_ON_TIMER_EXPIRE", "failed"),
        (482, 2060, "EXCHANGE_ROUTING_ERROR", "failed"),
        (407, 4210, "CALL_REJECTED", "failed"),
        (488, 5020, "BEARERCAPABILITY_NOTAVAIL", "failed"),
        (500, 3080, "NETWORK_OUT_OF_ORDER", "failed"),
        (502, 3080, "NETWORK_OUT_OF_ORDER", "failed"),
        (599, 3080, "NETWORK_OUT_OF_ORDER", "failed"),
        (503, 3090, "NETWORK_OUT_OF_ORDER", "failed"),
        (302, 5020, "NO_ROUTE_DESTINATION", "failed"),
        (421, 5020, "NO_ROUTE_DESTINATION", "failed"),
        (699, 3110, "CALL_REJECTED", "busy"),
    ],
)
def test_sip_refusals_map_to_the_table_of_causes(status: int, code: int, cause: str, call_status: str):
    end = LegEnd(LegEndKind.REFUSED, sip_status=status, sip_reason="x")
    found = hangup_of_leg(end, inbound=False, answered=False)
    assert (found.code, found.cause, found.status, found.source) == (code, cause, call_status, HangupSource.CALLEE)


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (480, "Q.850;cause=17", 3010),
        (500, 'Q.850 ;cause=1;text="unallocated"', 3050),
        (503, "SIP;cause=200, Q.850;cause=102", 3070),
        (421, "Q.850;cause=21", 3020),
        (480, "Q.850;cause=16", 3000),
        (486, "Q.850;cause=1", 3010),
        (480, "Q.850;cause=abc", 3000),
    ],
)
def test_q850_refines_only_statuses_that_collapse_causes(status: int, reason: str, code: int):
    assert code_of_refusal(status, reason) == code


def test_q850_is_read_from_any_value_of_the_header():
    assert q850_cause("SIP;cause=486, Q.850;text=x;cause=34") == 34
    assert q850_cause("SIP;cause=486") is None
    assert q850_cause("") is None


def test_who_hung_up_is_the_source():
    bye = LegEnd(LegEndKind.REMOTE_HANGUP)
    assert hangup_of_leg(bye, inbound=True, answered=True).source is HangupSource.CALLER
    assert hangup_of_leg(bye, inbound=False, answered=True).source is HangupSource.CALLEE
    assert hangup_of_leg(bye, inbound=True, answered=True).code == Code.NORMAL


def test_every_way_a_leg_ends_has_a_cause_with_a_published_name():
    for kind in LegEndKind:
        found = hangup_of_leg(LegEnd(kind, sip_status=486), inbound=True, answered=True)
        assert found.code in NAMES
        assert found.name != "Unknown"


def test_limits_have_their_own_codes():
    ring = hangup_of_leg(LegEnd(LegEndKind.RING_TIMEOUT), inbound=False, answered=False)
    assert (ring.code, ring.status, ring.cause) == (6010, "no-answer", "NO_ANSWER")
    media = hangup_of_leg(LegEnd(LegEndKind.MEDIA_TIMEOUT), inbound=False, answered=True)
    assert (media.code, media.cause) == (6020, "NETWORK_OUT_OF_ORDER")


def test_every_code_we_use_is_published():
    assert {int(code) for code in Code} <= set(NAMES)
    assert hangup(4010, HangupSource.XML).name == "End Of XML Instructions"
