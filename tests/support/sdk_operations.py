"""The one list of what the official SDKs are asked to do: every method for calls, with every parameter.

Both SDKs run it (`tests/contract/test_contract_sdk_parity.py`), and tests compare it with the methods that the SDKs
have: a method that is not here, or a parameter that is not given, fails.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ringback.calls.views import LiveStatus
from ringback.recordings.views import TextState, Transcript
from tests.support.api_server import AUTH_ID, ApiServer
from tests.support.fake_multiparty import MPC_UUID

URL = "https://h.example.com/x"
ROOM = "My Room"
MPC = "My MPC"
Values = Mapping[str, Any]


class World:
    """A server in which there is something of everything; each method brings forth a new one."""

    _count = itertools.count(1)
    """Numbers and names are unique on a server, whichever world they are of."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api

    def call(self, status: LiveStatus = LiveStatus.IN_PROGRESS) -> str:
        """Return a live call that is bridged with another one."""
        call_uuid = self.api.calls.add(status=status)
        self.api.calls.owners[call_uuid] = AUTH_ID
        self.api.calls.bridged.add(call_uuid)  # type: ignore[arg-type]  # an id all the same
        return call_uuid

    def ringing(self) -> str:
        """Return a call that has not been answered."""
        return self.call(LiveStatus.RINGING)

    def queued(self) -> str:
        """Return a call that waits for its turn."""
        return self.call(LiveStatus.QUEUED)

    def ended(self) -> str:
        """Return a call that has its record."""
        return self._in_call(self.call(), "DELETE", "")

    def streaming(self) -> dict[str, str]:
        """Return a call with a stream."""
        call_uuid = self.call()
        reply = self._asked("POST", f"Call/{call_uuid}/Stream/", {"service_url": "wss://h.example/"})
        return {"call_uuid": call_uuid, "stream_id": reply["stream_id"]}

    def recording(self) -> str:
        """Return a recording that can be had."""
        return str(self.api.recordings.add().recording_id)

    def transcript(self) -> str:
        """Return a recording that has been transcribed."""
        view = self.api.recordings.add()
        self.api.recordings.transcripts[view.recording_id] = Transcript(view, TextState.SUCCESS, "hello")
        return str(view.recording_id)

    def room(self) -> str:
        """Return a conference with the members 17 and 18."""
        self.api.conferences.add(ROOM, "17", "18")
        return ROOM

    def party(self) -> str:
        """Return a multiparty call with the participants 48 and 49."""
        self.api.multiparty.add_live(MPC, "48", "49")
        return MPC

    def application(self, owner: str = AUTH_ID) -> str:
        """Return an application."""
        body = {"app_name": f"app {self._next()}", "subaccount": owner}
        return str(self._asked("POST", "Application/", body)["app_id"])

    def with_subaccount(self) -> dict[str, str]:
        """Return a subaccount and an application of its own."""
        subaccount = self.subaccount()
        return {"subaccount": subaccount, "app_id": self.application(subaccount)}

    def number(self) -> str:
        """Return a number of the account."""
        number = self.new_number()
        self._asked("POST", "Number/", {"numbers": number})
        return number

    def new_number(self) -> str:
        """Return a number that nobody has."""
        return f"1415555{self._next():04d}"

    def free_number(self) -> str:
        """Return a number of the stock that nobody has."""
        return f"1415888{self._next():04d}"

    def endpoint(self) -> str:
        """Return an endpoint."""
        body = {"username": "alice", "password": "password", "alias": "Alice"}
        return str(self._asked("POST", "Endpoint/", body)["endpoint_id"])

    def subaccount(self) -> str:
        """Return a subaccount."""
        body = {"name": f"customer {self._next()}", "enabled": True}
        return str(self._asked("POST", "Subaccount/", body)["auth_id"])

    def _next(self) -> int:
        return next(World._count)

    def _in_call(self, call_uuid: str, method: str, action: str) -> str:
        self.api.request(method, f"Call/{call_uuid}/{action}")
        return call_uuid

    def _asked(self, method: str, path: str, body: object) -> dict[str, Any]:
        reply = self.api.request(method, path, body)
        assert reply.status < 300, reply
        found: dict[str, Any] = reply.json
        return found


@dataclass(frozen=True)
class Operation:
    """One thing that both SDKs can do."""

    python: str
    """`resource.method` of the Python client."""
    node: str
    """`resource.method` of the Node client; empty: it has none, and `why` says so."""
    values: Callable[[World], Values]
    """Arguments by their names in Python: every one that the method has."""
    positional: tuple[str, ...] = ()
    """Arguments that Node takes by position; the others go into an object in camel case."""
    status: int = 202
    """Of the answer."""
    gives: Values | None = None
    """Fields of the answer, as the wire spells them."""
    why: str = ""
    node_options: Values | None = None
    """Options that Node wants besides; `None` as a value leaves one out that its checks refuse whatever it is."""

    def __str__(self) -> str:
        return self.python


def _fixed(**values: Any) -> Callable[[World], Values]:
    return lambda _world: values


def _of_call(**values: Any) -> Callable[[World], Values]:
    return lambda world: {"call_uuid": world.call(), **values}


def _of_room(**values: Any) -> Callable[[World], Values]:
    return lambda world: {"conference_name": world.room(), **values}


def _of_member(**values: Any) -> Callable[[World], Values]:
    return _of_room(member_id="17", **values)


def _by_name(**values: Any) -> Callable[[World], Values]:
    return lambda world: {"friendly_name": world.party(), **values}


_CALL = ("call_uuid",)
_ROOM = ("conference_name",)
_MEMBER = ("conference_name", "member_id")
_RECORD = {
    "time_limit": 30,
    "file_format": "wav",
    "transcription_type": "auto",
    "transcription_url": URL,
    "transcription_method": "GET",
    "transcription_report_type": "phrase",
    "callback_url": URL,
    "callback_method": "GET",
    "record_channel_type": "stereo",
}
_PLAY = {
    "urls": "https://h.example/a.mp3,https://h.example/b.wav",
    "length": 9,
    "legs": "both",
    "loop": True,
    "mix": False,
}
_SPEAK = {
    "text": "Hello",
    "voice": "MAN",
    "language": "en-GB",
    "legs": "bleg",
    "loop": True,
    "mix": False,
    "type": "text",
}
_TRANSFER = {"legs": "both", "aleg_url": URL, "aleg_method": "GET", "bleg_url": URL, "bleg_method": "GET"}
_APPLICATION = {
    "answer_url": URL,
    "answer_method": "GET",
    "hangup_url": URL,
    "hangup_method": "GET",
    "fallback_answer_url": URL,
    "fallback_method": "GET",
    "message_url": URL,
    "message_method": "GET",
    "default_number_app": True,
    "default_endpoint_app": True,
    "log_incoming_messages": False,
    "public_uri": True,
}
_PAGE = {"limit": 5, "offset": 1}
_PARTY_RECORD = {"file_format": "mp3", "recording_callback_url": URL, "recording_callback_method": "GET"}

OPERATIONS: tuple[Operation, ...] = (
    # ── calls ──────────────────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "calls.create",
        "calls.create",
        lambda world: {
            "from_": "14151234567",
            "to_": "14157654321<sip:a@h.example",
            "answer_url": URL,
            "answer_method": "GET",
            "ring_url": URL,
            "ring_method": "GET",
            "hangup_url": URL,
            "hangup_method": "GET",
            "fallback_url": URL,
            "fallback_method": "GET",
            "caller_name": "Shop",
            "send_digits": "1wW#@500",
            "send_on_preanswer": True,
            "time_limit": 600,
            "hangup_on_ring": 20,
            "machine_detection": "hangup",
            "machine_detection_time": 3000,
            "machine_detection_url": URL,
            "machine_detection_method": "GET",
            "sip_headers": "A=b,C=d",
            "ring_timeout": 30,
            "parent_call_uuid": world.call(),
            "error_if_parent_not_found": True,
        },
        ("from_", "to_", "answer_url"),
        201,
        {"message": "calls fired"},
    ),
    Operation("calls.get", "calls.get", lambda world: {"call_uuid": world.ended()}, _CALL, 200, {"call_duration": 924}),
    Operation(
        "calls.list",
        "calls.list",
        lambda world: {
            "call_direction": "outbound",
            "end_time__lt": "2030-01-01 00:00",
            "end_time__lte": "2030-01-01 00:00",
            "end_time__gt": "2017-01-01 00:00:00",
            "end_time__gte": "2017-01-01 00:00:00.5",
            "end_time": "2017-05-22 13:33",
            "from_number": "14150000001",
            "to_number": "1415",
            "bill_duration": 924,
            "parent_call_uuid": world.ended(),
            "hangup_cause_code": 4000,
            "hangup_source": "API Request",
            "subaccount": world.subaccount(),
            **_PAGE,
        },
        status=200,
    ),
    Operation("calls.transfer", "calls.transfer", _of_call(**_TRANSFER), _CALL, gives={"message": "call transfered"}),
    Operation("calls.update", "calls.transfer", _of_call(**_TRANSFER), _CALL, gives={"message": "call transfered"}),
    Operation("calls.delete", "calls.hangup", _of_call(), _CALL, 204),
    Operation("calls.hangup", "calls.hangup", lambda world: {"call_uuid": world.queued()}, _CALL, 204),
    Operation("calls.cancel", "calls.cancel", lambda world: {"request_uuid": world.ringing()}, ("request_uuid",), 204),
    Operation("calls.record", "calls.record", _of_call(**_RECORD), _CALL, gives={"message": "call recording started"}),
    Operation(
        "calls.start_recording", "calls.record", _of_call(**_RECORD), _CALL, gives={"message": "call recording started"}
    ),
    Operation("calls.record_stop", "calls.stopRecording", _of_call(), _CALL, 204),
    Operation(
        "calls.stop_recording", "calls.stopRecording", _of_call(callback_url=None, callback_method=None), _CALL, 204
    ),
    Operation(
        "calls.play", "calls.playMusic", _of_call(**_PLAY), ("call_uuid", "urls"), gives={"message": "play started"}
    ),
    Operation(
        "calls.start_playing",
        "calls.playMusic",
        _of_call(**_PLAY),
        ("call_uuid", "urls"),
        gives={"message": "play started"},
    ),
    Operation("calls.play_stop", "calls.stopPlayingMusic", _of_call(), _CALL, 204),
    Operation("calls.stop_playing", "calls.stopPlayingMusic", _of_call(), _CALL, 204),
    Operation(
        "calls.speak", "calls.speakText", _of_call(**_SPEAK), ("call_uuid", "text"), gives={"message": "speak started"}
    ),
    Operation(
        "calls.start_speaking",
        "calls.speakText",
        _of_call(**_SPEAK),
        ("call_uuid", "text"),
        gives={"message": "speak started"},
    ),
    Operation("calls.speak_stop", "calls.stopSpeakingText", _of_call(), _CALL, 204),
    Operation("calls.stop_speaking", "calls.stopSpeakingText", _of_call(), _CALL, 204),
    Operation(
        "calls.send_digits",
        "calls.sendDigits",
        _of_call(digits="1w2#", leg="bleg"),
        ("call_uuid", "digits"),
        gives={"message": "digits sent"},
    ),
    # ── live and queued calls ──────────────────────────────────────────────────────────────────────────────────────
    Operation("live_calls.get", "calls.getLiveCall", lambda world: {"_id": world.call()}, ("_id",), 200),
    Operation("calls.live_call_get", "calls.getLiveCall", lambda world: {"_id": world.ringing()}, ("_id",), 200),
    Operation("queued_calls.get", "calls.getQueuedCall", lambda world: {"_id": world.queued()}, ("_id",), 200),
    Operation("calls.queued_call_get", "calls.getQueuedCall", lambda world: {"_id": world.queued()}, ("_id",), 200),
    Operation(
        "live_calls.list_ids",
        "calls.listLiveCalls",
        _fixed(call_direction="outbound", from_number="14150000001", to_number="14150000002", **_PAGE),
        status=200,
    ),
    Operation("calls.live_call_list_ids", "", _fixed(limit=None, offset=None), status=200, why="the SDK's own alias"),
    Operation(
        "queued_calls.list_ids",
        "calls.listQueuedCalls",
        _fixed(**_PAGE),
        status=200,
        node_options={"limit": None, "offset": None},
    ),
    Operation("calls.queued_call_list_ids", "", _fixed(limit=None, offset=None), status=200, why="the SDK's own alias"),
    # ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "calls.start_stream",
        "calls.stream",
        _of_call(
            service_url="wss://h.example/s",
            bidirectional=False,
            audio_track="both",
            stream_timeout=60,
            status_callback_url=URL,
            status_callback_method="GET",
            content_type="audio/x-mulaw;rate=8000",
            extra_headers="a=b",
            cx_bot=True,
        ),
        ("call_uuid", "service_url"),
        gives={"message": "audio streaming started"},
    ),
    Operation(
        "calls.get_details_of_specific_stream",
        "calls.getStream",
        World.streaming,
        ("call_uuid", "stream_id"),
        200,
        {"audio_track": "inbound"},
    ),
    Operation("calls.get_all_streams", "calls.getAllStream", _of_call(), _CALL, 200),
    Operation("calls.delete_specific_stream", "calls.stopStream", World.streaming, ("call_uuid", "stream_id"), 204),
    Operation("calls.delete_all_streams", "calls.stopAllStream", _of_call(), _CALL, 204),
    Operation(
        "call_feedback.create",
        "",
        _of_call(rating=4, issues=["AUDIO_LAG", "ECHO"], notes="late"),
        status=201,
        gives={"message": "Feedback has been posted", "status": "success"},
        why="Node's sends no body: 400",
    ),
    # ── applications ───────────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "applications.create",
        "applications.create",
        lambda world: {"app_name": "agent", "subaccount": world.subaccount(), **_APPLICATION},
        ("app_name",),
        201,
        {"message": "created"},
    ),
    Operation(
        "applications.list",
        "applications.list",
        lambda world: {"subaccount": world.subaccount(), "app_name": "agent", **_PAGE},
        status=200,
    ),
    Operation("applications.get", "applications.get", lambda world: {"app_id": world.application()}, ("app_id",), 200),
    Operation(
        "applications.update",
        "applications.update",
        lambda world: {"app_id": world.application(), "subaccount": world.subaccount(), **_APPLICATION},
        ("app_id",),
        gives={"message": "changed"},
    ),
    Operation(
        "applications.delete",
        "applications.delete",
        lambda world: {
            "app_id": world.application(),
            "cascade": False,
            "new_endpoint_application": world.application(),
        },
        ("app_id",),
        204,
    ),
    # ── numbers ────────────────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "numbers.create",
        "numbers.addOwnNumber",
        lambda world: {
            "numbers": f"{world.new_number()},{world.new_number()}",
            "carrier": "acme",
            "region": "California",
            "number_type": "local",
            **world.with_subaccount(),
        },
        ("numbers", "carrier", "region"),
        gives={"message": "changed"},
    ),
    Operation(
        "numbers.list",
        "numbers.list",
        lambda world: {
            "type": "local",
            "number_startswith": "1415",
            "subaccount": world.subaccount(),
            "alias": "desk",
            "services": ["voice", "sms"],
            "tendlc_registration_status": "UNREGISTERED",
            "tendlc_campaign_id": "C1",
            "toll_free_sms_verification": "unverified",
            "toll_free_sms_verification_order_status": "PENDING",
            "renewal_date": "2030-01-01",
            "renewal_date__lte": "2030-01-01",
            "renewal_date__lt": "2030-01-01",
            "renewal_date__gte": "2010-01-01",
            "renewal_date__gt": "2010-01-01",
            "cnam_lookup": "disabled",
            **_PAGE,
        },
        status=200,
    ),
    Operation("numbers.get", "numbers.get", lambda world: {"number": world.number()}, ("number",), 200),
    Operation(
        "numbers.update",
        "numbers.update",
        lambda world: {
            "number": world.number(),
            **world.with_subaccount(),
            "alias": "desk",
            "verification_info": {"name": "Alice"},
            "cnam_lookup": "disabled",
        },
        ("number",),
        gives={"message": "changed"},
    ),
    Operation(
        "numbers.search",
        "numbers.search",
        _fixed(
            country_iso="US",
            type="local",
            pattern="415",
            region="California",
            services="voice",
            lata="722",
            rate_center="SNFC CNTRL",
            eligible=True,
            city="San Francisco",
            npanxx="415888",
            local_calling_area=True,
            **_PAGE,
        ),
        ("country_iso",),
        200,
    ),
    Operation(
        "numbers.buy",
        "numbers.buy",
        lambda world: {
            "number": world.free_number(),
            "app_id": world.application(),
            "verification_info": {"name": "Alice"},
            "cnam_lookup": "disabled",
            "ha_enable": False,
            "compliance_application_id": "1",
        },
        ("number", "app_id", "cnam_lookup", "ha_enable", "compliance_application_id"),
        201,
        {"message": "created", "status": "fulfilled"},
        node_options={"verification_info": None},
    ),
    Operation("numbers.delete", "numbers.unrent", lambda world: {"number": world.number()}, ("number",), 204),
    # ── endpoints ──────────────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "endpoints.create",
        "endpoints.create",
        lambda world: {
            "username": "alice",
            "password": "password",
            "alias": "Alice",
            "app_id": world.application(),
        },
        ("username", "password", "alias", "app_id"),
        201,
        {"message": "created"},
    ),
    Operation("endpoints.list", "endpoints.list", _fixed(**_PAGE), status=200),
    Operation("endpoints.get", "endpoints.get", lambda world: {"endpoint_id": world.endpoint()}, ("endpoint_id",), 200),
    Operation(
        "endpoints.update",
        "endpoints.update",
        lambda world: {
            "endpoint_id": world.endpoint(),
            "password": "password2",
            "alias": "Desk",
            "app_id": world.application(),
        },
        ("endpoint_id",),
        gives={"message": "changed"},
    ),
    Operation(
        "endpoints.delete", "endpoints.delete", lambda world: {"endpoint_id": world.endpoint()}, ("endpoint_id",), 204
    ),
    Operation(
        "token.create",
        "token.create",
        _fixed(
            iss=AUTH_ID,
            sub="alice",
            nbf="1700000000",
            exp="1700003600",
            incoming_allow=True,
            outgoing_allow=True,
            app="1" * 17,
        ),
        ("iss",),
        200,
    ),
    # ── account, subaccounts, prices ───────────────────────────────────────────────────────────────────────────────
    Operation("account.get", "accounts.get", _fixed(), status=200, gives={"timezone": "Asia/Kolkata"}),
    Operation(
        "account.update",
        "accounts.update",
        _fixed(name="Lunar", city="Mare", address="Crater 1"),
        gives={"message": "changed"},
    ),
    Operation(
        "subaccounts.create",
        "subaccounts.create",
        _fixed(name="Customer", enabled=True),
        ("name", "enabled"),
        201,
        {"message": "created"},
    ),
    Operation("subaccounts.list", "subaccounts.list", _fixed(**_PAGE), status=200),
    Operation("subaccounts.get", "subaccounts.get", lambda world: {"auth_id": world.subaccount()}, ("auth_id",), 200),
    Operation(
        "subaccounts.update",
        "subaccounts.update",
        lambda world: {"auth_id": world.subaccount(), "name": "Customer 2", "enabled": False},
        ("auth_id", "name", "enabled"),
        gives={"message": "changed"},
    ),
    Operation(
        "subaccounts.delete",
        "subaccounts.delete",
        lambda world: {"auth_id": world.subaccount(), "cascade": True},
        ("auth_id", "cascade"),
        204,
    ),
    Operation("pricing.get", "pricings.get", _fixed(country_iso="DE"), ("country_iso",), 200, {"country_iso": "DE"}),
    # ── recordings ─────────────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "recordings.list",
        "recordings.list",
        lambda world: {
            "subaccount": world.subaccount(),
            "call_uuid": world.call(),
            "add_time__gt": "2020-01-01 00:00",
            "add_time__gte": "2020-01-01 00:00",
            "add_time__lt": "2030-01-01 00:00",
            "add_time__lte": "2030-01-01 00:00",
            "recording_storage_duration__gt": 1,
            "recording_storage_duration__gte": 1,
            "recording_storage_duration__lt": 9999,
            "recording_storage_duration__lte": 9999,
            "recording_storage_duration": 9,
            "from_number": "14150000001",
            "to_number": "14150000002",
            "conference_name": ROOM,
            "mpc_name": MPC,
            "conference_uuid": MPC_UUID,
            "mpc_uuid": MPC_UUID,
            **_PAGE,
        },
        status=200,
    ),
    Operation(
        "recordings.get", "recordings.get", lambda world: {"recording_id": world.recording()}, ("recording_id",), 200
    ),
    Operation(
        "recordings.delete",
        "recordings.delete",
        lambda world: {"recording_id": world.recording()},
        ("recording_id",),
        204,
    ),
    Operation(
        "transcriptions.create_transcription",
        "",
        lambda world: {"recording_id": world.recording(), "transcription_callback_url": URL},
        status=201,
        gives={"message": "transcription in progress"},
        why="Node has no such resource",
    ),
    Operation(
        "transcriptions.get_transcription",
        "",
        lambda world: {"transcription_id": world.transcript(), "type": "raw"},
        status=200,
        gives={"status": "success", "transcription": "hello"},
        why="the same",
    ),
    Operation(
        "transcriptions.delete_transcription",
        "",
        lambda world: {"transcription_id": world.transcript()},
        status=202,
        gives={"message": "request accepted"},
        why="the same",
    ),
    # ── conferences ────────────────────────────────────────────────────────────────────────────────────────────────
    Operation("conferences.list", "conferences.list", _fixed(), status=200),
    Operation("conferences.get", "conferences.get", _of_room(), _ROOM, 200, {"conference_member_count": "2"}),
    Operation("conferences.delete", "conferences.hangup", _of_room(), _ROOM, 204),
    Operation("conferences.hangup", "conferences.hangup", _of_room(), _ROOM, 204),
    Operation("conferences.delete_all", "conferences.hangupAll", _fixed(), status=204),
    Operation("conferences.hangup_all", "conferences.hangupAll", _fixed(), status=204),
    Operation("conferences.member_hangup", "conferences.hangupMember", _of_member(), _MEMBER, 204),
    Operation("conferences.member_kick", "conferences.kickMember", _of_member(), _MEMBER, gives={"message": "kicked"}),
    Operation("conferences.member_mute", "conferences.muteMember", _of_member(), _MEMBER, gives={"message": "muted"}),
    Operation("conferences.member_mute_stop", "conferences.unmuteMember", _of_member(), _MEMBER, 204),
    Operation("conferences.member_deaf", "conferences.deafMember", _of_member(), _MEMBER, gives={"message": "deaf"}),
    Operation("conferences.member_deaf_stop", "conferences.undeafMember", _of_member(), _MEMBER, 204),
    Operation(
        "conferences.member_play",
        "conferences.playAudioToMember",
        _of_member(url="https://h.example/a.mp3"),
        (*_MEMBER, "url"),
        gives={"message": "play queued into conference"},
    ),
    Operation("conferences.member_play_stop", "conferences.stopPlayingAudioToMember", _of_member(), _MEMBER, 204),
    Operation(
        "conferences.member_speak",
        "conferences.speakTextToMember",
        _of_member(text="Hello", voice="MAN", language="en-GB"),
        (*_MEMBER, "text"),
        gives={"message": "speak queued into conference"},
    ),
    Operation("conferences.member_speak_stop", "conferences.stopSpeakingTextToMember", _of_member(), _MEMBER, 204),
    Operation(
        "conferences.record",
        "conferences.record",
        _of_room(
            file_format="wav",
            transcription_type="auto",
            transcription_url=URL,
            transcription_method="GET",
            callback_url=URL,
            callback_method="GET",
        ),
        _ROOM,
        gives={"message": "conference recording started"},
    ),
    Operation(
        "conferences.record",
        "conferences.startRecording",
        _of_room(file_format="mp3"),
        _ROOM,
        gives={"message": "conference recording started"},
    ),
    Operation("conferences.record_stop", "conferences.stopRecording", _of_room(), _ROOM, 204),
    # ── multiparty calls ───────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "multi_party_calls.list",
        "multiPartyCalls.list",
        _fixed(
            sub_account="SA" + "X" * 18,
            friendly_name=MPC,
            status="active",
            termination_cause_code=1000,
            end_time__gt="2020-01-01 00:00",
            end_time__gte="2020-01-01 00:00",
            end_time__lt="2030-01-01 00:00",
            end_time__lte="2030-01-01 00:00",
            creation_time__gt="2020-01-01 00:00",
            creation_time__gte="2020-01-01 00:00",
            creation_time__lt="2030-01-01 00:00",
            creation_time__lte="2030-01-01 00:00",
            **_PAGE,
        ),
        status=200,
        node_options={"offset": None},
    ),
    Operation("multi_party_calls.get", "multiPartyCalls.get", _by_name(), status=200, gives={"status": "Active"}),
    Operation(
        "multi_party_calls.start",
        "multiPartyCalls.start",
        _by_name(),
        gives={"message": f"MPC: {MPC} started"},
        node_options={"status": "active"},
    ),
    Operation("multi_party_calls.stop", "multiPartyCalls.stop", _by_name(), status=204),
    Operation(
        "multi_party_calls.list_participants",
        "multiPartyCalls.listParticipants",
        _by_name(call_uuid="call-48"),
        status=200,
    ),
    Operation(
        "multi_party_calls.get_participant",
        "multiPartyCalls.getParticipant",
        _by_name(participant_id="48"),
        ("participant_id",),
        200,
        {"member_id": "48"},
    ),
    Operation(
        "multi_party_calls.update_participant",
        "multiPartyCalls.updateParticipant",
        _by_name(participant_id="48", coach_mode=False, mute=True, hold=True),
        ("participant_id",),
        gives={
            "mute": f"MPC: {MPC} mute/unmute member(s) succeded",
            "hold": f"MPC: {MPC} hold/unhold member(s) succeded",
        },
    ),
    Operation(
        "multi_party_calls.kick_participant",
        "multiPartyCalls.kickParticipant",
        _by_name(participant_id="48"),
        ("participant_id",),
        204,
    ),
    Operation(
        "multi_party_calls.start_play_audio",
        "multiPartyCalls.startPlayAudio",
        _by_name(participant_id="48", url=URL),
        ("participant_id", "url"),
        gives={"message": "play queued into MPC"},
    ),
    Operation(
        "multi_party_calls.stop_play_audio",
        "multiPartyCalls.stopPlayAudio",
        _by_name(participant_id="48"),
        ("participant_id",),
        204,
    ),
    Operation(
        "multi_party_calls.add_participant",
        "multiPartyCalls.addParticipant",
        _by_name(
            role="Agent",
            from_="14151234567",
            to_="14157654321",
            caller_name="Shop",
            call_status_callback_url=URL,
            call_status_callback_method="GET",
            sip_headers="A=b",
            confirm_key="1",
            confirm_key_sound_url=URL,
            confirm_key_sound_method="GET",
            dial_music="real",
            ring_timeout=30,
            delay_dial=3,
            max_duration=600,
            max_participants=5,
            record_min_member_count=1,
            wait_music_url=URL,
            wait_music_method="GET",
            agent_hold_music_url=URL,
            agent_hold_music_method="GET",
            customer_hold_music_url=URL,
            customer_hold_music_method="GET",
            recording_callback_url=URL,
            recording_callback_method="GET",
            status_callback_url=URL,
            status_callback_method="GET",
            on_exit_action_url=URL,
            on_exit_action_method="GET",
            record=True,
            record_participant_track=True,
            record_file_format="mp3",
            status_callback_events="participant-state-changes",
            stay_alone=False,
            coach_mode=True,
            mute=False,
            hold=False,
            start_mpc_on_enter=True,
            end_mpc_on_exit=False,
            relay_dtmf_inputs=False,
            enter_sound="beep:1",
            enter_sound_method="GET",
            exit_sound="beep:2",
            exit_sound_method="GET",
            start_recording_audio=URL,
            start_recording_audio_method="GET",
            stop_recording_audio=URL,
            stop_recording_audio_method="GET",
            create_mpc_with_single_participant=False,
            send_digits="1",
            send_on_preanswer=False,
            transcription_url=URL,
            transcript=True,
            call_uuid=None,
        ),
        ("role",),
        201,
        {"message": "add participant action initiated"},
        node_options={"from": "14151234567", "to": "14157654321", "callUuid": None, "from_": None, "to_": None},
    ),
    Operation(
        "multi_party_calls.start_recording",
        "multiPartyCalls.startRecording",
        _by_name(transcription_url=URL, transcript=True, **_PARTY_RECORD),
        gives={"message": f"MPC: {MPC} record started"},
    ),
    Operation("multi_party_calls.stop_recording", "multiPartyCalls.stopRecording", _by_name(), status=204),
    Operation("multi_party_calls.pause_recording", "multiPartyCalls.pauseRecording", _by_name(), status=204),
    Operation("multi_party_calls.resume_recording", "multiPartyCalls.resumeRecording", _by_name(), status=204),
    Operation(
        "multi_party_calls.start_participant_recording",
        "multiPartyCalls.startParticipantRecording",
        _by_name(participant_id="48", record_track_type="all", transcription_url=URL, transcript=True, **_PARTY_RECORD),
        ("participant_id",),
        gives={"message": f"MPC: {MPC} record started"},
    ),
    *(
        Operation(
            f"multi_party_calls.{verb}_participant_recording",
            f"multiPartyCalls.{verb}ParticipantRecording",
            _by_name(participant_id="48", record_track_type="all"),
            ("participant_id",),
            204,
        )
        for verb in ("stop", "pause", "resume")
    ),
)

EXCUSED: Mapping[str, str] = {
    "transcriptions.get_transcription.type": "what it changes is published nowhere: ignored",
    "calls.list.call_direction__lt": "a slip of the SDK: directions have no order",
    "calls.list.call_direction__lte": "the same",
    "calls.list.call_direction__gt": "the same",
    "calls.list.call_direction__gte": "the same",
    "callFeedback.create": "sends no body, whatever it is given (4.79): 400",
    "multiPartyCalls.makeMpcId": "asks nothing",
    "calls.start_stream.cx_bot": "the cloud's own, ignored (docs/support.md)",
    "calls.list.status": "asks for live calls: live_calls.list_ids",
    "calls.list.cursor": "test_contract_sdk_calls, with the page it leads to",
    "recordings.list.cursor": "test_contract_sdk_recordings",
}
"""Methods and parameters that are not in the list, and why."""


@functools.cache
def python_methods() -> frozenset[str]:
    """Return every method of the list in Python's spelling."""
    return frozenset(operation.python for operation in OPERATIONS)


@functools.cache
def node_methods() -> frozenset[str]:
    """Return every method of the list in Node's spelling."""
    return frozenset(operation.node for operation in OPERATIONS if operation.node)
