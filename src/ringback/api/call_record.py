"""`/Call/{call_uuid}/Record/`: record a live call (specification 4.9)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from ringback import ids
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body
from ringback.api.responses import no_content, reply
from ringback.api.services import ServicesOf
from ringback.ids import CallUuid
from ringback.media.control.values import RecordingChannels
from ringback.recordings.spec import DEFAULT_MAX_LENGTH_S, MAX_LENGTH_S, CallbackStyle, FileFormat, RecordingSpec

router = APIRouter(tags=["Recordings"])

_TIME_LIMIT_MAX_S = 10**9
_FORMATS = tuple(file_format.value for file_format in FileFormat)
_CHANNELS = tuple(channels.value for channels in RecordingChannels)


def read_record(form: Form) -> RecordingSpec:
    """Return the recording that a request asks for.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    time_limit_s = form.integer("time_limit", DEFAULT_MAX_LENGTH_S, 1, _TIME_LIMIT_MAX_S, about="Seconds.")
    form.text("transcription_report_type", about="Accepted, no effect.")
    return RecordingSpec(
        file_format=FileFormat(form.choice("file_format", _FORMATS, FileFormat.MP3.value)),
        channels=RecordingChannels(
            form.choice(
                "record_channel_type",
                _CHANNELS,
                RecordingChannels.MONO.value,
                about="`stereo`: what the far party says on the left, what it hears on the right.",
            )
        ),
        max_length_s=min(time_limit_s, MAX_LENGTH_S),
        callback_url=form.url("callback_url", about="Told when the file can be had."),
        callback_method=form.method("callback_method"),
        style=CallbackStyle.REST,
        **transcription(form),
    )


def transcription(form: Form) -> dict[str, Any]:
    """Return the fields of a `RecordingSpec` that say whether a text is wanted, and who is told.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    kind = form.text("transcription_type", about="Any text asks for a transcription.")
    url = form.url("transcription_url", about="Told the text, where a transcribing engine is installed.")
    method = form.method("transcription_method")
    return {"wants_transcription": bool(kind or url), "transcription_url": url, "transcription_method": method}


@router.post(
    "/Call/{call_uuid}/Record/",
    summary="Record a call",
    status_code=202,
    openapi_extra=described_body(
        read_record, {"time_limit": 600, "file_format": "mp3", "callback_url": "https://yourserver.com/recorded"}
    ),
)
async def start_recording(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Record a live call in the background."""
    form = Form(await read_body(request))
    spec = read_record(form)
    api_id = ids.new_uuid()
    started = await services.recordings.record(account, CallUuid(call_uuid), spec, api_id=api_id)
    return reply(
        202,
        {
            "api_id": api_id,
            "message": "call recording started",
            "recording_id": started.recording_id,
            "url": started.url,
        },
    )


@router.delete("/Call/{call_uuid}/Record/", summary="Stop recording a call", status_code=204)
async def stop_recording(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Stop every recording of a live call, or only the one that `URL` names, in the body or in the query."""
    form = Form({**read_query(request), **await read_body(request)})
    # Plivo's documents write it in capitals, the Python SDK in small letters.
    url = form.text("URL") or form.text("url")
    await services.recordings.stop(account, CallUuid(call_uuid), url)
    return no_content()
