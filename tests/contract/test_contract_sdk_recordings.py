"""Every call that the official Python SDK makes about recordings."""

from __future__ import annotations

import re
from pathlib import Path

import plivo
import pytest
from plivo.exceptions import InvalidRequestError, ResourceNotFoundError, ValidationError
from tests.support.api_server import AUTH_ID, OTHER_ID, ApiServer

from ringback.calls.views import Bound, Comparison
from ringback.errors import Conflict
from ringback.media.control.values import RecordingChannels
from ringback.recordings.spec import CallbackStyle, FileFormat, RecordingSpec
from ringback.recordings.views import RecordingFilters

READY = "https://yourserver.example.com/ready"


def test_record_with_defaults(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add("")
    started = client.calls.record(call_uuid)
    assert started.message == "call recording started"
    assert len(started.api_id) == 36
    assert started.url.endswith(f"/v1/Account/{AUTH_ID}/Recording/{started.recording_id}.mp3")
    assert api.recordings.asked == [RecordingSpec(style=CallbackStyle.REST)]
    assert api.recordings.views[started.recording_id].api_id == started.api_id


def test_record_with_every_parameter(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add("")
    client.calls.start_recording(
        call_uuid,
        time_limit=90_000,
        file_format="wav",
        transcription_type="auto",
        transcription_url="https://yourserver.example.com/text",
        transcription_method="GET",
        transcription_report_type="phrase",
        callback_url=READY,
        callback_method="GET",
        record_channel_type="stereo",
    )
    assert api.recordings.asked == [
        RecordingSpec(
            file_format=FileFormat.WAV,
            channels=RecordingChannels.STEREO,
            max_length_s=86_400,
            callback_url=READY,
            callback_method="GET",
            style=CallbackStyle.REST,
            wants_transcription=True,
            transcription_url="https://yourserver.example.com/text",
            transcription_method="GET",
        )
    ]


@pytest.mark.parametrize(
    "wrong", [{"file_format": "ogg"}, {"time_limit": 0}, {"record_channel_type": "left"}, {"callback_url": "nowhere"}]
)
def test_wrong_parameters_are_refused(api: ApiServer, client: plivo.RestClient, wrong: dict[str, object]) -> None:
    call_uuid = api.calls.add("")
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        client.calls.record(call_uuid, **wrong)
    assert not api.recordings.asked


def test_unknown_call_and_full_disk(api: ApiServer, client: plivo.RestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResourceNotFoundError):
        client.calls.record("none")
    with pytest.raises(ResourceNotFoundError):
        client.calls.record_stop("none")

    async def full(*_arguments: object, **_options: object) -> None:
        raise Conflict("the disk of this server is full")

    monkeypatch.setattr(api.recordings, "record", full)
    with pytest.raises(InvalidRequestError, match="disk"):
        client.calls.record("any")


def test_stop_all_or_one(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add("")
    first, second = client.calls.record(call_uuid), client.calls.record(call_uuid, file_format="wav")
    path = f"/v1/Account/{AUTH_ID}/Call/{call_uuid}/Record/"
    assert api.request("DELETE", path, {"URL": first.url}).status == 204
    assert [each["recording_id"] for each in client.recordings.list()["objects"]] == [first.recording_id]
    assert api.request("DELETE", f"{path}?URL={first.url}x").status == 404
    client.calls.record_stop(call_uuid)
    assert len(client.recordings.list()["objects"]) == 2
    assert client.recordings.get(second.recording_id)["recording_format"] == "wav"


def test_recording_is_shown_as_the_cloud_shows_it(api: ApiServer, client: plivo.RestClient) -> None:
    view = api.recordings.add(created_wall_ms=1_649_759_933_523)
    shown = client.recordings.get(view.recording_id)
    storage_days = shown.__dict__.pop("recording_storage_duration")
    assert storage_days > 1_000
    wanted = {
        "add_time": "2022-04-12 16:08:53.523000+05:30",
        "call_uuid": view.call_uuid,
        "conference_name": None,
        "from_number": "14150000001",
        "monthly_recording_storage_amount": 0.0,
        "recording_duration_ms": "7560.00000",
        "recording_end_ms": "1649759941083.00000",
        "recording_format": "mp3",
        "recording_id": view.recording_id,
        "recording_start_ms": "1649759933523.00000",
        "recording_storage_rate": 0.0,
        "recording_type": "call",
        "recording_url": api.recordings.url(view),
        "resource_uri": f"/v1/Account/{AUTH_ID}/Recording/{view.recording_id}/",
        "rounded_recording_duration": 60,
        "to_number": "14150000002",
    }
    assert wanted.items() <= shown.__dict__.items()


def test_every_filter_arrives(api: ApiServer, client: plivo.RestClient) -> None:
    client.recordings.list(
        call_uuid="c1",
        from_number="14150000001",
        to_number="14150000002",
        conference_name="room",
        conference_uuid="u1",
        add_time__gte="2022-04-12 10:00",
        recording_storage_duration__lt=3,
    )
    client.recordings.list(mpc_name="party")
    assert api.recordings.asked == [
        RecordingFilters(
            call_uuid="c1",
            from_number="14150000001",
            to_number="14150000002",
            conference_name="room",
            conference_uuid="u1",
            added_wall_ms=(Bound(Comparison.AT_LEAST, 1_649_757_600_000),),
            age_days=(Bound(Comparison.LESS, 3),),
        ),
        RecordingFilters(mpc_name="party"),
    ]
    with pytest.raises(ValidationError, match="add_time"):
        client.recordings.list(add_time__gt="yesterday")


def test_pages_and_deletion(api: ApiServer, client: plivo.RestClient) -> None:
    views = [api.recordings.add() for _ in range(3)]
    page = client.recordings.list(limit=2)
    assert page["meta"]["total_count"] == 3
    assert re.fullmatch(rf"/v1/Account/{AUTH_ID}/Recording/\?limit=2&offset=2&cursor=\S+", page["meta"]["next"])
    (third,) = client.recordings.list(limit=2, cursor=page["meta"]["next"].rpartition("=")[2])["objects"]
    assert third["recording_id"] == views[0].recording_id
    assert [each["recording_id"] for each in page["objects"]] == [view.recording_id for view in reversed(views[1:])]
    client.recordings.delete(views[0].recording_id)
    for gone in (client.recordings.get, client.recordings.delete):
        with pytest.raises(ResourceNotFoundError):
            gone(views[0].recording_id)


def test_main_account_sees_and_deletes_what_its_subaccounts_record(api: ApiServer, client: plivo.RestClient) -> None:
    sub, stranger = (client.subaccounts.create(name, enabled=True) for name in ("sub", "stranger"))
    mine, theirs = api.recordings.add(), api.recordings.add(account_id=sub.auth_id)
    foreign = api.recordings.add(account_id=OTHER_ID)

    def ids(**filters: str) -> list[str]:
        return [each["recording_id"] for each in client.recordings.list(**filters)["objects"]]

    assert ids() == [mine.recording_id]
    assert ids(subaccount=sub.auth_id) == [theirs.recording_id]
    assert ids(subaccount="SA000000000000000000") == []
    assert client.recordings.get(theirs.recording_id)["resource_uri"].startswith(f"/v1/Account/{sub.auth_id}/")
    with api.client(stranger.auth_token, stranger.auth_id) as other:
        for recording_id in (mine.recording_id, theirs.recording_id, foreign.recording_id):
            with pytest.raises(ResourceNotFoundError):
                other.recordings.get(recording_id)
            with pytest.raises(ResourceNotFoundError):
                other.recordings.delete(recording_id)
    with pytest.raises(ResourceNotFoundError):
        client.recordings.get(foreign.recording_id)
    client.recordings.delete(theirs.recording_id)
    assert ids(subaccount=sub.auth_id) == []


def test_the_documented_example_runs(api: ApiServer, client: plivo.RestClient) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api" / "recordings.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    call_uuid = api.calls.add("")
    exec(example, {"client": client, "call_uuid": call_uuid})
    assert client.recordings.list()["meta"]["total_count"] == 1


@pytest.mark.parametrize("name", ["../../../etc/passwd.mp3", "..%2f..%2fx.wav", "none.mp3", "none.exe", "a.b.wav"])
def test_file_that_is_none_is_not_found(api: ApiServer, name: str) -> None:
    assert api.request("GET", f"/v1/Account/{AUTH_ID}/Recording/{name}", credentials=None).status == 404


def test_a_text_is_asked_for_shown_and_deleted(api: ApiServer, client: plivo.RestClient) -> None:
    recording_id = api.recordings.add().recording_id
    with pytest.raises(ResourceNotFoundError, match="transcription not found"):
        client.transcriptions.get_transcription(recording_id)
    asked = client.transcriptions.create_transcription(recording_id, "https://h.example/text")
    assert asked.message == "transcription in progress"
    shown = vars(client.transcriptions.get_transcription(recording_id))
    assert {name: value for name, value in shown.items() if name != "api_id"} == {
        "cost": 0.0,
        "error": "",
        "rate": 0.0,
        "recording_duration_ms": 7_560,
        "recording_start_ms": 1_649_759_933_523,
        "status": "in-progress",
        "transcription": "",
    }
    assert client.transcriptions.delete_transcription(recording_id).message == "request accepted"
    with pytest.raises(ResourceNotFoundError):
        client.transcriptions.delete_transcription(recording_id)


def test_a_text_that_cannot_be_had_is_refused(api: ApiServer, client: plivo.RestClient) -> None:
    recording_id = api.recordings.add().recording_id
    with pytest.raises(ResourceNotFoundError, match="recording not found"):
        client.transcriptions.create_transcription("nothing")
    with pytest.raises(ValidationError, match="transcription_callback_url"):
        client.transcriptions.create_transcription(recording_id, "ftp://h.example/text")
    api.recordings.is_deaf = True
    with pytest.raises(InvalidRequestError, match="nothing is transcribed"):
        client.transcriptions.create_transcription(recording_id)
