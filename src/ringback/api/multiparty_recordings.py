"""`…/Record/`, `…/Record/Pause/` and `…/Resume/` of multiparty calls and their participants (specification 7.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ringback import ids
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query
from ringback.api.responses import no_content, reply
from ringback.api.services import ServicesOf
from ringback.multiparty.recorder import recording_spec
from ringback.multiparty.views import Track
from ringback.recordings.spec import FileFormat, RecordingSpec
from ringback.recordings.views import StartedRecording

router = APIRouter(tags=["Multiparty calls"])

_RECORD = "/MultiPartyCall/{mpc_id}/Record"
_PARTICIPANT_RECORD = "/MultiPartyCall/{mpc_id}/Participant/{participant_id}/Record"
_EXAMPLE = {"file_format": "mp3", "recording_callback_url": "https://yourserver.example.com/recorded"}
_TRACKS = tuple(track.value for track in Track)


@dataclass(frozen=True, slots=True)
class _Start:
    """What shall be recorded, and how."""

    spec: RecordingSpec
    track: Track


def read_record(form: Form) -> RecordingSpec:
    """Return the recording that a request asks for.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    return recording_spec(
        FileFormat(form.choice("file_format", tuple(each.value for each in FileFormat), FileFormat.MP3.value)),
        form.url("recording_callback_url", about="Told when it begins, is paused, goes on, and can be had."),
        form.method("recording_callback_method"),
        wants_transcription=form.boolean("transcript", about="Make text of it."),
        transcription_url=form.url("transcription_url", about="Told the text."),
    )


def read_track(form: Form) -> Track:
    """Return which recording of a participant is meant.

    Raises:
        InvalidParameter: it is none.
    """
    return Track(form.choice("record_track_type", _TRACKS, Track.ALL.value))


def read_participant_record(form: Form) -> _Start:
    """Return the recording of a participant that a request asks for.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    return _Start(read_record(form), read_track(form))


def _started(api_id: str, name: str, started: Sequence[StartedRecording]) -> Response:
    """Return what is recorded now; where several things are, the first stands for them and all are listed."""
    first = started[0]
    told: dict[str, object] = {
        "api_id": api_id,
        "message": f"MPC: {name} record started",
        "recording_id": first.recording_id,
        "recording_url": first.url,
    }
    if len(started) > 1:
        told["recordings"] = [{"recording_id": each.recording_id, "recording_url": each.url} for each in started]
    return reply(202, told)


@router.post(
    f"{_RECORD}/",
    summary="Record a multiparty call",
    status_code=202,
    openapi_extra=described_body(read_record, _EXAMPLE),
)
async def record_multiparty_call(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str
) -> Response:
    """Record everyone, a supervisor who coaches included, until it is stopped or the multiparty call is over."""
    api_id = ids.new_uuid()
    spec = replace(read_record(Form(await read_body(request))), api_id=api_id)
    name, started = await services.multiparty.recorder.record(account, mpc_id, spec)
    return _started(api_id, name, [started])


@router.delete(f"{_RECORD}/", summary="Stop recording a multiparty call", status_code=204)
async def stop_recording_multiparty_call(account: CurrentAccount, services: ServicesOf, mpc_id: str) -> Response:
    """Stop the recording of everyone."""
    await services.multiparty.recorder.stop(account, mpc_id)
    return no_content()


@router.post(f"{_RECORD}/Pause/", summary="Pause the recording of a multiparty call", status_code=204)
async def pause_recording_multiparty_call(account: CurrentAccount, services: ServicesOf, mpc_id: str) -> Response:
    """Leave out what is said from now on; the file has no gap."""
    await services.multiparty.recorder.pause(account, mpc_id, is_paused=True)
    return no_content()


@router.post(f"{_RECORD}/Resume/", summary="Resume the recording of a multiparty call", status_code=204)
async def resume_recording_multiparty_call(account: CurrentAccount, services: ServicesOf, mpc_id: str) -> Response:
    """Record again."""
    await services.multiparty.recorder.pause(account, mpc_id, is_paused=False)
    return no_content()


@router.post(
    f"{_PARTICIPANT_RECORD}/",
    summary="Record a participant",
    status_code=202,
    openapi_extra=described_body(read_participant_record, {**_EXAMPLE, "record_track_type": "participant"}),
)
async def record_participant(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Record what a participant says, or in two channels what it says and hears, or both, until it leaves."""
    api_id = ids.new_uuid()
    wanted = read_participant_record(Form(await read_body(request)))
    name, started = await services.multiparty.recorder.record_participants(
        account, mpc_id, participant_id, wanted.track, replace(wanted.spec, api_id=api_id)
    )
    return _started(api_id, name, started)


async def _track(request: Request) -> Track:
    """Return the recording that a request means; DELETE names it in its body or its query."""
    query = read_query(request)
    return read_track(Form(query if "record_track_type" in query else await read_body(request)))


@router.delete(
    f"{_PARTICIPANT_RECORD}/",
    summary="Stop recording a participant",
    status_code=204,
    openapi_extra=described_query(read_track),
)
async def stop_recording_participant(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Stop recordings of a participant."""
    await services.multiparty.recorder.stop_participants(account, mpc_id, participant_id, await _track(request))
    return no_content()


@router.post(
    f"{_PARTICIPANT_RECORD}/Pause/",
    summary="Pause recording a participant",
    status_code=204,
    openapi_extra=described_body(read_track, {"record_track_type": "all"}),
)
async def pause_recording_participant(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Leave out what happens from now on; the file has no gap."""
    track = await _track(request)
    await services.multiparty.recorder.pause_participants(account, mpc_id, participant_id, track, is_paused=True)
    return no_content()


@router.post(
    f"{_PARTICIPANT_RECORD}/Resume/",
    summary="Resume recording a participant",
    status_code=204,
    openapi_extra=described_body(read_track, {"record_track_type": "all"}),
)
async def resume_recording_participant(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Record again."""
    track = await _track(request)
    await services.multiparty.recorder.pause_participants(account, mpc_id, participant_id, track, is_paused=False)
    return no_content()
