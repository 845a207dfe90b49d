"""Every call that the official Python SDK makes about calls and streams."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import plivo
import pytest
from plivo.exceptions import (
    AuthenticationError,
    GeoPermissionError,
    InvalidRequestError,
    ResourceNotFoundError,
    ValidationError,
)
from tests.support.api_server import AUTH_ID, ApiServer

from ringback import clock
from ringback.calls.views import CallDirection, LiveStatus
from ringback.errors import NotAllowed
from ringback.media.control.values import Track

ANSWER_URL = "https://yourserver.example.com/answer"


def make(client: plivo.RestClient, **more: object) -> str:
    made = client.calls.create("14151234567", "+14157654321", ANSWER_URL, **more)
    return str(made.request_uuid)


def test_create_with_defaults(api: ApiServer, client: plivo.RestClient) -> None:
    made = client.calls.create("+14151234567", "+14157654321", ANSWER_URL)
    assert made.message == "call fired"
    assert len(made.api_id) == 36
    (request,) = api.calls.made
    assert (request.from_number, request.to, request.answer_url) == ("14151234567", "14157654321", ANSWER_URL)
    assert (request.answer_method, request.ring_timeout_s, request.time_limit_s) == ("POST", 120, 14_400)
    assert client.live_calls.get(made.request_uuid).call_uuid == made.request_uuid


def test_create_with_every_parameter(api: ApiServer, client: plivo.RestClient) -> None:
    make(
        client,
        answer_method="GET",
        ring_url="https://h.example/ring",
        ring_method="GET",
        hangup_url="https://h.example/hangup",
        hangup_method="GET",
        fallback_url="https://h.example/fallback",
        fallback_method="GET",
        caller_name="Ringback",
        send_digits="1234wW#@1000",
        send_on_preanswer=True,
        time_limit=90_000,
        hangup_on_ring=0,
        machine_detection_time=2000,
        machine_detection_url="https://h.example/machine",
        sip_headers="Test=Sample,Other=a b",
        ring_timeout=30,
        parent_call_uuid="0b6a6e1c-0000-4000-8000-000000000000",
        error_if_parent_not_found=True,
    )
    (request,) = api.calls.made
    assert request.ring_url == "https://h.example/ring"
    assert request.ring_method == request.hangup_method == request.fallback_method == request.answer_method == "GET"
    assert request.hangup_url == "https://h.example/hangup"
    assert request.fallback_url == "https://h.example/fallback"
    assert request.caller_name == "Ringback"
    assert request.send_digits == "1234wW#@1000"
    assert request.send_on_preanswer is True
    assert request.time_limit_s == 86_400
    assert request.hangup_on_ring_s == 0
    assert request.ring_timeout_s == 30
    assert request.sip_headers == (("Test", "Sample"), ("Other", "a b"))
    assert request.parent_call_uuid == "0b6a6e1c-0000-4000-8000-000000000000"
    assert request.error_if_parent_not_found is True


def test_create_to_a_sip_uri(api: ApiServer, client: plivo.RestClient) -> None:
    client.calls.create("14151234567", "sip:alice@127.0.0.1:5070;transport=udp", ANSWER_URL)
    assert api.calls.made[0].to == "sip:alice@127.0.0.1:5070;transport=udp"


def test_create_many_calls_at_once(api: ApiServer, client: plivo.RestClient) -> None:
    made = client.calls.create(
        "14151234567", "14157654321<+14157654322< sip:a@h.example <", ANSWER_URL, caller_name="Shop", send_digits="1w2"
    )
    assert made.message == "calls fired"
    assert made.request_uuid == list(api.calls.live)
    assert [request.to for request in api.calls.made] == ["14157654321", "14157654322", "sip:a@h.example"]
    assert {(request.caller_name, request.send_digits) for request in api.calls.made} == {("Shop", "1w2")}


def test_one_destination_with_a_separator_is_one_call(api: ApiServer, client: plivo.RestClient) -> None:
    made = client.calls.create("14151234567", "14157654321<", ANSWER_URL)
    assert (made.message, made.request_uuid) == ("call fired", next(iter(api.calls.live)))


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("14157654321<+1 415 765 4321", "'14157654321' stands twice"),
        ("14157654321<nobody here", "expected a phone number"),
        ("<<", "it names no destination"),
        ("<".join(str(14150000000 + index) for index in range(1001)), "1001 destinations, expected at most 1000"),
    ],
)
def test_wrong_lists_of_destinations_are_refused_whole(
    api: ApiServer, client: plivo.RestClient, to: str, message: str
) -> None:
    with pytest.raises(ValidationError, match=f"to parameter is invalid: .*{re.escape(message)}"):
        client.calls.create("17777777777", to, ANSWER_URL)
    assert api.calls.made == []


def test_a_thousand_destinations_are_accepted(api: ApiServer, client: plivo.RestClient) -> None:
    made = client.calls.create("17777777777", "<".join(str(14150000000 + index) for index in range(1000)), ANSWER_URL)
    assert len(made.request_uuid) == len(set(made.request_uuid)) == 1000


def test_a_call_that_must_wait_is_queued(api: ApiServer, client: plivo.RestClient) -> None:
    api.calls.is_queueing = True
    made = client.calls.create("14151234567", "14157654321", ANSWER_URL)
    assert made.message == "call queued"
    assert client.queued_calls.list_ids().calls == [made.request_uuid]
    assert client.queued_calls.get(made.request_uuid).call_status == "queued"
    client.calls.cancel(made.request_uuid)
    assert client.queued_calls.list_ids().calls == []


def test_a_barred_destination_is_a_geo_permission_error(api: ApiServer, client: plivo.RestClient) -> None:
    api.calls.failure = NotAllowed("Calls to this destination number are barred")
    with pytest.raises(GeoPermissionError, match="Calls to this destination number are barred"):
        make(client)


def test_failure_after_a_side_effect_is_not_repeated_by_the_sdk(api: ApiServer, client: plivo.RestClient) -> None:
    api.calls.failure = ValueError("the database vanished")
    with pytest.raises(InvalidRequestError, match="may have taken effect"):
        make(client)
    assert len(api.calls.made) == 1


def test_machine_detection_reaches_the_port(api: ApiServer, client: plivo.RestClient) -> None:
    make(client, machine_detection="hangup", machine_detection_time=3000)
    make(client)
    detected, plain = (request.machine_detection for request in api.calls.made)
    assert detected is not None
    assert plain is None


def test_live_and_queued_lists(api: ApiServer, client: plivo.RestClient) -> None:
    first, second = api.calls.add(from_number="14150000001"), api.calls.add(from_number="14160000001")
    queued = api.calls.add(status=LiveStatus.QUEUED)
    assert client.live_calls.list_ids().calls == [second, first]
    assert client.live_calls.list_ids(from_number="+1415", limit=5).calls == [first]
    assert client.live_calls.list_ids(call_direction="inbound").calls == []
    assert client.live_calls.list_ids(limit=1, offset=1).calls == [first]
    assert client.queued_calls.list_ids().calls == [queued]
    assert client.calls.list(status="live").calls == [second, first]


def test_live_and_queued_calls(api: ApiServer, client: plivo.RestClient) -> None:
    live, ringing = api.calls.add(caller_name="Alice"), api.calls.add(status=LiveStatus.RINGING)
    queued = api.calls.add(status=LiveStatus.QUEUED)
    found = client.live_calls.get(live)
    assert (found.call_status, found.direction, found.caller_name) == ("in-progress", "outbound", "Alice")
    assert found["from"] == "14150000001"
    assert (found.to, found.request_uuid) == ("14150000002", live)
    assert found.session_start == "2017-05-22 13:17:49.050000"
    assert client.live_calls.get(ringing).call_status == "ringing"
    assert client.queued_calls.get(queued).call_status == "queued"
    with pytest.raises(ResourceNotFoundError):
        client.live_calls.get(queued)
    with pytest.raises(ResourceNotFoundError):
        client.queued_calls.get(live)
    with pytest.raises(ResourceNotFoundError, match="no live call of this id"):
        client.live_calls.get("0b6a6e1c-0000-4000-8000-000000000000")


def test_hangup_then_record(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = make(client)
    with pytest.raises(ResourceNotFoundError):
        client.calls.get(call_uuid)
    client.calls.hangup(call_uuid)
    with pytest.raises(ResourceNotFoundError, match="no live call of this id"):
        client.calls.delete(call_uuid)
    record = client.calls.get(call_uuid)
    assert record.__dict__ == {
        "api_id": record.api_id,
        "answer_time": "2017-05-22 18:47:54+05:30",
        "bill_duration": 924,
        "billed_duration": 960,
        "call_direction": "outbound",
        "call_duration": 924,
        "call_state": "ANSWER",
        "call_uuid": call_uuid,
        "cnam_lookup": "",
        "conference_uuid": None,
        "end_time": "2017-05-22 19:03:18+05:30",
        "from_number": "14151234567",
        "hangup_cause_code": 4000,
        "hangup_cause_name": "Normal Hangup",
        "hangup_source": "API Request",
        "initiation_time": "2017-05-22 18:47:49+05:30",
        "parent_call_uuid": None,
        "resource_uri": f"/v1/Account/{AUTH_ID}/Call/{call_uuid}/",
        "source_ip": "",
        "stir_attestation": "",
        "stir_verification": "Not Applicable",
        "to_number": "14157654321",
        "total_amount": "0.00000",
        "total_rate": "0.00000",
        "voice_network_group": "",
    }


def test_records_are_listed_in_pages(api: ApiServer, client: plivo.RestClient) -> None:
    uuids = [make(client) for _ in range(5)]
    for call_uuid in uuids:
        client.calls.delete(call_uuid)
    page = client.calls.list(limit=2, offset=2)
    assert [record.call_uuid for record in page] == [uuids[2], uuids[1]]
    assert page.meta.total_count == 5
    assert page.meta.next.startswith(f"/v1/Account/{AUTH_ID}/Call/?limit=2&offset=4&cursor=")
    assert page.meta.previous == f"/v1/Account/{AUTH_ID}/Call/?limit=2&offset=0"
    assert [record.call_uuid for record in client.calls] == uuids[::-1]


def test_a_cursor_goes_on_behind_the_last_page_whatever_has_come_since(
    api: ApiServer, client: plivo.RestClient
) -> None:
    uuids = [make(client) for _ in range(5)]
    for call_uuid in uuids:
        client.calls.delete(call_uuid)
    link = client.calls.list(limit=2).meta.next
    client.calls.delete(make(client))
    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    for page in (
        client.calls.list(limit=2, cursor=cursor),
        client.calls.list(limit=2, offset=1, cursor=cursor),
        client.calls.list(limit=2, cursor=link),
    ):
        assert [record.call_uuid for record in page] == [uuids[2], uuids[1]]
        assert (page.meta.offset, page.meta.total_count) == (2, 6)
    last = api.request("GET", page.meta.next)
    assert [record["call_uuid"] for record in last.json["objects"]] == [uuids[0]]
    assert last.json["meta"]["next"] is None
    for wrong in ("abc", "MS4y", "x" * 600, "é"):
        with pytest.raises(ValidationError, match=r"cursor parameter is invalid: .*, expected that of a meta.next"):
            client.calls.list(cursor=wrong)


@pytest.mark.parametrize(
    ("filters", "bounds"),
    [
        ({"end_time": "2017-05-22 13:17:49"}, [("__gte", 1_495_459_069_000), ("__lt", 1_495_459_070_000)]),
        ({"end_time": "2017-05-22 18:47:49+05:30"}, [("__gte", 1_495_459_069_000), ("__lt", 1_495_459_070_000)]),
        ({"end_time": "2017-05-22 13:17:49.523"}, [("__gte", 1_495_459_069_523), ("__lt", 1_495_459_069_524)]),
        ({"end_time__gt": "2017-05-22 13:17:49"}, [("__gte", 1_495_459_070_000)]),
        ({"end_time__lte": "2017-05-22 13:17:49"}, [("__lt", 1_495_459_070_000)]),
    ],
)
def test_a_time_finds_what_is_shown_with_it(
    api: ApiServer, client: plivo.RestClient, filters: dict[str, str], bounds: list[tuple[str, int]]
) -> None:
    client.calls.list(**filters)
    (asked,) = api.calls.asked
    assert [(bound.comparison.value, bound.value) for bound in asked.ended_wall_ms] == bounds


def test_record_filters_reach_the_port(api: ApiServer, client: plivo.RestClient) -> None:
    client.calls.list(
        call_direction="inbound",
        from_number="+14151234567",
        to_number="1415",
        end_time__gte="2017-05-22 13:17",
        end_time__lt="2017-05-22 13:17:49.050872",
        bill_duration=60,
        parent_call_uuid="p",
        hangup_cause_code=4000,
        hangup_source="API Request",
    )
    (filters,) = api.calls.asked
    assert filters.direction is CallDirection.INBOUND
    assert (filters.from_number, filters.to_number) == ("14151234567", "1415")
    assert [(bound.comparison.value, bound.value) for bound in filters.ended_wall_ms] == [
        ("__gte", 1_495_459_020_000),
        ("__lt", 1_495_459_069_050),
    ]
    assert [(bound.comparison.value, bound.value) for bound in filters.bill_duration_s] == [("", 60)]
    assert (filters.parent_call_uuid, filters.hangup_cause_code) == ("p", 4000)
    assert filters.hangup_source == "API Request"


def test_records_of_the_last_seven_days_are_listed_unless_asked_otherwise(
    api: ApiServer, client: plivo.RestClient
) -> None:
    client.calls.list()
    client.calls.list(end_time__lt="2017-05-22")
    week, asked = api.calls.asked
    assert [bound.comparison.value for bound in week.ended_wall_ms] == ["__gte"]
    assert abs(week.ended_wall_ms[0].value - (clock.wall_ms() - 7 * 86_400_000)) < 60_000
    assert [bound.comparison.value for bound in asked.ended_wall_ms] == ["__lt"]


def test_transfer(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add()
    answer = client.calls.transfer(call_uuid, legs="aleg", aleg_url="https://h.example/new", aleg_method="GET")
    assert answer.message == "call transfered"
    ((found, transfer),) = api.calls.transfers
    assert (found, transfer.legs, transfer.aleg_url, transfer.aleg_method) == (
        call_uuid,
        "aleg",
        "https://h.example/new",
        "GET",
    )
    with pytest.raises(ValidationError, match="aleg_url parameter is missing"):
        client.calls.update(call_uuid, legs="aleg")
    with pytest.raises(ValidationError, match="bleg_url parameter is missing"):
        client.calls.update(call_uuid, legs="both", aleg_url="https://h.example/new")
    with pytest.raises(ValidationError, match="no B leg"):
        client.calls.update(call_uuid, legs="bleg", bleg_url="https://h.example/new")
    with pytest.raises(ResourceNotFoundError):
        client.calls.update("unknown", legs="aleg", aleg_url="https://h.example/new")


@pytest.mark.parametrize(
    ("legs", "urls"),
    [
        ("bleg", {"bleg_url": "https://h.example/b", "bleg_method": "GET"}),
        (
            "both",
            {
                "aleg_url": "https://h.example/a",
                "aleg_method": "GET",
                "bleg_url": "https://h.example/b",
                "bleg_method": "POST",
            },
        ),
    ],
)
def test_transfer_of_a_bridge(api: ApiServer, client: plivo.RestClient, legs: str, urls: dict[str, str]) -> None:
    call_uuid = api.calls.add()
    api.calls.bridged.add(call_uuid)
    assert client.calls.transfer(call_uuid, legs=legs, **urls).message == "call transfered"
    ((found, transfer),) = api.calls.transfers
    assert (found, transfer.legs) == (call_uuid, legs)
    assert {name: getattr(transfer, name) for name in urls} == urls


def test_cancel(api: ApiServer, client: plivo.RestClient) -> None:
    ringing, answered = api.calls.add(status=LiveStatus.RINGING), api.calls.add()
    client.calls.cancel(ringing)
    assert ringing not in api.calls.live
    with pytest.raises(ResourceNotFoundError):
        client.calls.cancel(answered)


def test_streams_from_start_to_stop(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add()
    started = client.calls.start_stream(
        call_uuid,
        "wss://h.example/audio",
        bidirectional=False,
        audio_track="both",
        stream_timeout=3600,
        status_callback_url="https://h.example/status",
        status_callback_method="GET",
        content_type="audio/x-mulaw;rate=8000",
        extra_headers="a=b,c=d",
        cx_bot=True,
    )
    assert started.message == "audio streaming started"
    (spec,) = api.streams.started
    assert (spec.url, spec.audio_track, spec.stream_timeout_s) == ("wss://h.example/audio", Track.BOTH, 3600)
    assert (spec.content_type, spec.extra_headers) == ("audio/x-mulaw;rate=8000", "a=b,c=d")
    assert (spec.status_callback_url, spec.status_callback_method) == ("https://h.example/status", "GET")
    stream = client.calls.get_details_of_specific_stream(call_uuid, started.stream_id)
    assert stream.__dict__ == {
        "api_id": stream.api_id,
        "audio_track": "both",
        "bidirectional": False,
        "bill_duration": 0,
        "billed_amount": "0.00000",
        "call_uuid": call_uuid,
        "content_type": "audio/x-mulaw;rate=8000",
        "created_at": "2023-06-21 13:23:44.136000+00:00",
        "end_time": None,
        "plivo_auth_id": AUTH_ID,
        "resource_uri": f"/v1/Account/{AUTH_ID}/Call/{call_uuid}/Stream/{started.stream_id}/",
        "rounded_bill_duration": 0,
        "service_url": "wss://h.example/audio",
        "start_time": None,
        "status": "initiated",
        "status_callback_url": "https://h.example/status",
        "stream_id": started.stream_id,
        "stream_url": "wss://h.example/audio",
    }
    listed = client.calls.get_all_streams(call_uuid)
    assert [entry.stream_id for entry in listed.objects] == [started.stream_id]
    assert listed.meta.__dict__ == {
        "count": 1,
        "limit": 20,
        "next": None,
        "offset": 0,
        "previous": None,
        "total_count": 1,
    }
    client.calls.delete_specific_stream(call_uuid, started.stream_id)
    stopped = client.calls.get_details_of_specific_stream(call_uuid, started.stream_id)
    assert (stopped.status, stopped.start_time, stopped.end_time) == (
        "completed",
        "2023-06-21 18:53:16+05:30",
        "2023-06-21 18:53:43+05:30",
    )
    assert (stopped.bill_duration, stopped.rounded_bill_duration) == (27, 60)
    with pytest.raises(ResourceNotFoundError):
        client.calls.delete_specific_stream(call_uuid, started.stream_id)


def test_stop_all_streams(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add()
    for index in range(3):
        client.calls.start_stream(call_uuid, f"wss://h.example/{index}")
    client.calls.delete_all_streams(call_uuid)
    assert {view.status.value for view in api.streams.streams.values()} == {"completed"}
    client.calls.delete_all_streams(call_uuid)
    with pytest.raises(ResourceNotFoundError):
        client.calls.delete_all_streams("unknown")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"service_url": "https://h.example/"}, "service_url parameter is invalid: not a WebSocket URL"),
        ({"service_url": ""}, "service_url parameter is missing"),
        ({"bidirectional": True, "audio_track": "both"}, "audio_track parameter is invalid: both with bidirectional"),
        ({"audio_track": "left"}, "audio_track parameter is invalid: 'left', expected inbound or outbound or both"),
        ({"content_type": "audio/x-l16;rate=24000"}, "content_type parameter is invalid: audio/x-l16;rate=24000"),
        ({"stream_timeout": 0}, "stream_timeout parameter is invalid: 0, expected 1 to"),
        ({"extra_headers": "k=" + "v" * 511}, "extra_headers parameter is invalid: 513 bytes, at most 512"),
        ({"status_callback_url": "ftp://h"}, "is not a valid url"),
        ({"status_callback_method": "PUT"}, "status_callback_method parameter is invalid: 'PUT', expected GET or POST"),
    ],
)
def test_wrong_stream_parameters(
    api: ApiServer, client: plivo.RestClient, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError) as failure:
        client.calls.start_stream(api.calls.add(), **{"service_url": "wss://h.example/", **parameters})
    assert message in str(failure.value)
    assert api.streams.started == []


def test_duplicate_stream_url(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add()
    client.calls.start_stream(call_uuid, "wss://h.example/")
    with pytest.raises(ValidationError, match="streams to it already"):
        client.calls.start_stream(call_uuid, "wss://h.example/")
    with pytest.raises(ResourceNotFoundError):
        client.calls.start_stream("unknown", "wss://h.example/")


def test_wrong_token_is_an_authentication_error_everywhere(api: ApiServer) -> None:
    with api.client("wrong-token") as stranger:
        for ask in (
            lambda: stranger.calls.get("x"),
            lambda: stranger.calls.list(),
            lambda: stranger.applications.list(),
            lambda: stranger.numbers.list(),
            lambda: stranger.account.get(),
            lambda: stranger.live_calls.list_ids(),
            lambda: stranger.calls.create("14151234567", "14157654321", ANSWER_URL),
            lambda: stranger.calls.delete("x"),
        ):
            with pytest.raises(AuthenticationError):
                ask()
    assert api.calls.made == []
