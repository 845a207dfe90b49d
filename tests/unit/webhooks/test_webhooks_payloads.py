"""Parameter sets of callbacks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.webhooks.payloads import (
    CallFacts,
    HangupFacts,
    StatusScheme,
    StreamFacts,
    answer_params,
    hangup_params,
    micro_text,
    ring_params,
    second_text,
    spelt,
    stream_status_params,
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
    assert spelt(given, has_plus=False) == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("15550001000", "+15550001000"),
        ("+15550001000", "+15550001000"),
        ("2901234", "+2901234"),
        ("290123", "290123"),
        ("+290123", "290123"),
        ("123456789012345", "+123456789012345"),
        ("1234567890123456", "1234567890123456"),
        ("0301234567", "0301234567"),
        ("sip:alice@phone.example.com", "sip:alice@phone.example.com"),
        ("anonymous", "anonymous"),
        ("", ""),
    ],
)
def test_numbers_get_a_plus_where_they_can_be_e164(given: str, sent: str) -> None:
    assert spelt(given, has_plus=True) == sent


def test_every_callback_of_a_call_spells_numbers_alike() -> None:
    facts = replace(CALL, has_plus=True, forwarded_from="4930123456")
    for params in (answer_params(facts, "ringing"), ring_params(facts)):
        assert (params["From"], params["To"]) == ("+19792014278", "+15550001000")
    assert answer_params(facts, "ringing")["ForwardedFrom"] == "+4930123456"


@pytest.mark.parametrize(
    ("event", "short"),
    [
        ("StartStream", "started"),
        ("StopStream", "stopped"),
        ("DroppedStream", "failed"),
        ("DegradedStream", "degraded"),
    ],
)
def test_the_second_scheme_of_stream_status(event: str, short: str) -> None:
    first = StreamFacts("c1", "s1", "19792014278", "100", "inbound", "MA1", "wss://a/ws", "https://a/status")
    params = stream_status_params(replace(first, scheme=StatusScheme.STARTED), event, START, "completed", 12, "why")
    assert (params["Event"], params["Timestamp"]) == (short, "2020-04-08T11:34:33Z")
    assert (params["From"], params["To"]) == ("+19792014278", "100")
    plain = stream_status_params(first, event, START, "completed", 12, "why")
    assert list(params) == list(plain), "the rest is the same"
    assert "CallStatus" not in params
    plus = stream_status_params(replace(first, has_plus=True), event, START)
    assert (plus["Event"], plus["From"]) == (event, "+19792014278")


def test_times_are_utc() -> None:
    assert second_text(0) == "1970-01-01 00:00:00"
    assert micro_text(1) == "1970-01-01 00:00:00.001000"
