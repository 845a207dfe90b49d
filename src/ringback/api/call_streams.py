"""`/Call/{call_uuid}/Stream/`: audio streams of a call (specification section 3)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query
from ringback.api.paging import read_page
from ringback.api.responses import account_time, no_content, precise_time, reply
from ringback.api.services import ServicesOf
from ringback.errors import NotFound
from ringback.ids import CallUuid, StreamId
from ringback.media.control.values import Track
from ringback.streams import spec
from ringback.streams.spec import StreamSpec
from ringback.streams.views import StreamView

router = APIRouter(tags=["Audio streams"])

_TIMEOUT_MAX_S = 10**9
_TRACKS = tuple(track.value for track in Track)


def read_stream(form: Form) -> StreamSpec:
    """Return the stream that a request asks for.

    Raises:
        InvalidParameter: a parameter is missing or wrong, or a two-way stream asks for outbound audio.
    """
    url = form.text("service_url", required=True, about="The WebSocket URL (`wss://`) that receives the audio.")
    bidirectional = form.boolean("bidirectional")
    track = Track(form.choice("audio_track", _TRACKS, Track.INBOUND.value))
    spec.check_combination(bidirectional=bidirectional, track=track)
    content_type = form.text("content_type", default=spec.DEFAULT_CONTENT_TYPE, max_chars=80)
    spec.content_format(content_type)
    # plivo-cli sends the status URL under another name than the documented one.
    callback_name = "status_callback_url" if form.has("status_callback_url") else "stream_status_callback_url"
    return StreamSpec(
        url=spec.check_url(url),
        bidirectional=bidirectional,
        audio_track=track,
        # A day is the longest call there is; more is no fault, and no difference.
        stream_timeout_s=min(
            form.integer("stream_timeout", spec.DEFAULT_TIMEOUT_S, 1, _TIMEOUT_MAX_S, about="Seconds, up to a day."),
            spec.DEFAULT_TIMEOUT_S,
        ),
        content_type=content_type.replace(" ", "").lower(),
        status_callback_url=form.url(callback_name, about="Told when the stream starts, stops, degrades or fails."),
        status_callback_method=form.method("status_callback_method"),
        extra_headers=spec.check_extra_headers(
            form.verbatim(
                "extra_headers", about="Delivered unchanged in stream messages, such as `k1=v1,k2=v2`; 512 bytes."
            )
        ),
        noise_cancellation=form.boolean("noise_cancellation"),
        noise_cancellation_level=form.integer(
            "noise_cancellation_level",
            spec.DEFAULT_NOISE_LEVEL,
            spec.NOISE_LEVELS[0],
            spec.NOISE_LEVELS[-1],
            about="Counts only with `noise_cancellation`.",
        ),
    )


@router.post(
    "/Call/{call_uuid}/Stream/",
    summary="Start an audio stream",
    status_code=202,
    openapi_extra=described_body(
        read_stream,
        {
            "service_url": "wss://yourserver.example.com/audiostream",
            "bidirectional": True,
            "status_callback_url": "https://yourserver.example.com/stream-events",
        },
    ),
)
async def start_stream(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Start a stream on a live call; connecting goes on after the answer."""
    wanted = read_stream(Form(await read_body(request)))
    stream_id = await services.streams.start(account, CallUuid(call_uuid), wanted)
    return reply(202, {"message": "audio streaming started", "stream_id": stream_id})


@router.get(
    "/Call/{call_uuid}/Stream/", summary="List the audio streams of a call", openapi_extra=described_query(read_page)
)
async def list_streams(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Return the call's streams, live and ended, newest first."""
    page = read_page(Form(read_query(request)))
    views, total = await services.streams.list(account, CallUuid(call_uuid), page.limit, page.offset)
    # Documents say `total_count`, captured answers `count`: both are sent (specification 3.3).
    meta = {"count": total, **page.meta(request, total)}
    return reply(200, {"meta": meta, "objects": [stream_object(view, account) for view in views]})


@router.delete("/Call/{call_uuid}/Stream/", summary="Stop all audio streams of a call", status_code=204)
async def stop_streams(account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Stop every stream of a live call."""
    await services.streams.stop_all(account, CallUuid(call_uuid))
    return no_content()


@router.get("/Call/{call_uuid}/Stream/{stream_id}/", summary="Retrieve an audio stream")
async def retrieve_stream(account: CurrentAccount, services: ServicesOf, call_uuid: str, stream_id: str) -> Response:
    """Return one stream, live or ended."""
    view = await services.streams.get(account, CallUuid(call_uuid), StreamId(stream_id))
    if view is None:
        raise NotFound("stream not found")
    return reply(200, stream_object(view, account))


@router.delete("/Call/{call_uuid}/Stream/{stream_id}/", summary="Stop an audio stream", status_code=204)
async def stop_stream(account: CurrentAccount, services: ServicesOf, call_uuid: str, stream_id: str) -> Response:
    """Stop one live stream."""
    if not await services.streams.stop(account, CallUuid(call_uuid), StreamId(stream_id)):
        raise NotFound("no live stream of this id")
    return no_content()


def stream_object(view: StreamView, account: Account) -> dict[str, object]:
    """Return a stream as it is spelled on the wire (specification 3.2)."""
    return {
        "audio_track": view.audio_track.value,
        "bidirectional": view.bidirectional,
        "bill_duration": view.bill_duration_s,
        "billed_amount": view.billed_amount,
        "call_uuid": view.call_uuid,
        "content_type": view.content_type,
        "created_at": precise_time(view.created_wall_ms),
        "end_time": account_time(view.ended_wall_ms, account.timezone),
        "plivo_auth_id": account.auth_id,
        "resource_uri": f"/v1/Account/{account.auth_id}/Call/{view.call_uuid}/Stream/{view.stream_id}/",
        "rounded_bill_duration": view.rounded_bill_duration_s,
        "service_url": view.service_url,
        "start_time": account_time(view.started_wall_ms, account.timezone),
        "status": view.status.value,
        "status_callback_url": view.status_callback_url,
        "stream_id": view.stream_id,
        # plivo-cli reads this name (specification 3.2).
        "stream_url": view.service_url,
    }
