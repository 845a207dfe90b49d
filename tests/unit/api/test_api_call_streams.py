"""What a start request may say: every parameter, its default, and each way to be refused."""

from __future__ import annotations

import pytest

from ringback.api.call_streams import read_stream
from ringback.api.forms import Form, described_body
from ringback.errors import InvalidParameter
from ringback.media.control.values import Track
from ringback.streams.spec import StreamSpec

URL = "wss://agent.example/ws?x=1"
PARAMETERS = {
    "service_url",
    "bidirectional",
    "audio_track",
    "stream_timeout",
    "content_type",
    "status_callback_url",
    "status_callback_method",
    "extra_headers",
    "noise_cancellation",
    "noise_cancellation_level",
}


def read(**values: object) -> StreamSpec:
    """Return the stream of a request with these parameters."""
    return read_stream(Form({"service_url": URL, **values}))


def test_the_url_alone_gives_the_documented_defaults() -> None:
    assert read() == StreamSpec(
        url=URL,
        bidirectional=False,
        audio_track=Track.INBOUND,
        stream_timeout_s=86_400,
        content_type="audio/x-l16;rate=8000",
        status_callback_url="",
        status_callback_method="POST",
        extra_headers="",
        keep_call_alive=False,
        noise_cancellation=False,
        noise_cancellation_level=85,
    )


def test_all_ten_parameters_are_read() -> None:
    assert read(
        bidirectional=True,
        audio_track="inbound",
        stream_timeout=120,
        content_type="audio/x-mulaw;rate=8000",
        status_callback_url="https://app.example/status",
        status_callback_method="GET",
        extra_headers="a=1,b=2",
        noise_cancellation="true",
        noise_cancellation_level=60,
    ) == StreamSpec(
        url=URL,
        bidirectional=True,
        stream_timeout_s=120,
        content_type="audio/x-mulaw;rate=8000",
        status_callback_url="https://app.example/status",
        status_callback_method="GET",
        extra_headers="a=1,b=2",
        noise_cancellation=True,
        noise_cancellation_level=60,
    )


def test_all_ten_parameters_are_described() -> None:
    example = {"service_url": URL, "status_callback_url": "https://app.example/status"}
    described = described_body(read_stream, example)["requestBody"]["content"]["application/json"]
    assert set(described["schema"]["properties"]) == PARAMETERS
    assert described["schema"]["required"] == ["service_url"]


@pytest.mark.parametrize("track", ["inbound", "outbound", "both", "BOTH"])
def test_a_one_way_stream_may_have_any_track(track: str) -> None:
    assert read(audio_track=track).audio_track is Track(track.lower())


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"service_url": ""}, "service_url"),
        ({"service_url": "https://agent.example/"}, "service_url"),
        ({"bidirectional": "maybe"}, "bidirectional"),
        ({"bidirectional": True, "audio_track": "outbound"}, "audio_track"),
        ({"bidirectional": "true", "audio_track": "both"}, "audio_track"),
        ({"audio_track": "sideways"}, "audio_track"),
        ({"stream_timeout": 0}, "stream_timeout"),
        ({"stream_timeout": -1}, "stream_timeout"),
        ({"content_type": "audio/x-l16;rate=24000"}, "content_type"),
        ({"status_callback_url": "not a url"}, "status_callback_url"),
        ({"status_callback_method": "PUT"}, "status_callback_method"),
        ({"extra_headers": "k=" + "v" * 511}, "extra_headers"),
        ({"extra_headers": "k=\x00"}, "extra_headers"),
        ({"extra_headers": ["a"]}, "extra_headers"),
        ({"noise_cancellation": "loud"}, "noise_cancellation"),
        ({"noise_cancellation": "true", "noise_cancellation_level": 59}, "noise_cancellation_level"),
        ({"noise_cancellation": "true", "noise_cancellation_level": 101}, "noise_cancellation_level"),
        ({"noise_cancellation": "true", "noise_cancellation_level": "high"}, "noise_cancellation_level"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        read(**values)
    assert refused.value.fields["field"] == field


@pytest.mark.parametrize("level", [60, 85, 100, "100"])
def test_levels_of_noise_cancellation(level: object) -> None:
    assert read(noise_cancellation="true", noise_cancellation_level=level).noise_cancellation_level == int(str(level))


@pytest.mark.parametrize("text", [" a = b ", '{"k": "v"}', "k=" + "v" * 510, "é" * 256, ""])
def test_extra_headers_are_kept_to_the_byte(text: str) -> None:
    assert read(extra_headers=text).extra_headers == text


def test_unknown_parameters_are_ignored() -> None:
    assert read(cx_bot=True, call_uuid="x", service_type="y", keep_call_alive=True) == read()


def test_the_callback_may_have_the_name_that_plivo_cli_sends() -> None:
    assert read(stream_status_callback_url="https://a.example/").status_callback_url == "https://a.example/"
