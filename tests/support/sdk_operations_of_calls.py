"""Calls, live and queued ones, and their streams: what both official SDKs are asked to do."""

from __future__ import annotations

from tests.support.sdk_operation import PAGE, URL, Operation, World, fixed, of_call

_CALL = ("call_uuid",)
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

CALL_OPERATIONS: tuple[Operation, ...] = (
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
            **PAGE,
        },
        status=200,
    ),
    Operation("calls.transfer", "calls.transfer", of_call(**_TRANSFER), _CALL, gives={"message": "call transfered"}),
    Operation("calls.update", "calls.transfer", of_call(**_TRANSFER), _CALL, gives={"message": "call transfered"}),
    Operation("calls.delete", "calls.hangup", of_call(), _CALL, 204),
    Operation("calls.hangup", "calls.hangup", lambda world: {"call_uuid": world.queued()}, _CALL, 204),
    Operation("calls.cancel", "calls.cancel", lambda world: {"request_uuid": world.ringing()}, ("request_uuid",), 204),
    Operation("calls.record", "calls.record", of_call(**_RECORD), _CALL, gives={"message": "call recording started"}),
    Operation(
        "calls.start_recording", "calls.record", of_call(**_RECORD), _CALL, gives={"message": "call recording started"}
    ),
    Operation("calls.record_stop", "calls.stopRecording", of_call(), _CALL, 204),
    Operation(
        "calls.stop_recording", "calls.stopRecording", of_call(callback_url=None, callback_method=None), _CALL, 204
    ),
    Operation(
        "calls.play", "calls.playMusic", of_call(**_PLAY), ("call_uuid", "urls"), gives={"message": "play started"}
    ),
    Operation(
        "calls.start_playing",
        "calls.playMusic",
        of_call(**_PLAY),
        ("call_uuid", "urls"),
        gives={"message": "play started"},
    ),
    Operation("calls.play_stop", "calls.stopPlayingMusic", of_call(), _CALL, 204),
    Operation("calls.stop_playing", "calls.stopPlayingMusic", of_call(), _CALL, 204),
    Operation(
        "calls.speak", "calls.speakText", of_call(**_SPEAK), ("call_uuid", "text"), gives={"message": "speak started"}
    ),
    Operation(
        "calls.start_speaking",
        "calls.speakText",
        of_call(**_SPEAK),
        ("call_uuid", "text"),
        gives={"message": "speak started"},
    ),
    Operation("calls.speak_stop", "calls.stopSpeakingText", of_call(), _CALL, 204),
    Operation("calls.stop_speaking", "calls.stopSpeakingText", of_call(), _CALL, 204),
    Operation(
        "calls.send_digits",
        "calls.sendDigits",
        of_call(digits="1w2#", leg="bleg"),
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
        fixed(call_direction="outbound", from_number="14150000001", to_number="14150000002", **PAGE),
        status=200,
    ),
    Operation("calls.live_call_list_ids", "", fixed(limit=None, offset=None), status=200, why="the SDK's own alias"),
    Operation(
        "queued_calls.list_ids",
        "calls.listQueuedCalls",
        fixed(**PAGE),
        status=200,
        node_options={"limit": None, "offset": None},
    ),
    Operation("calls.queued_call_list_ids", "", fixed(limit=None, offset=None), status=200, why="the SDK's own alias"),
    # ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────
    Operation(
        "calls.start_stream",
        "calls.stream",
        of_call(
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
    Operation("calls.get_all_streams", "calls.getAllStream", of_call(), _CALL, 200),
    Operation("calls.delete_specific_stream", "calls.stopStream", World.streaming, ("call_uuid", "stream_id"), 204),
    Operation("calls.delete_all_streams", "calls.stopAllStream", of_call(), _CALL, 204),
    Operation(
        "call_feedback.create",
        "",
        of_call(rating=4, issues=["AUDIO_LAG", "ECHO"], notes="late"),
        status=201,
        gives={"message": "Feedback has been posted", "status": "success"},
        why="Node's sends no body: 400",
    ),
)
