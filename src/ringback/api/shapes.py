"""What answers look like: one JSON Schema for each operation, part of the OpenAPI document.

The contract suite checks every answer it gets against this document (`tests/support/openapi_judge.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_MONEY: Schema = {"type": "string", "pattern": r"^\d+\.\d{5}$"}
_UUID: Schema = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}
_DATE: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}
_DATE_OR_NULL: Schema = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\d$"}
_MOMENT = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_TIME: Schema = {"type": "string", "pattern": _MOMENT + r"[+-]\d\d:\d\d$"}
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "pattern": _MOMENT + r"[+-]\d\d:\d\d$"}
_PRECISE_TIME: Schema = {"type": "string", "pattern": _MOMENT + r"\.\d{6}[+-]\d\d:\d\d$"}
_SESSION_TIME: Schema = {"type": "string", "pattern": _MOMENT + r"\.\d{6}$"}
_METHOD: Schema = {"type": "string", "enum": ["GET", "POST"]}
_NULL: Schema = {"type": "null"}


def _object(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": sorted(fields), "additionalProperties": False}


def _array(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _answer(fields: Mapping[str, Schema] | None = None, **more: Schema) -> Schema:
    """Return the schema of an answer: these fields, and the `api_id` that every one has."""
    return _object(api_id=_UUID, **(fields or {}), **more)


def _done(message: str, **more: Schema) -> Schema:
    return _answer(message={"const": message}, **more)


def _list(of: Mapping[str, Schema], **meta: Schema) -> Schema:
    page = _object(limit=_WHOLE, next=_TEXT_OR_NULL, offset=_WHOLE, previous=_TEXT_OR_NULL, total_count=_WHOLE, **meta)
    return _answer(meta=page, objects=_array(_object(**of)))


_ACCOUNT: Mapping[str, Schema] = {
    "account_type": _TEXT,
    "address": _TEXT,
    "auth_id": _TEXT,
    "auto_recharge": _FLAG,
    "billing_mode": _TEXT,
    "cash_credits": _MONEY,
    "city": _TEXT,
    "name": _TEXT,
    "resource_uri": _TEXT,
    "state": _TEXT,
    "timezone": _TEXT,
}
_SUBACCOUNT: Mapping[str, Schema] = {
    "account": _TEXT,
    "auth_id": _TEXT,
    "auth_token": _TEXT,
    "created": _DATE,
    "enabled": _FLAG,
    "modified": _DATE_OR_NULL,
    "name": _TEXT,
    "new_auth_token": _TEXT,
    "resource_uri": _TEXT,
}
_CALL_RECORD: Mapping[str, Schema] = {
    "answer_time": _TIME_OR_NULL,
    "bill_duration": _WHOLE,
    "billed_duration": {**_WHOLE, "multipleOf": 60},
    "call_direction": _one_of("inbound", "outbound"),
    "call_duration": _WHOLE,
    "call_state": _TEXT,
    "call_uuid": _UUID,
    "cnam_lookup": _TEXT,
    "conference_uuid": _TEXT_OR_NULL,
    "end_time": _TIME,
    "from_number": _TEXT,
    "hangup_cause_code": _WHOLE,
    "hangup_cause_name": _TEXT,
    "hangup_source": _TEXT,
    "initiation_time": _TIME,
    "parent_call_uuid": _TEXT_OR_NULL,
    "resource_uri": _TEXT,
    "source_ip": _TEXT,
    "stir_attestation": _TEXT,
    "stir_verification": _TEXT,
    "to_number": _TEXT,
    "total_amount": _MONEY,
    "total_rate": _MONEY,
    "voice_network_group": _TEXT,
}
_LIVE_CALL: Mapping[str, Schema] = {
    "call_status": _one_of("queued", "ringing", "in-progress"),
    "call_uuid": _UUID,
    "caller_name": _TEXT,
    "direction": _one_of("inbound", "outbound"),
    "from": _TEXT,
    "parent_call_uuid": _TEXT_OR_NULL,
    "request_uuid": _UUID,
    "session_start": _SESSION_TIME,
    "stir_attestation": _TEXT,
    "stir_verification": _TEXT,
    "to": _TEXT,
}
_STREAM: Mapping[str, Schema] = {
    "audio_track": _one_of("inbound", "outbound", "both"),
    "bidirectional": _FLAG,
    "bill_duration": _WHOLE,
    "billed_amount": _MONEY,
    "call_uuid": _UUID,
    "content_type": _TEXT,
    "created_at": _PRECISE_TIME,
    "end_time": _TIME_OR_NULL,
    "plivo_auth_id": _TEXT,
    "resource_uri": _TEXT,
    "rounded_bill_duration": {**_WHOLE, "multipleOf": 60},
    "service_url": _TEXT,
    "start_time": _TIME_OR_NULL,
    "status": _one_of("initiated", "in-progress", "completed", "failed"),
    "status_callback_url": _TEXT,
    "stream_id": _UUID,
    "stream_url": _TEXT,
}
_RECORDING: Mapping[str, Schema] = {
    "add_time": _PRECISE_TIME,
    "call_uuid": _TEXT,
    "conference_name": _TEXT_OR_NULL,
    "conference_uuid": _TEXT_OR_NULL,
    "from_number": _TEXT,
    "monthly_recording_storage_amount": _NUMBER,
    "mpc_meta_data": _NULL,
    "mpc_name": _TEXT_OR_NULL,
    "mpc_uuid": _TEXT_OR_NULL,
    "recording_duration_ms": _MONEY,
    "recording_end_ms": _MONEY,
    "recording_format": _one_of("mp3", "wav"),
    "recording_id": _UUID,
    "recording_start_ms": _MONEY,
    "recording_storage_duration": _WHOLE,
    "recording_storage_rate": _NUMBER,
    "recording_type": _TEXT,
    "recording_url": _TEXT,
    "resource_uri": _TEXT,
    "rounded_recording_duration": _WHOLE,
    "to_number": _TEXT,
}
_APPLICATION: Mapping[str, Schema] = {
    "answer_method": _METHOD,
    "answer_url": _TEXT,
    "app_id": {"type": "string", "pattern": r"^\d{17}$"},
    "app_name": _TEXT,
    "default_app": _FLAG,
    "default_endpoint_app": _FLAG,
    "enabled": _FLAG,
    "fallback_answer_url": _TEXT,
    "fallback_method": _METHOD,
    "hangup_method": _METHOD,
    "hangup_url": _TEXT,
    "message_method": _METHOD,
    "message_url": _TEXT,
    "public_uri": _FLAG,
    "resource_uri": _TEXT,
    "sip_uri": _TEXT,
    "sub_account": _TEXT_OR_NULL,
}
_NUMBER_OBJECT: Mapping[str, Schema] = {
    "active": _FLAG,
    "added_on": _DATE,
    "alias": _TEXT_OR_NULL,
    "application": _TEXT_OR_NULL,
    "carrier": _TEXT,
    "city": _TEXT,
    "cnam_lookup": _TEXT,
    "compliance_application_id": _NULL,
    "compliance_status": _NULL,
    "country": _TEXT,
    "mms_enabled": _FLAG,
    "mms_rate": _MONEY,
    "monthly_rental_rate": _MONEY,
    "number": {"type": "string", "pattern": r"^\d{3,20}$"},
    "number_type": _TEXT,
    "region": _TEXT,
    "renewal_date": _NULL,
    "resource_uri": _TEXT,
    "sms_enabled": _FLAG,
    "sms_rate": _MONEY,
    "sub_account": _TEXT_OR_NULL,
    "tendlc_campaign_id": _NULL,
    "tendlc_registration_status": _NULL,
    "toll_free_sms_verification": _NULL,
    "voice_enabled": _FLAG,
    "voice_rate": _MONEY,
}
_PHONE_NUMBER: Mapping[str, Schema] = {
    **dict.fromkeys(("country", "prefix", "region", "resource_uri"), _TEXT),
    **dict.fromkeys(("city", "lata", "rate_center"), _TEXT_OR_NULL),
    **dict.fromkeys(("mms_rate", "monthly_rental_rate", "setup_rate", "sms_rate", "voice_rate"), _MONEY),
    **dict.fromkeys(("mms_enabled", "sms_enabled", "voice_enabled"), _FLAG),
    **dict.fromkeys(("restriction", "restriction_text"), _NULL),
    "number": {"type": "string", "pattern": r"^\d{3,20}$"},
    "prerequisites": {"const": []},
    "sub_type": _one_of("local", "national", "mobile", "tollfree"),
    "type": _one_of("fixed", "mobile", "tollfree"),
}
_ENDPOINT: Mapping[str, Schema] = {
    "alias": _TEXT,
    "application": _TEXT_OR_NULL,
    "endpoint_id": {"type": "string", "pattern": r"^\d{14}$"},
    "resource_uri": _TEXT,
    "sip_contact": _TEXT_OR_NULL,
    "sip_expires": _TEXT_OR_NULL,
    "sip_registered": _one_of("true", "false"),
    "sip_uri": _TEXT,
    "sip_user_agent": _TEXT_OR_NULL,
    "sub_account": _TEXT_OR_NULL,
    "username": _TEXT,
}
_RATE = _object(rate=_MONEY)
_PRICING: Mapping[str, Schema] = {
    "country": _TEXT,
    "country_code": _WHOLE,
    "country_iso": {"type": "string", "pattern": "^[A-Z]{2}$"},
    "message": _object(
        inbound=_RATE, outbound=_RATE, outbound_networks_list=_array(_object(group_name=_TEXT, rate=_MONEY))
    ),
    "phone_numbers": _object(local=_RATE, tollfree=_RATE),
    "voice": _object(
        inbound=_object(ip=_RATE, local=_RATE, tollfree=_RATE),
        outbound=_object(
            ip=_RATE, local=_RATE, rates=_array(_object(prefix=_array(_TEXT), rate=_MONEY)), tollfree=_RATE
        ),
    ),
}
_CONFERENCE: Mapping[str, Schema] = {
    "conference_member_count": _TEXT,
    "conference_name": _TEXT,
    "conference_run_time": _TEXT,
    "members": _array(
        _object(
            **dict.fromkeys(("member_id", "from", "to", "caller_name", "direction", "call_uuid"), _TEXT),
            deaf=_FLAG,
            join_time=_TEXT,
            muted=_FLAG,
        )
    ),
}
_WHOLE_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
_MONEY_OR_NULL: Schema = {"anyOf": [_MONEY, _NULL]}
_MULTIPARTY: Mapping[str, Schema] = {
    **dict.fromkeys(("friendly_name", "participants", "resource_uri"), _TEXT),
    **dict.fromkeys(("duration", "billed_duration"), _WHOLE_OR_NULL),
    **dict.fromkeys(("start_time", "end_time"), _TIME_OR_NULL),
    "billed_amount": _MONEY_OR_NULL,
    "creation_time": _TIME,
    "mpc_uuid": _UUID,
    "recording": _one_of("not-recording", "recording", "paused"),
    "status": _one_of("Initialized", "Active", "Ended"),
    "stay_alone": _FLAG,
    "sub_account": _TEXT_OR_NULL,
    "termination_cause": _TEXT_OR_NULL,
    "termination_cause_code": {"type": ["integer", "null"]},
}
_PARTICIPANT: Mapping[str, Schema] = {
    **dict.fromkeys(("call_uuid", "member_address", "member_id", "resource_uri"), _TEXT),
    **dict.fromkeys(("duration", "billed_duration"), _WHOLE_OR_NULL),
    **dict.fromkeys(("coach_mode", "end_mpc_on_exit", "hold", "mute", "start_mpc_on_enter"), _FLAG),
    "billed_amount": _MONEY_OR_NULL,
    "exit_cause": _TEXT_OR_NULL,
    "exit_time": _TIME_OR_NULL,
    "join_time": _TIME,
    "mpc_uuid": _UUID,
    "role": _one_of("agent", "customer", "supervisor"),
}
_CHANGED: Schema = {
    "type": "object",
    "properties": {"api_id": _UUID, "mute": _TEXT, "hold": _TEXT, "coach_mode": _TEXT},
    "required": ["api_id"],
    "additionalProperties": False,
}
_RECORD_STARTED: Schema = {
    "type": "object",
    "properties": {
        "api_id": _UUID,
        "message": _TEXT,
        "recording_id": _UUID,
        "recording_url": _TEXT,
        "recordings": _array(_object(recording_id=_UUID, recording_url=_TEXT)),
    },
    "required": ["api_id", "message", "recording_id", "recording_url"],
    "additionalProperties": False,
}
_MEMBERS: Schema = {"anyOf": [_TEXT, _array(_TEXT)]}
_STREAM_LIST = _list(_STREAM, count=_WHOLE)

SHAPES: Mapping[str, Schema] = MappingProxyType(
    {
        "retrieve_account": _answer(_ACCOUNT),
        "change_account": _done("changed"),
        "create_subaccount": _done("created", auth_id=_TEXT, auth_token=_TEXT),
        "list_subaccounts": _list(_SUBACCOUNT),
        "retrieve_subaccount": _answer(_SUBACCOUNT),
        "change_subaccount": _done("changed"),
        "make_call": _answer(
            message=_one_of("call fired", "call queued", "calls fired"),
            request_uuid={"anyOf": [_UUID, {**_array(_UUID), "minItems": 2, "maxItems": 1000}]},
        ),
        "list_calls": {"anyOf": [_list(_CALL_RECORD), _answer(calls=_array(_UUID))]},
        "retrieve_call": {"anyOf": [_answer(_CALL_RECORD), _answer(_LIVE_CALL)]},
        "transfer_call": _done("call transfered"),
        "record_conference": _done("conference recording started", recording_id=_TEXT, url=_TEXT),
        "start_recording": _done("call recording started", recording_id=_TEXT, url=_TEXT),
        "start_playing": _done("play started"),
        "start_speaking": _done("speak started"),
        "send_digits": _done("digits sent"),
        "start_stream": _done("audio streaming started", stream_id=_UUID),
        "list_streams": _STREAM_LIST,
        "retrieve_stream": _answer(_STREAM),
        "list_recordings": _list(_RECORDING),
        "retrieve_recording": _answer(_RECORDING),
        "transcribe_recording": _done("transcription in progress"),
        "retrieve_transcription": _answer(
            **dict.fromkeys(("cost", "rate"), _NUMBER),
            **dict.fromkeys(("recording_duration_ms", "recording_start_ms"), _WHOLE),
            **dict.fromkeys(("error", "transcription"), _TEXT),
            status=_one_of("in-progress", "success", "failed"),
        ),
        "delete_transcription": _done("request accepted"),
        "create_application": _done("created", app_id=_TEXT),
        "list_applications": _list(_APPLICATION),
        "retrieve_application": _answer(_APPLICATION),
        "change_application": _done("changed"),
        "add_numbers": _done("changed"),
        "list_numbers": _list(_NUMBER_OBJECT),
        "retrieve_number": _answer(_NUMBER_OBJECT),
        "change_number": _done("changed"),
        "search_phone_numbers": _list(_PHONE_NUMBER),
        "take_phone_number": _done(
            "created",
            numbers=_array(_object(number=_TEXT, status=_one_of("Success"))),
            status=_one_of("fulfilled"),
        ),
        "create_endpoint": _done("created", alias=_TEXT, endpoint_id=_TEXT, username=_TEXT),
        "list_endpoints": _list(_ENDPOINT),
        "retrieve_endpoint": _answer(_ENDPOINT),
        "change_endpoint": _done("changed"),
        "make_access_token": _answer(token={"type": "string", "pattern": r"^[\w-]+\.[\w-]+\.[\w-]+$"}),
        "judge_call": _done("Feedback has been posted", status={"const": "success"}),
        "retrieve_pricing": _answer(_PRICING),
        "list_conferences": _answer(conferences=_array(_TEXT)),
        "retrieve_conference": _answer(_CONFERENCE),
        "list_multiparty_calls": _list(_MULTIPARTY, count=_WHOLE),
        "retrieve_multiparty_call": _answer(_MULTIPARTY),
        "start_multiparty_call": _answer(message=_TEXT),
        "add_participant": _done(
            "add participant action initiated",
            calls=_array(_object(to=_TEXT, call_uuid=_TEXT, **{"from": _TEXT})),
            request_uuid=_TEXT,
        ),
        "record_multiparty_call": _RECORD_STARTED,
        "record_participant": _RECORD_STARTED,
        "list_participants": _list(_PARTICIPANT, count=_WHOLE),
        "retrieve_participant": _answer(_PARTICIPANT),
        "change_participant": _CHANGED,
        "play_to_participant": _done("play queued into MPC", mpcMemberId=_array(_TEXT), mpcName=_TEXT),
        "speak_to_participant": _done("speak queued into MPC", mpcMemberId=_array(_TEXT), mpcName=_TEXT),
        **{
            operation: _answer(message=_TEXT, member_id=_MEMBERS)
            for operation in ("kick_member", "mute_member", "deafen_member", "play_to_member", "speak_to_member")
        },
    }
)
"""Schema of the successful answer, by operation id; operations without one answer 204."""

SPAWNED = _done("async api spawned")
"""The answer to a request with `callback_url`."""

ERROR: Schema = {
    "type": "object",
    "properties": {"api_id": _UUID, "error": {"type": "string", "minLength": 1}, "objects": {"const": []}},
    "required": ["api_id", "error"],
    "additionalProperties": False,
}
"""Every error but 401; on list URLs with empty `objects`, without which the Python SDK cannot read it."""
