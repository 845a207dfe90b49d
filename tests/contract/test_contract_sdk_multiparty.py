"""Every call that the official Python SDK makes about multiparty calls."""

from __future__ import annotations

import plivo
import pytest
from plivo.exceptions import ResourceNotFoundError, ValidationError
from tests.support.api_server import ApiServer
from tests.support.fake_multiparty import MPC_UUID

from ringback.media.control.values import PlayLane
from ringback.multiparty.spec import EVENT_GROUPS, MultipartySpec, Role, Sound
from ringback.multiparty.state import State

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
    )
    taken = client.multi_party_calls.add_participant("customer", uuid=MPC_UUID, call_uuid="call-7")
    assert taken["request_uuid"] == "call-7"


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("record", {"record": True}),
        ("confirm_key", {"confirm_key": "1"}),
        ("delay_dial", {"delay_dial": 3}),
        ("create_mpc_with_single_participant", {"create_mpc_with_single_participant": False}),
    ],
)
def test_what_is_not_supported_is_refused(client: plivo.RestClient, field: str, settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=f"{field} parameter is invalid"):
        client.multi_party_calls.add_participant(
            "agent", friendly_name=NAME, from_="+14151234567", to_="+14157654321", **settings
        )


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


def test_recording_is_refused_with_a_way_out(client: plivo.RestClient, api: ApiServer) -> None:
    for tail in ("Record/", "Record/Pause/", "Participant/48/Record/", "Participant/48/Record/Resume/"):
        reply = api.request("POST", f"MultiPartyCall/{UUID_ID}/{tail}", {})
        assert "cannot be recorded by this version" in reply.json["error"]
        assert 400 <= reply.status < 500
    with pytest.raises(ResourceNotFoundError):
        client.multi_party_calls.start_recording(friendly_name="Nobody")
