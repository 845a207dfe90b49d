"""`/Conference/`: live conferences and their members (specification 7.7)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body
from ringback.api.forms import Form, described_body
from ringback.api.responses import no_content, reply
from ringback.api.services import ServicesOf
from ringback.conferences.views import ConferenceView, MemberView
from ringback.errors import NotFound

router = APIRouter(tags=["Conferences"])

_MEMBER = "/Conference/{conference_name}/Member/{member_id}"


@router.get("/Conference/", summary="List live conferences")
async def list_conferences(account: CurrentAccount, services: ServicesOf) -> Response:
    """Return the names of the account's live conferences."""
    return reply(200, {"conferences": services.conferences.names(account)})


@router.delete("/Conference/", summary="Hang up every conference", status_code=204)
async def hang_up_conferences(account: CurrentAccount, services: ServicesOf) -> Response:
    """End the calls of everyone in a conference."""
    await services.conferences.hang_up_all(account)
    return no_content()


@router.get("/Conference/{conference_name}/", summary="Retrieve a live conference")
async def retrieve_conference(account: CurrentAccount, services: ServicesOf, conference_name: str) -> Response:
    """Return a conference and its members as they are now."""
    view = services.conferences.view(account, unquote(conference_name))
    if view is None:
        raise NotFound("conference not found")
    return reply(200, conference_object(view))


@router.delete("/Conference/{conference_name}/", summary="Hang up a conference", status_code=204)
async def hang_up_conference(account: CurrentAccount, services: ServicesOf, conference_name: str) -> Response:
    """End the calls of a conference's members."""
    await services.conferences.hang_up(account, unquote(conference_name))
    return no_content()


@router.delete(f"{_MEMBER}/", summary="Hang up members", status_code=204)
async def hang_up_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """End members' calls."""
    await services.conferences.hang_up_members(account, unquote(conference_name), unquote(member_id))
    return no_content()


@router.post(f"{_MEMBER}/Kick/", summary="Kick members", status_code=202)
async def kick_member(account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str) -> Response:
    """Send members out of the conference; their documents go on."""
    kicked = services.conferences.kick(account, unquote(conference_name), unquote(member_id))
    return _done("kicked", member_id, kicked)


@router.post(f"{_MEMBER}/Mute/", summary="Mute members", status_code=202)
async def mute_member(account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str) -> Response:
    """Let the others not hear members."""
    muted = services.conferences.set_audio(account, unquote(conference_name), unquote(member_id), is_muted=True)
    return _done("muted", member_id, muted)


@router.delete(f"{_MEMBER}/Mute/", summary="Unmute members", status_code=204)
async def unmute_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Let the others hear members again."""
    services.conferences.set_audio(account, unquote(conference_name), unquote(member_id), is_muted=False)
    return no_content()


@router.post(f"{_MEMBER}/Deaf/", summary="Deafen members", status_code=202)
async def deafen_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Let members not hear the others."""
    deaf = services.conferences.set_audio(account, unquote(conference_name), unquote(member_id), is_deaf=True)
    return _done("deaf", member_id, deaf)


@router.delete(f"{_MEMBER}/Deaf/", summary="Let members hear again", status_code=204)
async def undeafen_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Let members hear the others again."""
    services.conferences.set_audio(account, unquote(conference_name), unquote(member_id), is_deaf=False)
    return no_content()


def read_play(form: Form) -> str:
    """Return the URL of the file that shall be played."""
    return form.url("url", required=True, about="A wav or mp3 file.")


@router.post(
    f"{_MEMBER}/Play/",
    summary="Play a file to members",
    status_code=202,
    openapi_extra=described_body(read_play, {"url": "https://yourserver.example.com/welcome.mp3"}),
)
async def play_to_member(
    request: Request, account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Play a file to members, over what they hear."""
    url = read_play(Form(await read_body(request)))
    played = await services.conferences.play(account, unquote(conference_name), unquote(member_id), url)
    return _done("play queued into conference", member_id, played)


@router.delete(f"{_MEMBER}/Play/", summary="Stop playing to members", status_code=204)
async def stop_play_to_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Stop the files that the API plays to members."""
    await services.conferences.stop_play(account, unquote(conference_name), unquote(member_id))
    return no_content()


def _done(message: str, asked: str, members: Sequence[str]) -> Response:
    """Return what was done to whom: one member as a text, several as a list."""
    is_single = len(members) == 1 and unquote(asked) == members[0]
    return reply(202, {"message": message, "member_id": members[0] if is_single else list(members)})


def conference_object(view: ConferenceView) -> dict[str, object]:
    """Return a conference as it is spelled on the wire; its counters are texts (specification 7.7)."""
    return {
        "conference_name": view.name,
        "conference_run_time": str(view.age_s),
        "conference_member_count": str(len(view.members)),
        "members": [_member_object(member) for member in view.members],
    }


def _member_object(member: MemberView) -> dict[str, object]:
    return {
        "muted": member.is_muted,
        "member_id": member.member_id,
        "deaf": member.is_deaf,
        "from": member.from_number,
        "to": member.to_number,
        "caller_name": member.caller_name,
        "direction": member.direction,
        "call_uuid": member.call_uuid,
        "join_time": str(member.age_s),
    }
