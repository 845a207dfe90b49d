"""`/Conference/`: live conferences and their members (specification 7.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ringback import ids
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body
from ringback.api.call_record import transcription
from ringback.api.forms import Form, described_body, invalid
from ringback.api.responses import no_content, reply
from ringback.api.services import ServicesOf
from ringback.conferences.views import ConferenceView, MemberView
from ringback.errors import NotFound
from ringback.recordings.spec import MAX_LENGTH_S, CallbackStyle, FileFormat, RecordingSpec
from ringback.speech.markup import TEXT_MAX_CHARS, read_speech
from ringback.speech.passage import Speech
from ringback.speech.ssml import looks_like_ssml, parse_ssml

router = APIRouter(tags=["Conferences"])

_FORMATS = tuple(file_format.value for file_format in FileFormat)
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
    view = services.conferences.view(account, conference_name)
    if view is None:
        raise NotFound("conference not found")
    return reply(200, conference_object(view))


@router.delete("/Conference/{conference_name}/", summary="Hang up a conference", status_code=204)
async def hang_up_conference(account: CurrentAccount, services: ServicesOf, conference_name: str) -> Response:
    """End the calls of a conference's members."""
    await services.conferences.hang_up(account, conference_name)
    return no_content()


@router.delete(f"{_MEMBER}/", summary="Hang up members", status_code=204)
async def hang_up_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """End members' calls."""
    await services.conferences.hang_up_members(account, conference_name, member_id)
    return no_content()


@router.post(f"{_MEMBER}/Kick/", summary="Kick members", status_code=202)
async def kick_member(account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str) -> Response:
    """Send members out of the conference; their documents go on."""
    kicked = services.conferences.kick(account, conference_name, member_id)
    return _done("kicked", member_id, kicked)


@router.post(f"{_MEMBER}/Mute/", summary="Mute members", status_code=202)
async def mute_member(account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str) -> Response:
    """Let the others not hear members."""
    muted = services.conferences.set_audio(account, conference_name, member_id, is_muted=True)
    return _done("muted", member_id, muted)


@router.delete(f"{_MEMBER}/Mute/", summary="Unmute members", status_code=204)
async def unmute_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Let the others hear members again."""
    services.conferences.set_audio(account, conference_name, member_id, is_muted=False)
    return no_content()


@router.post(f"{_MEMBER}/Deaf/", summary="Deafen members", status_code=202)
async def deafen_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Let members not hear the others."""
    deaf = services.conferences.set_audio(account, conference_name, member_id, is_deaf=True)
    return _done("deaf", member_id, deaf)


@router.delete(f"{_MEMBER}/Deaf/", summary="Let members hear again", status_code=204)
async def undeafen_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Let members hear the others again."""
    services.conferences.set_audio(account, conference_name, member_id, is_deaf=False)
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
    played = await services.conferences.play(account, conference_name, member_id, url)
    return _done("play queued into conference", member_id, played)


@router.delete(f"{_MEMBER}/Play/", summary="Stop playing to members", status_code=204)
async def stop_play_to_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Stop the files that the API plays to members."""
    await services.conferences.stop_play(account, conference_name, member_id)
    return no_content()


def read_speak(form: Form) -> Speech:
    """Return what a request wants to be said.

    Raises:
        InvalidParameter: there is nothing to say, or too much.
    """
    text = form.text("text", required=True, max_chars=TEXT_MAX_CHARS, about="Plain text, or SSML with a Polly voice.")
    voice = form.text("voice", about="`WOMAN`, `MAN` or `Polly.<Name>`.")
    language = form.text("language", max_chars=20, about="A BCP 47 tag; `en-US` unless the voice has its own.")
    is_ssml = voice.lower().startswith("polly.") and looks_like_ssml(text)
    speech = read_speech(parse_ssml(text) if is_ssml else [text], voice, language)
    if not speech.passages:
        invalid("text", "there is nothing to say")
    return speech


@router.post(
    f"{_MEMBER}/Speak/",
    summary="Say something to members",
    status_code=202,
    openapi_extra=described_body(read_speak, {"text": "Five minutes are left.", "voice": "WOMAN"}),
)
async def speak_to_member(
    request: Request, account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Say something to members, over what they hear."""
    speech = read_speak(Form(await read_body(request)))
    told = await services.conferences.speak(account, conference_name, member_id, speech)
    return _done("speak queued into conference", member_id, told)


@router.delete(f"{_MEMBER}/Speak/", summary="Stop speaking to members", status_code=204)
async def stop_speak_to_member(
    account: CurrentAccount, services: ServicesOf, conference_name: str, member_id: str
) -> Response:
    """Stop what the API says to members."""
    await services.conferences.stop_speech(account, conference_name, member_id)
    return no_content()


def read_record(form: Form) -> RecordingSpec:
    """Return the recording that a request asks for.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    return RecordingSpec(
        file_format=FileFormat(form.choice("file_format", _FORMATS, FileFormat.MP3.value)),
        max_length_s=MAX_LENGTH_S,
        callback_url=form.url("callback_url", about="Told when the file can be had."),
        callback_method=form.method("callback_method"),
        style=CallbackStyle.REST,
        **transcription(form),
    )


@router.post(
    "/Conference/{conference_name}/Record/",
    summary="Record a conference",
    status_code=202,
    openapi_extra=described_body(
        read_record, {"file_format": "mp3", "callback_url": "https://yourserver.com/recorded"}
    ),
)
async def record_conference(
    request: Request, account: CurrentAccount, services: ServicesOf, conference_name: str
) -> Response:
    """Record everyone until it is stopped or the conference is over."""
    api_id = ids.new_uuid()
    spec = replace(read_record(Form(await read_body(request))), api_id=api_id)
    started = await services.conferences.record(account, conference_name, spec)
    message = "conference recording started"
    return reply(202, {"api_id": api_id, "message": message, "recording_id": started.recording_id, "url": started.url})


@router.delete("/Conference/{conference_name}/Record/", summary="Stop recording a conference", status_code=204)
async def stop_recording_conference(account: CurrentAccount, services: ServicesOf, conference_name: str) -> Response:
    """Stop the recording of a conference."""
    await services.conferences.stop_record(account, conference_name)
    return no_content()


def _done(message: str, asked: str, members: Sequence[str]) -> Response:
    """Return what was done to whom: one member as a text, several as a list."""
    is_single = len(members) == 1 and asked == members[0]
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
