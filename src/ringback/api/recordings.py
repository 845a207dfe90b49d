"""`/Recording/`: recordings and their files (specification 7.6).

A file is served without credentials, at an address that nobody can guess: the recording's id is 122 random bits. A
setting asks for credentials.
"""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse

from ringback import clock
from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount, account_of_path, account_of_subaccount, read_owner
from ringback.api.bodies import read_query
from ringback.api.forms import Form, described_query
from ringback.api.moments import read_moments
from ringback.api.paging import read_page_with_cursor
from ringback.api.responses import no_content, precise_account_time, reply
from ringback.api.services import Services, ServicesOf
from ringback.calls.views import After, Bound, Comparison
from ringback.errors import NotFound
from ringback.recordings.spec import FileFormat, RecordingKind
from ringback.recordings.views import DAY_MS, RecordingFilters, RecordingView

router = APIRouter(tags=["Recordings"])

_NAME_MAX_CHARS = 255
_DAYS_MAX = 100_000
_MEDIA_TYPES = {FileFormat.MP3: "audio/mpeg", FileFormat.WAV: "audio/wav"}


def read_filters(form: Form) -> RecordingFilters:
    """Return which recordings are wanted.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    kind = form.choice("recording_type", tuple(kind.value for kind in RecordingKind), "")
    return RecordingFilters(
        call_uuid=form.text("call_uuid", max_chars=64),
        from_number=form.text("from_number", max_chars=_NAME_MAX_CHARS),
        to_number=form.text("to_number", max_chars=_NAME_MAX_CHARS),
        conference_name=form.text("conference_name", max_chars=_NAME_MAX_CHARS),
        conference_uuid=form.text("conference_uuid", max_chars=64),
        kind=RecordingKind(kind) if kind else None,
        mpc_name=form.text("mpc_name", max_chars=_NAME_MAX_CHARS),
        mpc_uuid=form.text("mpc_uuid", max_chars=64),
        added_wall_ms=read_moments(form, "add_time"),
        age_days=tuple(
            Bound(comparison, value)
            for comparison in Comparison
            if (value := form.optional_integer(f"recording_storage_duration{comparison.value}", 0, _DAYS_MAX))
            is not None
        ),
    )


@router.get(
    "/Recording/",
    summary="List recordings",
    openapi_extra=described_query(lambda form: (read_page_with_cursor(form), read_owner(form), read_filters(form))),
)
async def list_recordings(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return recordings whose files can be had, newest first."""
    form = Form(read_query(request))
    page = read_page_with_cursor(form)
    filters = replace(read_filters(form), after=page.after)
    owner = await account_of_subaccount(request, account, read_owner(form))
    if owner is None:
        return reply(200, {"meta": page.meta(request, 0), "objects": []})
    views, total = await services.recordings.list(owner, filters, page.limit, page.skipped)
    last = After(views[-1].created_wall_ms, views[-1].recording_id) if views else None
    objects = [recording_object(view, owner, services) for view in views]
    return reply(200, {"meta": page.meta_with_cursor(request, total, len(views), last), "objects": objects})


@router.api_route(
    "/Recording/{recording_id}.{suffix}/",
    methods=["GET", "HEAD"],
    summary="Download a recording",
    include_in_schema=False,
)
async def download_recording(
    request: Request, services: ServicesOf, auth_id: str, recording_id: str, suffix: str
) -> Response:
    """Return the file, or the part of it that a `Range` asks for (RFC 9110 §14)."""
    if services.settings.recordings_need_credentials:
        await account_of_path(request, auth_id)
    try:
        file_format = FileFormat(suffix)
    except ValueError:
        raise NotFound("recording not found") from None
    file = await services.recordings.file(auth_id, recording_id, file_format)
    if file is None or not file.path.is_file():
        raise NotFound("recording not found")
    return FileResponse(
        file.path,
        media_type=_MEDIA_TYPES[file.file_format],
        # Whoever knows the address may have the file; caches on the way shall not keep it.
        headers={"cache-control": "private, max-age=86400", "x-content-type-options": "nosniff"},
    )


@router.get("/Recording/{recording_id}/", summary="Retrieve a recording")
async def retrieve_recording(
    request: Request, account: CurrentAccount, services: ServicesOf, recording_id: str
) -> Response:
    """Return one recording of the account or of its subaccounts whose file can be had."""
    owner = await owner_of_recording(request, account, services, recording_id)
    view = await services.recordings.get(owner, recording_id)
    if view is None:
        raise NotFound("recording not found")
    return reply(200, recording_object(view, owner, services))


@router.delete("/Recording/{recording_id}/", summary="Delete a recording", status_code=204)
async def delete_recording(
    request: Request, account: CurrentAccount, services: ServicesOf, recording_id: str
) -> Response:
    """Delete a recording that has ended, and its file."""
    owner = await owner_of_recording(request, account, services, recording_id)
    if not await services.recordings.delete(owner, recording_id):
        raise NotFound("no finished recording of this id")
    return no_content()


async def owner_of_recording(request: Request, account: Account, services: Services, recording_id: str) -> Account:
    """Return whose recording it is: a subaccount of `account`, else `account`, which then may or may not have it."""
    owner_id = await services.recordings.owner_id(recording_id)
    return await account_of_subaccount(request, account, owner_id) or account


def recording_object(view: RecordingView, account: Account, services: Services) -> dict[str, object]:
    """Return a recording as it is spelled on the wire (specification 7.6)."""
    is_mpc = view.kind is RecordingKind.MULTIPARTY
    return {
        "add_time": precise_account_time(view.created_wall_ms, account.timezone),
        "call_uuid": view.call_uuid,
        "conference_name": None if is_mpc else view.conference_name or None,
        "conference_uuid": None if is_mpc else view.conference_uuid or None,
        "from_number": view.from_number,
        "monthly_recording_storage_amount": 0.0,
        "mpc_meta_data": None,
        "mpc_name": view.conference_name if is_mpc else None,
        "mpc_uuid": view.conference_uuid if is_mpc else None,
        "recording_duration_ms": f"{view.duration_ms:.5f}",
        "recording_end_ms": f"{view.end_wall_ms:.5f}",
        "recording_format": view.file_format.value,
        "recording_id": view.recording_id,
        "recording_start_ms": f"{view.start_wall_ms:.5f}",
        "recording_storage_duration": max(0, clock.wall_ms() - view.created_wall_ms) // DAY_MS,
        "recording_storage_rate": 0.0,
        "recording_type": view.kind.value,
        "recording_url": services.recordings.url(view),
        "resource_uri": f"/v1/Account/{account.auth_id}/Recording/{view.recording_id}/",
        "rounded_recording_duration": view.rounded_duration_s,
        "to_number": view.to_number,
    }
