"""Every call that the official Python SDK makes about multiparty calls."""

from __future__ import annotations

import plivo
import pytest
from plivo.exceptions import ResourceNotFoundError, ValidationError
from tests.support.api_server import ApiServer
from tests.support.fake_multiparty import MPC_UUID

from ringback.media.control.values import PlayLane
from ringback.multiparty.spec import EVENT_GROUPS, RINGING, EventGroup, MultipartySpec, Role, Sound
from ringback.multiparty.state import State
from ringback.multiparty.views import AddParticipant, Track
from ringback.recordings.spec import FileFormat

NAME = "My MPC"
UUID_ID = f"uuid_{MPC_UUID}"


@pytest.fixture(autouse=True)
def live(api: ApiServer) -> None:
    api.multiparty.add_live(NAME, "48", "49")


def test_list(api: ApiServer, client: plivo.RestClient) -> None:
    found = client.multi_party_calls.list(
        friendly_name=NAME,
        status="active",
        creation_time__gte="2023-01-01 00:00",
        end_time__lt="2033-01-01 00:00",
        limit=5,
    )
    assert (found.meta.count, found.meta.total_count) == (0, 0), "one that has not ended has no end time"
    filters = api.multiparty.asked[-1][1]
    assert filters.name == NAME  # type: ignore[attr-defined]
    assert filters.state is State.ACTIVE  # type: ignore[attr-defined]
    (each,) = client.multi_party_calls.list().objects
    assert (each.friendly_name, each.status, each.mpc_uuid) == (NAME, "Active", MPC_UUID)


def test_get(client: plivo.RestClient) -> None:
    by_uuid = client.multi_party_calls.get(uuid=MPC_UUID)
    by_name = client.multi_party_calls.get(friendly_name=NAME)
    assert by_uuid.friendly_name == by_name.friendly_name == NAME
    assert by_uuid.participants.endswith(f"/MultiPartyCall/{UUID_ID}/Participant/")
    assert (by_uuid.recording, by_uuid.stay_alone, by_uuid.termination_cause) == ("not-recording", False, None)
    with pytest.raises(ResourceNotFoundError):
        client.multi_party_calls.get(friendly_name="Nobody")


def test_ids_are_names_or_uuids(api: ApiServer) -> None:
    reply = api.request("GET", "MultiPartyCall/nonsense/")
    assert reply.status == 400
    assert "name_{friendly_name}" in reply.json["error"]


def test_start_and_stop(api: ApiServer, client: plivo.RestClient) -> None:
    # The SDK sends the status as a list.
    assert client.multi_party_calls.start(friendly_name=NAME)["message"] == f"MPC: {NAME} started"
    assert api.request("POST", f"MultiPartyCall/{UUID_ID}/", {"status": "Active"}).status == 202
    assert api.request("POST", f"MultiPartyCall/{UUID_ID}/", {"status": "Ended"}).status == 400
    client.multi_party_calls.stop(uuid=MPC_UUID)
    assert api.multiparty.live == {}
    with pytest.raises(ResourceNotFoundError):
        client.multi_party_calls.stop(uuid=MPC_UUID)


def test_add_participants(api: ApiServer, client: plivo.RestClient) -> None:
    added = client.multi_party_calls.add_participant(
        "Agent",
        friendly_name=NAME,
        from_="+14151234567",
        to_="+14157654321<sip:alice@example.com",
        ring_timeout="20<30",
        caller_name="Support",
        call_status_callback_url="https://h.example/status",
        wait_music_url="https://h.example/music",
    )
    assert added["message"] == "add participant action initiated"
    assert [call["to"] for call in added["calls"]] == ["14157654321", "sip:alice@example.com"]
    assert added["request_uuid"] == added["calls"][0]["call_uuid"]
    _, mpc_id, wanted = api.multiparty.asked[-1]
    assert mpc_id == f"name_{NAME}"
    first, second = wanted.calls  # type: ignore[attr-defined]
    assert (first.ring_timeout_s, second.ring_timeout_s, first.caller_name) == (20, 30, "Support")
    assert first.hangup_url == first.ring_url == "https://h.example/status"
    assert wanted.spec == MultipartySpec(  # type: ignore[attr-defined]
        name="",
        role=Role.AGENT,
        wait_music=Sound("https://h.example/music"),
        event_groups=EVENT_GROUPS,
        status_method="GET",
        recording_method="GET",
    )
    assert wanted.dial_music == RINGING  # type: ignore[attr-defined]
    taken = client.multi_party_calls.add_participant("customer", uuid=MPC_UUID, call_uuid="call-7")
    assert taken["request_uuid"] == "call-7"


def test_add_with_everything_else(api: ApiServer, client: plivo.RestClient) -> None:
    client.multi_party_calls.add_participant(
        "agent",
        friendly_name=NAME,
        from_="+14151234567",
        to_="+14157654321<+14157654322",
        confirm_key="5",
        confirm_key_sound_url="https://h.example/ask",
        confirm_key_sound_method="POST",
        dial_music="https://h.example/dialling",
        delay_dial="0<7",
        create_mpc_with_single_participant=False,
        record=True,
        record_participant_track=True,
        record_file_format="wav",
        record_min_member_count=2,
        recording_callback_url="https://h.example/recorded",
        start_recording_audio="https://h.example/start.mp3",
        stop_recording_audio="https://h.example/stop.mp3",
        status_callback_events="add-participant-api-events,participant-speak-events",
        send_digits="1w2",
        send_on_preanswer=True,
        transcription_url="https://h.example/text",
        transcript=True,
    )
    wanted: AddParticipant = api.multiparty.asked[-1][2]  # type: ignore[assignment]
    assert (wanted.confirm_key, wanted.confirm_sound) == ("5", Sound("https://h.example/ask", "POST"))
    assert (wanted.dial_music, wanted.may_be_first) == (Sound("https://h.example/dialling"), False)
    assert [wanted.delay_s(index) for index in range(2)] == [0, 7]
    spec = wanted.spec
    assert (spec.is_recorded, spec.records_track, spec.record_format, spec.record_min) == (True, True, "wav", 2)
    assert (spec.recording_url, spec.start_recording_sound.url) == (
        "https://h.example/recorded",
        "https://h.example/start.mp3",
    )
    assert spec.event_groups == (EventGroup.ADD, EventGroup.SPEAK)
    assert wanted.calls[0].send_digits == "1w2"


def test_wrong_additions(api: ApiServer) -> None:
    path = f"MultiPartyCall/{UUID_ID}/Participant/"
    for body, wrong in (
        ({"call_uuid": "c"}, "role"),
        ({"role": "ai-agent", "call_uuid": "c"}, "role"),
        ({"role": "agent"}, "from"),
        ({"role": "agent", "call_uuid": "c", "to": "14157654321"}, "call_uuid"),
        ({"role": "customer", "from": "14151234567", "to": "14157654321<14157654322"}, "to"),
        ({"role": "agent", "from": "1415", "to": "14157654321", "ring_timeout": "1<2"}, "ring_timeout"),
        ({"role": "agent", "call_uuid": "c", "enter_sound": "gong"}, "enter_sound"),
        ({"role": "agent", "call_uuid": "c", "max_participants": 11}, "max_participants"),
        ({"role": "agent", "call_uuid": "c", "status_callback_events": "all"}, "status_callback_events"),
        ({"role": "agent", "from": "1415", "to": "14157654321", "delay_dial": "soon"}, "delay_dial"),
        ({"role": "agent", "from": "1415", "to": "14157654321", "delay_dial": "3601"}, "delay_dial"),
        ({"role": "agent", "from": "1415", "to": "14157654321", "delay_dial": "1<2"}, "delay_dial"),
        ({"role": "agent", "from": "1415", "to": "14157654321", "confirm_key": "A"}, "confirm_key"),
        ({"role": "agent", "from": "1415", "to": "14157654321", "dial_music": "gong"}, "dial_music"),
        ({"role": "agent", "call_uuid": "c", "record_min_member_count": 3}, "record_min_member_count"),
        ({"role": "agent", "call_uuid": "c", "record_file_format": "ogg"}, "record_file_format"),
    ):
        reply = api.request("POST", path, body)
        assert (reply.status, wrong in reply.json["error"]) == (400, True), reply.json


def test_participants(api: ApiServer, client: plivo.RestClient) -> None:
    listed = client.multi_party_calls.list_participants(friendly_name=NAME)
    assert [each.member_id for each in listed.objects] == ["48", "49"]
    found = client.multi_party_calls.get_participant("49", uuid=MPC_UUID)
    assert (found.call_uuid, found.role, found.coach_mode, found.exit_time) == ("call-49", "agent", False, None)
    changed = client.multi_party_calls.update_participant("48", friendly_name=NAME, mute=True, hold=False)
    assert changed["mute"] == f"MPC: {NAME} mute/unmute member(s) succeded"
    assert changed["hold"] == f"MPC: {NAME} hold/unhold member(s) succeded"
    client.multi_party_calls.update_participant("49", uuid=MPC_UUID, coach_mode=False)
    client.multi_party_calls.kick_participant("48", uuid=MPC_UUID)
    assert api.multiparty.asked == [
        ("set", f"name_{NAME}", "48", True, False, None),
        ("set", UUID_ID, "49", None, None, False),
        ("kick", UUID_ID, "48"),
    ]
    assert api.request("POST", f"MultiPartyCall/{UUID_ID}/Participant/48/", {}).status == 400
    for call in (client.multi_party_calls.get_participant, client.multi_party_calls.kick_participant):
        with pytest.raises(ResourceNotFoundError):
            call("99", uuid=MPC_UUID)


def test_sounds(api: ApiServer, client: plivo.RestClient) -> None:
    queued = client.multi_party_calls.start_play_audio("48", friendly_name=NAME, url="https://h.example/a.mp3")
    assert (queued["message"], queued["mpcMemberId"], queued["mpcName"]) == ("play queued into MPC", ["48"], NAME)
    client.multi_party_calls.stop_play_audio("48", friendly_name=NAME)
    spoken = api.request("POST", f"MultiPartyCall/{UUID_ID}/Member/48/Speak/", {"text": "Hello", "voice": "MAN"})
    assert (spoken.status, spoken.json["message"]) == (202, "speak queued into MPC")
    assert api.request("DELETE", f"MultiPartyCall/{UUID_ID}/Member/48/Speak/").status == 204
    assert api.multiparty.asked == [
        ("play", f"name_{NAME}", "48", "https://h.example/a.mp3"),
        ("stop_sounds", f"name_{NAME}", "48", PlayLane.PLAY),
        ("speak", UUID_ID, "48", "MAN"),
        ("stop_sounds", UUID_ID, "48", PlayLane.SPEAK),
    ]


def test_recordings_of_everyone(client: plivo.RestClient, api: ApiServer) -> None:
    started = client.multi_party_calls.start_recording(
        friendly_name=NAME, file_format="wav", recording_callback_url="https://h.example/r", transcript=True
    )
    assert started["message"] == f"MPC: {NAME} record started"
    assert started["recording_url"].endswith(f"/Recording/{started['recording_id']}.mp3")
    client.multi_party_calls.pause_recording(friendly_name=NAME)
    client.multi_party_calls.resume_recording(uuid=MPC_UUID)
    client.multi_party_calls.stop_recording(friendly_name=NAME)
    assert api.multiparty.asked == [
        ("record", f"name_{NAME}", FileFormat.WAV, "https://h.example/r", "POST"),
        ("pause", f"name_{NAME}"),
        ("resume", UUID_ID),
        ("stop_record", f"name_{NAME}"),
    ]
    api.multiparty.refuses = True
    with pytest.raises(ValidationError, match="already"):
        client.multi_party_calls.start_recording(uuid=MPC_UUID)
    for call in (client.multi_party_calls.stop_recording, client.multi_party_calls.pause_recording):
        with pytest.raises(ResourceNotFoundError):
            call(friendly_name=NAME)
    with pytest.raises(ResourceNotFoundError):
        client.multi_party_calls.start_recording(friendly_name="Nobody")


def test_recordings_of_participants(client: plivo.RestClient, api: ApiServer) -> None:
    calls = client.multi_party_calls
    both = calls.start_participant_recording(48, friendly_name=NAME, file_format="wav", record_track_type="both")
    assert len(both["recordings"]) == 2
    assert both["recording_id"] == both["recordings"][0]["recording_id"]
    alone = calls.start_participant_recording("49", uuid=MPC_UUID, record_track_type="participant")
    assert "recordings" not in alone
    calls.pause_participant_recording("49", uuid=MPC_UUID, record_track_type="participant")
    calls.resume_participant_recording("49", uuid=MPC_UUID, record_track_type="participant")
    calls.stop_participant_recording("49", uuid=MPC_UUID, record_track_type="participant")
    calls.stop_participant_recording("48", friendly_name=NAME)
    assert api.multiparty.asked == [
        ("record", f"name_{NAME}", "48", Track.BOTH, FileFormat.WAV),
        ("record", UUID_ID, "49", Track.PARTICIPANT, FileFormat.MP3),
        ("pause", UUID_ID, "49", Track.PARTICIPANT),
        ("resume", UUID_ID, "49", Track.PARTICIPANT),
        ("stop_record", UUID_ID, "49", Track.PARTICIPANT),
        ("stop_record", f"name_{NAME}", "48", Track.ALL),
    ]
    path = f"MultiPartyCall/{UUID_ID}/Participant/48/Record/"
    assert api.request("DELETE", f"{path}?record_track_type=both").status == 204
    assert api.multiparty.asked[-1][-1] is Track.BOTH
    assert api.request("POST", path, {"record_track_type": "some"}).status == 400
    with pytest.raises(ResourceNotFoundError):
        calls.start_participant_recording("99", uuid=MPC_UUID)


def test_live_resources_of_the_sdk(client: plivo.RestClient, api: ApiServer) -> None:
    found = client.multi_party_calls.get(uuid=MPC_UUID)
    found.start_recording(file_format="wav")
    found.pause_recording()
    found.resume_recording()
    found.stop_recording()
    member = client.multi_party_calls.get_participant("48", uuid=MPC_UUID)
    member.start_participant_recording(record_track_type="participant")
    member.pause_participant_recording(record_track_type="participant")
    member.resume_participant_recording(record_track_type="participant")
    member.stop_participant_recording(record_track_type="participant")
    member.update(mute=True)
    member.kick()
    assert [each[0] for each in api.multiparty.asked] == [
        "record", "pause", "resume", "stop_record", "record", "pause", "resume", "stop_record", "set", "kick",
    ]  # fmt: skip
