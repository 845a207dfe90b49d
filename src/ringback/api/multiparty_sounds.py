"""`/MultiPartyCall/{id}/Member/{id}/Play/` and `…/Speak/`: sounds for participants (specification 7.8)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body
from ringback.api.conferences import read_play, read_speak
from ringback.api.forms import Form, described_body
from ringback.api.responses import no_content, reply
from ringback.api.services import ServicesOf
from ringback.media.control.values import PlayLane

router = APIRouter(tags=["Multiparty calls"])

_MEMBER = "/MultiPartyCall/{mpc_id}/Member/{participant_id}"


@router.post(
    f"{_MEMBER}/Play/",
    summary="Play a file to participants",
    status_code=202,
    openapi_extra=described_body(read_play, {"url": "https://yourserver.example.com/welcome.mp3"}),
)
async def play_to_participant(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Play a file to participants, over what they hear."""
    url = read_play(Form(await read_body(request)))
    name, members = await services.multiparty.play(account, mpc_id, participant_id, url)
    return reply(202, {"message": "play queued into MPC", "mpcMemberId": members, "mpcName": name})


@router.delete(f"{_MEMBER}/Play/", summary="Stop playing to participants", status_code=204)
async def stop_play_to_participant(
    account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Stop the files that the API plays to participants."""
    await services.multiparty.stop_sounds(account, mpc_id, participant_id, PlayLane.PLAY)
    return no_content()


@router.post(
    f"{_MEMBER}/Speak/",
    summary="Say something to participants",
    status_code=202,
    openapi_extra=described_body(read_speak, {"text": "Five minutes are left.", "voice": "WOMAN"}),
)
async def speak_to_participant(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Say something to participants, over what they hear."""
    speech = read_speak(Form(await read_body(request)))
    name, members = await services.multiparty.speak(account, mpc_id, participant_id, speech)
    return reply(202, {"message": "speak queued into MPC", "mpcMemberId": members, "mpcName": name})


@router.delete(f"{_MEMBER}/Speak/", summary="Stop speaking to participants", status_code=204)
async def stop_speak_to_participant(
    account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Stop what the API says to participants."""
    await services.multiparty.stop_sounds(account, mpc_id, participant_id, PlayLane.SPEAK)
    return no_content()
