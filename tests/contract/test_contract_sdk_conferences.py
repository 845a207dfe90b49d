"""Every call that the official Python SDK makes about conferences."""

from __future__ import annotations

from urllib.parse import quote

import plivo
import pytest
from plivo.exceptions import ResourceNotFoundError, ValidationError
from tests.support.api_server import ApiServer

from ringback.recordings.spec import FileFormat

NAME = "My Room"


@pytest.fixture(autouse=True)
def live(api: ApiServer) -> None:
    api.conferences.add(NAME, "10", "11", "17")
    api.conferences.add("Ünïcode/slash?", "20")


def test_list(client: plivo.RestClient) -> None:
    assert client.conferences.list()["conferences"] == [NAME, "Ünïcode/slash?"]


def test_get(client: plivo.RestClient) -> None:
    found = client.conferences.get(NAME)
    assert (found.conference_name, found.conference_run_time, found.conference_member_count) == (NAME, "590", "3")
    expected = {
        "muted": False,
        "member_id": "10",
        "deaf": False,
        "from": "14150000001",
        "to": "14150000002",
        "caller_name": "",
        "direction": "inbound",
        "call_uuid": "call-10",
        "join_time": "590",
    }
    member = found.members[0]
    assert {name: member[name] for name in expected} == expected
    with pytest.raises(ResourceNotFoundError):
        client.conferences.get("Nobody")


@pytest.mark.parametrize("name", ["My Room", "Ünïcode", "50% off & more", "a%20b", "1", "a.b,c;d=e+f"])
def test_names_of_any_letters(api: ApiServer, client: plivo.RestClient, name: str) -> None:
    api.conferences.add(name, "1")
    found = client.conferences.get(quote(name))
    assert found.conference_name == name
    assert client.conferences.member_mute(quote(name), "1")["member_id"] == "1"


def test_delete(api: ApiServer, client: plivo.RestClient) -> None:
    client.conferences.delete(NAME)
    assert list(api.conferences.live) == ["Ünïcode/slash?"]
    with pytest.raises(ResourceNotFoundError):
        client.conferences.hangup(NAME)
    client.conferences.delete_all()
    assert api.conferences.live == {}
    client.conferences.hangup_all()


def test_members(api: ApiServer, client: plivo.RestClient) -> None:
    kicked = client.conferences.member_kick(NAME, "10")
    assert (kicked["message"], kicked["member_id"]) == ("kicked", "10")
    muted = client.conferences.member_mute(NAME, "10,11")
    assert (muted["message"], muted["member_id"]) == ("muted", ["10", "11"])
    client.conferences.member_mute_stop(NAME, "all")
    assert client.conferences.member_deaf(NAME, "17")["message"] == "deaf"
    client.conferences.member_deaf_stop(NAME, "17")
    client.conferences.member_hangup(NAME, "11")
    assert api.conferences.asked == [
        ("kick", NAME, "10"),
        ("set_audio", NAME, "10,11", True, None),
        ("set_audio", NAME, "all", False, None),
        ("set_audio", NAME, "17", None, True),
        ("set_audio", NAME, "17", None, False),
        ("hang_up_members", NAME, "11"),
    ]
    with pytest.raises(ResourceNotFoundError):
        client.conferences.member_kick(NAME, "99")
    with pytest.raises(ResourceNotFoundError):
        client.conferences.member_mute("Nobody", "10")


def test_play(api: ApiServer, client: plivo.RestClient) -> None:
    queued = client.conferences.member_play(NAME, "all", "https://h.example/a.mp3")
    assert (queued["message"], queued["member_id"]) == ("play queued into conference", ["10", "11", "17"])
    client.conferences.member_play_stop(NAME, "10")
    assert api.conferences.asked == [("play", NAME, "all", "https://h.example/a.mp3"), ("stop_play", NAME, "10")]
    with pytest.raises(ValidationError, match="url parameter is invalid"):
        client.conferences.member_play(NAME, "10", "nonsense")


def test_speak(api: ApiServer, client: plivo.RestClient) -> None:
    queued = client.conferences.member_speak(NAME, "10", "Five minutes are left", voice="MAN", language="en-GB")
    assert (queued["message"], queued["member_id"]) == ("speak queued into conference", "10")
    client.conferences.member_speak_stop(NAME, "all")
    (what, name, members, text, voice), stopped = api.conferences.asked
    assert (what, name, members, voice) == ("speak", NAME, "10", "MAN")
    assert "Five minutes are left" in str(text)
    assert stopped == ("stop_speech", NAME, "all")
    with pytest.raises(ValidationError, match="text parameter is missing"):
        client.conferences.member_speak(NAME, "10", "  ")


def test_record(api: ApiServer, client: plivo.RestClient) -> None:
    started = client.conferences.record(
        NAME,
        file_format="wav",
        transcription_type="auto",
        callback_url="https://h.example/recorded",
        callback_method="GET",
    )
    assert (started["message"], started["recording_id"]) == ("conference recording started", "r1")
    assert started["url"] == "https://h.example/r1.mp3"
    assert started["api_id"]
    client.conferences.record_stop(NAME)
    (what, _, _, spec), stopped = api.conferences.asked
    assert what == "record"
    assert (spec.file_format, spec.callback_url, spec.callback_method) == (
        FileFormat.WAV,
        "https://h.example/recorded",
        "GET",
    )
    assert spec.api_id == started["api_id"]
    assert (spec.wants_transcription, spec.transcription_url) == (True, "")
    assert stopped == ("stop_record", NAME, "all")
    with pytest.raises(ValidationError, match="file_format"):
        client.conferences.record(NAME, file_format="ogg")
