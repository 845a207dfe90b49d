"""`/Transcription/`: recordings as text, when somebody asks for it (specification 7.6)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body
from ringback.api.forms import Form, described_body
from ringback.api.recordings import owner_of_recording
from ringback.api.responses import reply
from ringback.api.services import ServicesOf
from ringback.errors import NotFound
from ringback.recordings.views import Transcript

router = APIRouter(tags=["Recordings"])


def _read_wish(form: Form) -> str:
    return form.url("transcription_callback_url", about="Told the text, as `transcription_url` of a recording is.")


@router.post(
    "/Transcription/{recording_id}/",
    summary="Transcribe a recording",
    status_code=201,
    openapi_extra=described_body(_read_wish, {"transcription_callback_url": "https://yourserver.com/text"}),
)
async def transcribe_recording(
    request: Request, account: CurrentAccount, services: ServicesOf, recording_id: str
) -> Response:
    """Have a text made of a recording whose file can be had; 409 where nothing is transcribed."""
    url = _read_wish(Form(await read_body(request)))
    owner = await owner_of_recording(request, account, services, recording_id)
    await services.recordings.transcribe(owner, recording_id, url)
    return reply(201, {"message": "transcription in progress"})


@router.get("/Transcription/{recording_id}/", summary="Retrieve the text of a recording")
async def retrieve_transcription(
    request: Request, account: CurrentAccount, services: ServicesOf, recording_id: str
) -> Response:
    """Return the text, also of a recording that was made with `transcription_url`; 404 when nobody wanted one."""
    owner = await owner_of_recording(request, account, services, recording_id)
    found = await services.recordings.transcript(owner, recording_id)
    if found is None:
        raise NotFound("transcription not found")
    return reply(200, transcription_object(found))


@router.delete("/Transcription/{recording_id}/", summary="Delete the text of a recording", status_code=202)
async def delete_transcription(
    request: Request, account: CurrentAccount, services: ServicesOf, recording_id: str
) -> Response:
    """Delete the text, or give up making it; the recording stays."""
    owner = await owner_of_recording(request, account, services, recording_id)
    if not await services.recordings.delete_transcript(owner, recording_id):
        raise NotFound("transcription not found")
    return reply(202, {"message": "request accepted"})


def transcription_object(found: Transcript) -> dict[str, object]:
    """Return a text as it is spelled on the wire."""
    return {
        "cost": 0.0,
        "error": found.detail,
        "rate": 0.0,
        "recording_duration_ms": found.recording.duration_ms,
        "recording_start_ms": found.recording.start_wall_ms,
        "status": found.state.value,
        "transcription": found.text,
    }
