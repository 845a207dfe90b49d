"""What clients other than the Python SDK put on the wire: slashes, forms, odd bodies, odd headers."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from tests.support.api_server import AUTH_ID, OTHER_ID, TOKEN, ApiServer, HttpReply, running

from ringback.api.services import ApiSettings

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALL = {"from": "+14151234567", "to": "+14157654321", "answer_url": "https://h.example/answer"}
VECTORS = Path(__file__).parents[1] / "vectors"


def assert_error(reply: HttpReply, status: int, text: str = "") -> None:
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert text in reply.json["error"]
    assert reply.json["error"]
    assert len(reply.json["api_id"]) == 36


@pytest.mark.parametrize("slash", ["/", ""])
@pytest.mark.parametrize("query", ["", "?"])
def test_every_route_answers_both_spellings_without_redirect(api: ApiServer, slash: str, query: str) -> None:
    call_uuid = api.calls.add()
    stream = api.request("POST", f"Call/{call_uuid}/Stream{slash}{query}", {"service_url": "wss://h.example/"})
    assert stream.status == 202
    stream_id = stream.json["stream_id"]
    for path in (
        "",
        "Call",
        "Application",
        "Number",
        f"Call/{call_uuid}/Stream",
        f"Call/{call_uuid}/Stream/{stream_id}",
    ):
        reply = api.request("GET", f"/v1/Account/{AUTH_ID}{'/' if path else ''}{path}{slash}{query}")
        assert reply.status == 200, path
        assert len(reply.json["api_id"]) == 36
    assert api.request("GET", f"Call/{call_uuid}{slash}?status=live").status == 200
    assert api.request("POST", f"Call{slash}{query}", CALL).status == 201
    assert api.request("DELETE", f"Call/{call_uuid}/Stream/{stream_id}{slash}{query}").status == 204
    assert api.request("DELETE", f"Call/{call_uuid}/Stream{slash}{query}").status == 204
    assert api.request("DELETE", f"Call/{call_uuid}{slash}{query}").status == 204
    assert api.request("GET", f"Call/{call_uuid}{slash}{query}").status == 200
    assert api.request("DELETE", f"Call{slash}{query}").status == 204
    assert api.calls.live == {}


def test_bodies_of_delete_are_ignored(api: ApiServer) -> None:
    for body in ({"call_uuid": "abc"}, b"{}", b"null", b"not json", b"\xff\xfe"):
        assert api.request("DELETE", f"Call/{api.calls.add()}/", body).status == 204


@pytest.mark.parametrize(
    "headers",
    [FORM, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, {"Content-Type": "text/plain"}],
)
def test_form_bodies_are_read(api: ApiServer, headers: dict[str, str]) -> None:
    reply = api.request("POST", "Call/", urlencode(CALL).encode(), headers)
    assert reply.status == 201
    assert api.calls.made[0].from_number == "14151234567"


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
def test_json_is_read_whatever_it_is_called(api: ApiServer, content_type: str) -> None:
    """curl without -H calls JSON a form."""
    body = b" " + json.dumps(CALL).encode()
    assert api.request("POST", "Call/", body, {"Content-Type": content_type}).status == 201


def test_json_with_a_byte_order_mark_is_read(api: ApiServer) -> None:
    assert api.request("POST", "Call/", b"\xef\xbb\xbf" + json.dumps(CALL).encode()).status == 201


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[1, 2]", "request body is a JSON array, expected an object"),
        (b'"text"', "request body is a JSON string, expected an object"),
        (b"17", "request body is a JSON number, expected an object"),
        (b"true", "request body is a JSON boolean, expected an object"),
        (b"{", "request body is not JSON"),
        (b'{"a": 1', "request body is not JSON"),
        (b"\xff\xff", "request body is not JSON"),
        (b'{"from": "\\ud800"}', "request body is not JSON"),
        (b"[" * 100_000, "request body is not JSON"),
        (b"", "from parameter is missing"),
        (b"null", "from parameter is missing"),
        (b"{}", "from parameter is missing"),
    ],
)
def test_wrong_bodies_are_named(api: ApiServer, body: bytes, text: str) -> None:
    assert_error(api.request("POST", "Call/", body), 400, text)


@pytest.mark.parametrize("missing", ["from", "to", "answer_url"])
@pytest.mark.parametrize("absent", ["key", "null", "empty"])
def test_missing_parameters_have_the_text_of_the_cloud(api: ApiServer, missing: str, absent: str) -> None:
    body: dict[str, object] = dict(CALL)
    match absent:
        case "key":
            del body[missing]
        case "null":
            body[missing] = None
        case _:
            body[missing] = " "
    reply = api.request("POST", "Call/", body)
    assert_error(reply, 400)
    assert reply.json["error"] == f"{missing} parameter is missing"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("from", "<script>", "expected a phone number"),
        ("from", ["+1415"], "from parameter is invalid: expected a text"),
        ("to", "hello world", "expected a phone number such as +14151234567 or a sip: URI"),
        ("to", "sip:a b@c", "expected a phone number"),
        ("to", "sip:" + "a" * 252, "256 characters, expected at most 255"),
        ("answer_url", "answer", "is not a valid url"),
        ("answer_url", "ftp://h.example/", "is not a valid url"),
        ("answer_url", "http://", "is not a valid url"),
        ("answer_url", "http://h.example:99999/", "is not a valid url"),
        ("answer_url", "http://[::1/", "is not a valid url"),
        ("answer_url", "https://h.example/" + "a" * 2031, "2049 characters, expected at most 2048"),
        ("answer_url", "https://h.example/\nX: y", "control characters"),
        ("answer_method", "PUT", "'PUT', expected GET or POST"),
        ("caller_name", "x" * 51, "51 characters, expected at most 50"),
        ("caller_name", "a\r\nVia: b", "control characters"),
        ("caller_name", "a\x00", "control characters"),
        ("send_digits", "12x", "expected 0-9"),
        ("send_on_preanswer", "maybe", "'maybe', expected true or false"),
        ("time_limit", 0, "0, expected 1 to"),
        ("time_limit", "soon", "'soon', expected a whole number"),
        ("time_limit", 1.5, "'1.5', expected a whole number"),
        ("hangup_on_ring", -1, "-1, expected 0 to"),
        ("ring_timeout", 3601, "3601, expected 1 to 3600"),
        ("machine_detection", "maybe", "machine_detection parameter is invalid"),
        ("machine_detection_time", 1999, "1999, expected 2000 to 10000"),
        ("call_type", "whatsapp_voice", "call_type parameter is invalid"),
        ("sip_headers", "bad name=1", "sip_headers parameter is invalid"),
        ("sip_headers", {"A": "b\r\nVia: x"}, "sip_headers parameter is invalid"),
        ("sip_headers", ",".join(f"h{i}=1" for i in range(51)), "51 headers, expected at most 50"),
        ("callback_url", "nowhere", "callback_url parameter is invalid"),
    ],
)
def test_wrong_parameters_of_make_call_are_named(api: ApiServer, name: str, value: object, text: str) -> None:
    reply = api.request("POST", "Call/", {**CALL, name: value})
    assert_error(reply, 400, text)
    assert reply.json["error"].startswith(f"{name} parameter is invalid")
    assert api.calls.made == []


def test_loosely_typed_parameters_are_accepted(api: ApiServer) -> None:
    reply = api.request(
        "POST",
        "Call/",
        {
            "from": 14151234567,
            "to": "(415) 765-4321",
            "answer_url": " https://h.example/answer#ct=2000 ",
            "answer_method": "get",
            "ring_timeout": "45",
            "time_limit": 60.0,
            "send_on_preanswer": "True",
            "error_if_parent_not_found": 0,
            "machine_detection": "false",
            "sip_headers": {"X-PH-Name": "a=b, c"},
            "call_uuid": "ignored",
            "unknown": {"nested": []},
        },
    )
    assert reply.status == 201
    (made,) = api.calls.made
    assert (made.from_number, made.to, made.answer_url) == (
        "14151234567",
        "4157654321",
        "https://h.example/answer#ct=2000",
    )
    assert (made.answer_method, made.ring_timeout_s, made.time_limit_s) == ("GET", 45, 60)
    assert (made.send_on_preanswer, made.error_if_parent_not_found) == (True, False)
    assert made.sip_headers == (("Name", "a=b, c"),)


def test_stream_parameters_as_texts_and_under_other_names(api: ApiServer) -> None:
    """plivo-cli sends `stream_status_callback_url` and `service_type`; the seed sends truth values as texts."""
    reply = api.request(
        "POST",
        f"Call/{api.calls.add()}/Stream/",
        {
            "service_url": "\n  wss://h.example/?a=1&b=2  \n",
            "bidirectional": "true",
            "noise_cancellation": "true",
            "noise_cancellation_level": "85",
            "content_type": "audio/x-l16; rate=16000",
            "stream_status_callback_url": "https://h.example/s",
            "service_type": "websocket",
        },
    )
    assert reply.status == 202
    (spec,) = api.streams.started
    assert (spec.url, spec.bidirectional, spec.noise_cancellation) == ("wss://h.example/?a=1&b=2", True, True)
    assert (spec.content_type, spec.status_callback_url) == ("audio/x-l16;rate=16000", "https://h.example/s")


@pytest.mark.parametrize("level", [59, 101, "high"])
def test_noise_level_has_bounds(api: ApiServer, level: object) -> None:
    body = {"service_url": "wss://h.example/", "noise_cancellation_level": level}
    assert_error(api.request("POST", f"Call/{api.calls.add()}/Stream/", body), 400, "noise_cancellation_level")


def test_number_paths_with_plus(api: ApiServer) -> None:
    assert api.request("POST", "Number/", {"numbers": ["+1 415 123 4567"]}).status == 202
    for spelling in ("14151234567", "+14151234567", "%2B14151234567", "%2b14151234567"):
        assert api.request("GET", f"Number/{spelling}/").json["number"] == "14151234567"
        assert api.request("POST", f"Number/{spelling}", {"alias": spelling}).status == 202
    assert_error(api.request("GET", "Number/abc/"), 404)


@pytest.mark.parametrize("body", [{"app_id": None}, {"app_id": ""}])
def test_null_and_empty_app_id_both_detach(api: ApiServer, body: dict[str, object]) -> None:
    app_id = api.request("POST", "Application/", {"app_name": "a"}).json["app_id"]
    api.request("POST", "Number/", {"numbers": "14151234567", "app_id": app_id})
    assert api.request("GET", "Number/14151234567/").json["application"].split("/")[-2] == app_id
    assert api.request("POST", "Number/14151234567/", body).status == 202
    assert api.request("GET", "Number/14151234567/").json["application"] is None


def test_application_update_keeps_what_is_not_sent(api: ApiServer) -> None:
    """Only the Python SDK sends defaults with an update; other clients send what they mean."""
    created = {
        "app_name": "a",
        "answer_url": "https://h.example/1",
        "answer_method": "GET",
        "hangup_url": "https://h.example/h",
    }
    app_id = api.request("POST", "Application/", created).json["app_id"]
    assert api.request("POST", f"Application/{app_id}/", {"answer_url": "https://h.example/2"}).status == 202
    found = api.request("GET", f"Application/{app_id}/").json
    assert (found["answer_url"], found["answer_method"]) == ("https://h.example/2", "GET")
    assert found["hangup_url"] == "https://h.example/h"
    api.request("POST", f"Application/{app_id}/", {"hangup_url": "", "app_name": "b", "public_uri": "true"})
    found = api.request("GET", f"Application/{app_id}/").json
    assert (found["hangup_url"], found["app_name"], found["public_uri"]) == ("https://h.example/2", "b", True)
    assert_error(api.request("POST", "Application/", {}), 400, "app_name parameter is missing")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=0", "limit parameter is invalid: 0, expected 1 to 20"),
        ("limit=21", "limit parameter is invalid: 21, expected 1 to 20"),
        ("limit=x", "limit parameter is invalid: 'x', expected a whole number"),
        ("offset=-1", "offset parameter is invalid: -1, expected 0 to 100000"),
        ("offset=100001", "offset parameter is invalid"),
        ("end_time__gt=yesterday", "expected YYYY-MM-DD HH:MM"),
        ("end_time__gt=2017-13-01", "expected YYYY-MM-DD HH:MM"),
        ("call_direction=up", "call_direction parameter is invalid"),
        ("status=done", "status parameter is invalid"),
        ("from_number=%ff", "not UTF-8"),
        ("&".join(f"a{i}=1" for i in range(201)), "too many fields, expected at most 200"),
    ],
)
def test_wrong_list_queries_are_named(api: ApiServer, query: str, text: str) -> None:
    reply = api.request("GET", f"Call/?{query}")
    assert_error(reply, 400, text)
    assert reply.json["objects"] == []


def test_page_bounds_are_inclusive(api: ApiServer) -> None:
    for query in ("limit=1", "limit=20", "offset=0", "offset=100000", "limit=", "cursor="):
        assert api.request("GET", f"Call/?{query}").status == 200


def test_links_keep_filters(api: ApiServer) -> None:
    api.request("POST", "Number/", {"numbers": "14150000001,14150000002,14150000003"})
    reply = api.request("GET", "Number/?number_startswith=%2B1415&limit=1&offset=1")
    base = f"/v1/Account/{AUTH_ID}/Number/?number_startswith=%2B1415&limit=1"
    assert reply.json["meta"]["next"] == f"{base}&offset=2"
    assert reply.json["meta"]["previous"] == f"{base}&offset=0"
    assert [entry["number"] for entry in reply.json["objects"]] == ["14150000002"]


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        "",
        ":",
        f"{AUTH_ID}:wrong",
        f"{AUTH_ID}:",
        f"{AUTH_ID}:{TOKEN}x",
        f"{OTHER_ID}:{TOKEN}",
        f"MAUNKNOWNUNKNOWNUNK1:{TOKEN}",
        f"{AUTH_ID}\x00:{TOKEN}",
        f"ü:{TOKEN}",
    ],
)
def test_wrong_credentials_are_answered_in_plain_text(api: ApiServer, credentials: str | None) -> None:
    for path in ("", "Call/", "Application/", "Number/1/"):
        reply = api.request("GET", path, credentials=credentials)
        assert reply.status == 401
        assert reply.body == (
            b"Could not verify your access level for that URL.\nYou have to login with proper credentials"
        )
        assert reply.headers["www-authenticate"] == 'Basic realm="Login Required"'
        assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "header", ["Bearer stk_abc", "Basic", "Basic !!!", "Basic " + "A" * 2000, "basic bm9jb2xvbg==", "Digest a=b"]
)
def test_odd_authorization_headers(api: ApiServer, header: str) -> None:
    assert api.request("GET", "", headers={"Authorization": header}, credentials=None).status == 401


def test_nothing_happens_without_credentials(api: ApiServer) -> None:
    call_uuid = api.calls.add()
    assert api.request("DELETE", f"Call/{call_uuid}/", credentials=None).status == 401
    assert api.request("POST", "Call/", CALL, credentials=None).status == 401
    assert list(api.calls.live) == [call_uuid]


def test_accounts_do_not_see_each_other(api: ApiServer) -> None:
    api.request("POST", "Number/", {"numbers": "14151234567"})
    app_id = api.request("POST", "Application/", {"app_name": "a"}).json["app_id"]
    other = f"{OTHER_ID}:{TOKEN}"
    base = f"/v1/Account/{OTHER_ID}"
    assert api.request("GET", f"{base}/Number/", credentials=other).json["objects"] == []
    assert api.request("GET", f"{base}/Application/", credentials=other).json["objects"] == []
    for method, path in (
        ("GET", f"{base}/Number/14151234567/"),
        ("POST", f"{base}/Number/14151234567/"),
        ("DELETE", f"{base}/Number/14151234567/"),
        ("GET", f"{base}/Application/{app_id}/"),
        ("POST", f"{base}/Application/{app_id}/"),
        ("DELETE", f"{base}/Application/{app_id}/"),
    ):
        assert_error(api.request(method, path, {} if method == "POST" else None, credentials=other), 404)
    taken = api.request("POST", f"{base}/Number/", {"numbers": "14151234567"}, credentials=other)
    assert_error(taken, 400, "belongs to another account")
    foreign = api.request("POST", f"{base}/Number/", {"numbers": "14159999999", "app_id": app_id}, credentials=other)
    assert_error(foreign, 400, "app_id parameter is invalid")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "Nowhere/", 404),
        ("GET", "Transcription/", 404),
        ("POST", "Call/x/Record/", 404),
        ("GET", "/v1/Account/", 404),
        ("GET", "Call/a%2Fb/", 404),
        ("PUT", "Call/", 405),
        ("PATCH", "Application/1/", 405),
        ("POST", "/healthz", 405),
        ("GET", "Request/x/", 405),
    ],
)
def test_unknown_paths_and_methods_are_json(api: ApiServer, method: str, path: str, status: int) -> None:
    reply = api.request(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
    assert_error(reply, status)
    if status == 405:
        assert reply.headers["allow"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("Call/", "DELETE, GET, POST"),
        ("Call/x", "DELETE, GET, POST"),
        ("Call/x/Stream/y/", "DELETE, GET"),
        ("Request/x/", "DELETE"),
        ("", "GET, POST"),
        ("/healthz", "GET"),
    ],
)
def test_a_wrong_method_is_told_every_right_one(api: ApiServer, path: str, methods: str) -> None:
    reply = api.request("PATCH", path, {})
    assert_error(reply, 405, "method PATCH is not allowed here")
    assert reply.headers["allow"] == methods


def test_only_list_urls_carry_objects(api: ApiServer) -> None:
    assert api.request("GET", "Recording/").json["objects"] == []
    assert api.request("GET", "Call/unknown/Stream/").json["objects"] == []
    assert "objects" not in api.request("GET", "Call/unknown/").json
    assert "objects" not in api.request("POST", "Application/", {}).json


def test_body_bound(api: ApiServer) -> None:
    padding = 1_048_576 - len(json.dumps({**CALL, "pad": ""}))
    assert api.request("POST", "Call/", {**CALL, "pad": "x" * padding}).status == 201
    reply = api.request("POST", "Call/", {**CALL, "pad": "x" * (padding + 1)})
    assert_error(reply, 413, "more than 1048576 bytes")
    assert len(api.calls.made) == 1


def test_multipart_is_refused(api: ApiServer) -> None:
    reply = api.request("POST", "Call/", b"--x--", {"Content-Type": "multipart/form-data; boundary=x"})
    assert_error(reply, 415, "multipart bodies are not read")


def test_unexpected_failures(api: ApiServer) -> None:
    """Reading may be tried again; what may have changed something must not be (specification 9.3, 16)."""

    async def broken(*_args: object) -> None:
        raise ZeroDivisionError

    for name in ("cdrs", "hangup_all", "transfer"):
        setattr(api.calls, name, broken)
    assert_error(api.request("GET", "Call/"), 500, "internal error")
    assert_error(api.request("DELETE", "Call/"), 409, "may have taken effect")
    assert_error(api.request("POST", "Call/x/", {"aleg_url": "https://h.example/"}), 409, "may have taken effect")


def test_request_bound_per_account() -> None:
    with running(ApiSettings(requests_per_window=3, window_ms=60_000)) as api:
        for _ in range(3):
            assert api.request("GET", "").status == 200
        reply = api.request("GET", "Call/")
        assert_error(reply, 429, "more than 3 requests in 60 seconds")
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert reply.json["objects"] == []
        assert api.request("GET", f"/v1/Account/{OTHER_ID}/", credentials=f"{OTHER_ID}:{TOKEN}").status == 200
        assert api.request("GET", "/readyz").status == 200


def test_failed_logins_are_bounded_but_do_not_lock_out() -> None:
    with running(ApiSettings(auth_failures_per_minute=2)) as api:
        for expected in (401, 401, 429, 429):
            assert api.request("GET", "", credentials="a:b").status == expected
        assert api.request("GET", "").status == 200


def test_readiness_health_metrics_version(api: ApiServer) -> None:
    assert api.request("GET", "/healthz", credentials=None).json["status"] == "ok"
    assert api.request("GET", "/readyz/", credentials=None).json["status"] == "ready"
    api.readiness.reasons.append("no media worker")
    reply = api.request("GET", "/readyz", credentials=None)
    assert (reply.status, reply.json["reasons"]) == (503, ["no media worker"])
    metrics = api.request("GET", "/metrics", credentials=None)
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert metrics.body.startswith(b"ringback_")
    assert api.request("GET", "/ringback/v1/version", credentials=None).json["version"] == "1.2.3"


def events(api: ApiServer, call_uuid: str, query: str = "") -> list[dict[str, object]]:
    reply = api.request("GET", f"/ringback/v1/calls/{call_uuid}/events{query}")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.body.splitlines()]


def test_events_of_a_call(api: ApiServer) -> None:
    call_uuid = api.calls.add()

    async def record() -> None:
        for index in range(3):
            api.events.record(call_uuid, "digit", {"digit": str(index)})
        await api.events.flush()

    assert events(api, call_uuid) == []
    api.in_loop(record)
    first, second, third = events(api, call_uuid)
    assert set(first) == {"id", "call_uuid", "wall_ms", "at_ms", "kind", "fields"}
    assert (first["kind"], first["fields"]) == ("digit", {"digit": "0"})
    assert events(api, call_uuid, f"?after={first['id']}") == [second, third]
    assert events(api, call_uuid, f"?after={first['id']}&limit=1") == [second]
    assert events(api, call_uuid, f"?after={third['id']}&wait_ms=1") == []


def test_waiting_for_events_ends_with_the_first(api: ApiServer) -> None:
    call_uuid = api.calls.add()
    api._loop.call_soon_threadsafe(
        api._loop.call_later, 0.2, lambda: api.events.record(call_uuid, "call", {"state": "ringing"})
    )
    began = time.monotonic()
    (event,) = events(api, call_uuid, "?wait_ms=20000")
    assert event["fields"] == {"state": "ringing"}
    assert time.monotonic() - began < 15, "not the whole time"


def test_the_operator_reads_why_a_call_was_refused_that_is_no_accounts() -> None:
    def recorded(api: ApiServer) -> str:
        async def record() -> None:
            api.events.record("refused", "leg", {"event": "refused", "kind": "overloaded"})
            await api.events.flush()

        api.in_loop(record)
        return "/ringback/v1/calls/refused/events"

    with running(ApiSettings(requests_per_window=0, operator_id=AUTH_ID)) as api:
        path = recorded(api)
        (line,) = [json.loads(line) for line in api.request("GET", path).body.splitlines()]
        assert line["fields"]["kind"] == "overloaded"
        assert_error(api.request("GET", "/ringback/v1/calls/unknown/events"), 404, "call not found")
    with running() as api:
        assert_error(api.request("GET", recorded(api)), 404, "call not found")


def test_events_of_foreign_calls_are_hidden(api: ApiServer) -> None:
    assert_error(api.request("GET", "/ringback/v1/calls/unknown/events"), 404, "call not found")
    assert api.request("GET", "/ringback/v1/calls/unknown/events", credentials="a:b").status == 401


def test_openapi_document_names_routes_and_parameters(api: ApiServer) -> None:
    document = api.request("GET", "/ringback/v1/openapi.json").json
    paths = document["paths"]
    assert set(paths["/v1/Account/{auth_id}/Call/"]) == {"get", "post", "delete"}
    assert set(paths["/v1/Account/{auth_id}/Call/{call_uuid}/Stream/{stream_id}/"]) == {"get", "delete"}
    body = paths["/v1/Account/{auth_id}/Call/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["from", "to", "answer_url"]
    assert body["properties"]["ring_timeout"] == {"type": "integer", "minimum": 1, "maximum": 3600, "default": 120}
    assert {"sip_headers", "hangup_on_ring", "machine_detection", "callback_url"} <= set(body["properties"])
    stream = paths["/v1/Account/{auth_id}/Call/{call_uuid}/Stream/"]["post"]["requestBody"]
    assert len(stream["content"]["application/json"]["schema"]["properties"]) == 12
    assert "422" not in str(document)
    listed = {entry["name"] for entry in paths["/v1/Account/{auth_id}/Call/"]["get"]["parameters"]}
    assert {"auth_id", "limit", "offset", "status", "end_time__gte", "bill_duration__lt"} <= listed
    operations = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(operations) == len(set(operations))


NAUGHTY: list[str] = json.loads((VECTORS / "strings" / "blns.json").read_text(encoding="utf-8"))


def test_naughty_strings_are_refused_or_kept_as_they_are(api: ApiServer) -> None:
    kept = 0
    for text in [*NAUGHTY, "\x00", "a\x00b", "x" * 300]:
        reply = api.request("POST", "Application/", {"app_name": text, "log_incoming_messages": False})
        if reply.status == 400:
            assert_error(reply, 400, "app_name parameter is ")
            continue
        assert reply.status == 201
        found = api.request("GET", f"Application/{reply.json['app_id']}/").json
        assert found["app_name"] == text.strip()
        kept += 1
    assert kept > 400
    for text in NAUGHTY:
        reply = api.request("POST", "Call/", {"from": text, "to": text, "answer_url": text})
        assert reply.status in (201, 400)
        reply = api.request("POST", f"Call/{api.calls.add()}/Stream/", {"service_url": text, "extra_headers": text})
        assert reply.status in (202, 400)
        if text:
            assert api.request("GET", f"Number/{quote(text, safe='')}/").status in (200, 404)
            assert api.request("GET", f"Number/?alias={quote(text)}&limit=1").status in (200, 400)


def test_half_a_request_leaves_the_server_alive(api: ApiServer) -> None:
    host, _, port = api.url.removeprefix("http://").partition(":")
    for start in (b"POST /v1/Account/", b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{", b"\x00" * 100):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(start)
    assert api.request("GET", "/healthz").status == 200
