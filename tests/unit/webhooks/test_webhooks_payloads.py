"""Parameter sets of callbacks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.webhooks.payloads import (
    CallFacts,
    HangupFacts,
    StreamFacts,
    answer_params,
    hangup_params,
    micro_text,
    ring_params,
    second_text,
    stream_status_params,
    without_plus,
)

START = 1_586_345_673_238
CALL = CallFacts(
    call_uuid="c1",
    from_number="+19792014278",
    to_number="+15550001000",
    direction="inbound",
    parent_auth_id="MA1",
    session_start_wall_ms=START,
)


def test_inbound_answer_carries_the_base_set() -> None:
    assert answer_params(CALL, "ringing") == {
        "CallUUID": "c1",
        "From": "19792014278",
        "To": "15550001000",
        "Direction": "inbound",
        "CallStatus": "ringing",
        "Event": "StartApp",
        "BillRate": "0.00000",
        "ParentAuthID": "MA1",
        "SessionStart": "2020-04-08 11:34:33.238000",
    }


def test_outbound_answer_has_the_names_of_the_capture() -> None:
    facts = replace(
        CALL,
        direction="outbound",
        to_number="sip:alice@phone.example.com",
        request_uuid="c1",
        sip_headers=(("To", "<sip:alice@1.2.3.4>;tag=1"),),
    )
    captured = {"Direction", "From", "ALegUUID", "CallStatus", "BillRate", "ParentAuthID", "To", "ALegRequestUUID"}
    captured |= {"CallUUID", "RequestUUID", "SIP-H-To", "SessionStart", "Event"}
    params = answer_params(facts, "in-progress")
    assert set(params) == captured
    assert params["To"] == "sip:alice@phone.example.com"
    assert params["RequestUUID"] == params["ALegUUID"] == params["ALegRequestUUID"] == "c1"


def test_optional_values_appear_when_there_are_any() -> None:
    facts = replace(
        CALL,
        caller_name="Alice",
        forwarded_from="+15550009999",
        stir_verification="Verified",
        stir_attestation="A",
        source_ip="192.0.2.1",
        custom_headers=(("X-PH-Account", "7"), ("x-ph-Tier", "gold"), ("Plain", "1")),
    )
    params = answer_params(facts, "ringing", {"Digits": "1", "CallStatus": "in-progress"})
    assert params["CallerName"] == "Alice"
    assert params["ForwardedFrom"] == "15550009999"
    assert params["STIRVerification"] == "Verified"
    assert params["SIPSourceIP"] == "192.0.2.1"
    assert (params["X-PH-Account"], params["X-PH-Tier"], params["X-PH-Plain"]) == ("7", "gold", "1")
    assert params["Digits"] == "1"
    assert params["CallStatus"] == "in-progress", "what the element adds wins"


def test_ring_and_hangup_carry_their_events() -> None:
    facts = replace(CALL, direction="outbound")
    ring = ring_params(facts)
    assert (ring["Event"], ring["CallStatus"], ring["RequestUUID"]) == ("Ring", "ringing", "c1")
    hangup = HangupFacts(
        cause="NORMAL_CLEARING",
        cause_name="Normal Hangup",
        cause_code=4000,
        source="Caller",
        call_status="completed",
        duration_s=61,
        bill_duration_s=120,
        start_wall_ms=START,
        answer_wall_ms=START + 1000,
        end_wall_ms=START + 62_000,
    )
    params = hangup_params(facts, hangup)
    expected = {
        "Event": "Hangup",
        "CallStatus": "completed",
        "HangupCause": "NORMAL_CLEARING",
        "HangupCauseName": "Normal Hangup",
        "HangupCauseCode": "4000",
        "HangupSource": "Caller",
        "Duration": "61",
        "BillDuration": "120",
        "TotalCost": "0.00000",
        "StartTime": "2020-04-08 11:34:33",
        "AnswerTime": "2020-04-08 11:34:34",
        "EndTime": "2020-04-08 11:35:35",
        "SessionStart": "2020-04-08 11:34:33",
    }
    assert params.items() >= expected.items()
    assert hangup_params(facts, replace(hangup, answer_wall_ms=None))["AnswerTime"] == ""


def test_stream_status_has_both_schemes_and_no_call_status() -> None:
    facts = StreamFacts("c1", "s1", "+1", "+2", "inbound", "MA1", "wss://a/ws", "https://a/status")
    params = stream_status_params(facts, "StopStream", START, "completed", 12)
    assert params["Event"] == "StopStream"
    assert params["StreamID"] == "s1"
    assert params["Timestamp"] == "2020-04-08 11:34:33"
    assert (params["StatusReason"], params["Duration"]) == ("completed", "12")
    assert params["ServiceURL"] == "wss://a/ws"
    assert params["From"] == "1"
    assert "CallStatus" not in params
    dropped = stream_status_params(facts, "DroppedStream", START, "connection_failed", error="refused")
    assert dropped["Error"] == "refused"
    assert "Duration" not in dropped
    assert all(isinstance(value, str) for value in params.values())


@pytest.mark.parametrize(
    ("given", "sent"), [("+15550001000", "15550001000"), ("15550001000", "15550001000"), ("+", "+"), ("+x", "+x")]
)
def test_numbers_lose_their_plus(given: str, sent: str) -> None:
    assert without_plus(given) == sent


def test_times_are_utc() -> None:
    assert second_text(0) == "1970-01-01 00:00:00"
    assert micro_text(1) == "1970-01-01 00:00:00.001000"
