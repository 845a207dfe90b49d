"""`/MultiPartyCall/{id}/Participant/`: list, look up, add, mute, hold, coach, kick (specification 7.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body, read_query
from ringback.api.call_parameters import read_make_calls
from ringback.api.forms import Form, described_body, described_query, invalid, is_web_url, shown
from ringback.api.multiparty_calls import seconds
from ringback.api.responses import account_time, no_content, reply
from ringback.api.services import ServicesOf
from ringback.calls.views import MakeCall
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import CallUuid
from ringback.multiparty.payloads import billed_s
from ringback.multiparty.spec import (
    DURATION_MAX_S,
    DURATION_MIN_S,
    DURATION_S,
    PARTICIPANTS_MAX,
    PARTICIPANTS_MIN,
    RECORD_MIN,
    RINGING,
    EventGroup,
    MultipartySpec,
    Role,
    Sound,
)
from ringback.multiparty.views import AddParticipant, ParticipantView
from ringback.recordings.spec import FileFormat
from ringback.rooms.facts import BEEPS

router = APIRouter(tags=["Multiparty calls"])

DESTINATIONS_MAX = 20
_PARTICIPANTS = "/MultiPartyCall/{mpc_id}/Participant/"
_PARTICIPANT = "/MultiPartyCall/{mpc_id}/Participant/{participant_id}/"
_SOUND_WORDS = (*BEEPS, "none")
_KEYS = frozenset("0123456789*#")
_DELAY_MAX_S = 3_600
_MUSIC_WORDS = ("real", "none")
_ANY_URL = "http://ringback.invalid/"
_EXAMPLE = {"role": "agent", "from": "+14151234567", "to": "+14157654321"}


def read_add(form: Form) -> AddParticipant:
    """Return who shall be added, and how.

    Raises:
        InvalidParameter: a parameter is missing or wrong.
    """
    roles = tuple(role.value for role in Role)
    role = form.choice("role", roles, "")
    if not role:
        raise InvalidParameter("role parameter is missing", field="role", hint=f"one of {', '.join(roles)}")
    spec = _read_spec(form, Role(role))
    call_uuid = form.text("call_uuid", max_chars=64, about="A call that is in progress, instead of `from` and `to`.")
    names = ("from", "to")
    if call_uuid:
        if any(form.is_given(name) for name in names):
            invalid("call_uuid", "it cannot stand beside from and to")
        return AddParticipant(spec, call_uuid=CallUuid(call_uuid))
    calls = _read_calls(form)
    if len(calls) > 1 and spec.role is not Role.AGENT:
        invalid("to", f"{len(calls)} destinations, expected one for any role but agent")
    if len(calls) > DESTINATIONS_MAX:
        invalid("to", f"{len(calls)} destinations, expected at most {DESTINATIONS_MAX}")
    return AddParticipant(
        spec,
        calls=calls,
        delays_s=_read_delays(form, len(calls)),
        confirm_key=_read_key(form),
        confirm_sound=Sound(
            form.url("confirm_key_sound_url", about="Play, Speak and Wait, until the key is pressed."),
            form.method("confirm_key_sound_method", "GET"),
        ),
        dial_music=_read_dial_music(form),
        may_be_first=form.boolean(
            "create_mpc_with_single_participant", True, about="Whether it may enter where nobody is (any more)."
        ),
    )


def _read_delays(form: Form, count: int) -> tuple[int, ...]:
    parts = [part.strip() for part in form.text("delay_dial", default="0").split("<")]
    if not all(part.isascii() and part.isdigit() and int(part) <= _DELAY_MAX_S for part in parts):
        invalid(
            "delay_dial", f"expected seconds from 0 to {_DELAY_MAX_S}, with < between those of several destinations"
        )
    if len(parts) not in (1, count):
        invalid("delay_dial", f"{len(parts)} times for {count} destinations")
    return tuple(int(part) for part in parts)


def _read_key(form: Form) -> str:
    key = form.text("confirm_key", about="A key that whoever answers must press to be added.")
    if key and key not in _KEYS:
        invalid("confirm_key", f"{shown(key)}, expected one of 0-9 * #")
    return key


def _read_dial_music(form: Form) -> Sound:
    about = "What those who wait alone hear meanwhile: `real`, `none`, or a URL of Play, Speak and Wait."
    music = form.text("dial_music", default="real", about=about)
    if music.lower() in _MUSIC_WORDS:
        return RINGING if music.lower() == "real" else Sound()
    if not is_web_url(music):
        invalid("dial_music", f"{shown(music)}, expected real, none or a URL")
    return Sound(music)


def _read_spec(form: Form, role: Role) -> MultipartySpec:
    return MultipartySpec(
        name="",
        role=role,
        duration_max_s=form.integer("max_duration", DURATION_S, DURATION_MIN_S, DURATION_MAX_S),
        participants_max=form.integer("max_participants", PARTICIPANTS_MAX, PARTICIPANTS_MIN, PARTICIPANTS_MAX),
        is_coach=form.boolean("coach_mode", True, about="A supervisor is heard by agents and supervisors alone."),
        is_muted=form.boolean("mute"),
        is_held=form.boolean("hold"),
        starts_on_enter=form.boolean("start_mpc_on_enter", True),
        ends_on_exit=form.boolean("end_mpc_on_exit"),
        stays_alone=form.boolean("stay_alone"),
        relays_digits=form.boolean("relay_dtmf_inputs"),
        wait_music=_read_music(form, "wait_music"),
        agent_hold_music=_read_music(form, "agent_hold_music"),
        customer_hold_music=_read_music(form, "customer_hold_music"),
        enter_sound=_read_sound(form, "enter_sound", BEEPS[0]),
        exit_sound=_read_sound(form, "exit_sound", BEEPS[1]),
        status_url=form.url("status_callback_url"),
        status_method=form.method("status_callback_method"),
        event_groups=_read_groups(form),
        exit_url=form.url("on_exit_action_url", about="Its answer is what the call runs when it is out."),
        exit_method=form.method("on_exit_action_method"),
        is_recorded=form.boolean("record", about="Record everyone."),
        record_min=form.integer("record_min_member_count", RECORD_MIN.start, RECORD_MIN.start, RECORD_MIN.stop - 1),
        records_track=form.boolean("record_participant_track", about="Record this participant alone."),
        record_format=form.choice("record_file_format", tuple(each.value for each in FileFormat), "mp3"),
        recording_url=form.url("recording_callback_url", about="Told of the recordings."),
        recording_method=form.method("recording_callback_method"),
        start_recording_sound=_read_audio(form, "start_recording_audio"),
        stop_recording_sound=_read_audio(form, "stop_recording_audio"),
        wants_transcription=form.boolean("transcript", about="Make text of what is recorded."),
        transcription_url=form.url("transcription_url", about="Told the text."),
    )


def _read_audio(form: Form, name: str) -> Sound:
    about = "An mp3 or wav file, or Play, Speak and Wait."
    return Sound(form.url(name, about=about), form.method(f"{name}_method", "GET"))


def _read_music(form: Form, name: str) -> Sound:
    return Sound(form.url(f"{name}_url", about="Play, Speak and Wait."), form.method(f"{name}_method", "GET"))


def _read_sound(form: Form, name: str, default: str) -> Sound:
    text = form.text(name, default=default, about="`beep:1`, `beep:2`, `none`, or a URL of Play, Speak and Wait.")
    if text.lower() not in _SOUND_WORDS and not is_web_url(text):
        invalid(name, f"{shown(text)}, expected {', '.join(_SOUND_WORDS)} or a URL")
    url = text.lower() if text.lower() in _SOUND_WORDS else text
    return Sound("" if url == "none" else url, form.method(f"{name}_method", "GET"))


def _read_groups(form: Form) -> tuple[EventGroup, ...]:
    default = f"{EventGroup.STATE.value},{EventGroup.PARTICIPANT.value}"
    known = {group.value: group for group in EventGroup}
    words = [word.strip().lower() for word in form.text("status_callback_events", default=default).split(",")]
    wrong = next((word for word in words if word not in known), None)
    if wrong is not None:
        invalid("status_callback_events", f"{shown(wrong)}, expected some of {', '.join(known)}")
    return tuple(dict.fromkeys(known[word] for word in words))


def _read_calls(form: Form) -> tuple[MakeCall, ...]:
    """Return the calls to make; what is said of them is read as for `POST /Call/`."""
    url, method = form.url("call_status_callback_url", about="Told of ringing and of the end of the call."), "POST"
    method = form.method("call_status_callback_method")
    timeouts = [part.strip() for part in form.text("ring_timeout", default="45").split("<")]
    given: dict[str, object] = {
        name: form.raw(name, {"type": "string"})
        for name in ("from", "to", "caller_name", "send_digits", "send_on_preanswer", "sip_headers")
    }
    read = read_make_calls(Form({**given, "answer_url": _ANY_URL, "ring_timeout": timeouts[0]}))
    if len(timeouts) not in (1, len(read)):
        invalid("ring_timeout", f"{len(timeouts)} times for {len(read)} destinations")
    each_timeout = [Form({"ring_timeout": text}).integer("ring_timeout", 45, 1, 3_600) for text in timeouts]
    each_timeout *= len(read) // len(each_timeout)
    return tuple(
        replace(call, ring_timeout_s=timeout_s, ring_url=url, ring_method=method, hangup_url=url, hangup_method=method)
        for call, timeout_s in zip(read, each_timeout, strict=True)
    )


@router.post(
    _PARTICIPANTS,
    summary="Add a participant",
    status_code=201,
    openapi_extra=described_body(read_add, _EXAMPLE),
)
async def add_participant(request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str) -> Response:
    """Call someone, who is a participant once the call is answered, or take a call that is in progress.

    Of several destinations with `<` between them the first to answer is added; the others are hung up.
    """
    added = await services.multiparty.add(account, mpc_id, read_add(Form(await read_body(request))))
    calls = [{"to": call.to, "from": call.from_number, "call_uuid": call.call_uuid} for call in added]
    request_uuid = added[0].call_uuid
    message = "add participant action initiated"
    return reply(201, {"calls": calls, "message": message, "request_uuid": request_uuid})


def _read_call_uuid(form: Form) -> str:
    return form.text("call_uuid", max_chars=64)


@router.get(_PARTICIPANTS, summary="List participants", openapi_extra=described_query(_read_call_uuid))
async def list_participants(request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str) -> Response:
    """Return the participants, those who left included."""
    call_uuid = _read_call_uuid(Form(read_query(request)))
    view = await services.multiparty.view(account, mpc_id)
    found = [each for each in view.participants if call_uuid in ("", each.call_uuid)]
    # All at once: there are few, and official SDKs ask for no page.
    meta = {"count": len(found), "limit": len(found), "next": None, "offset": 0, "previous": None}
    objects = [participant_object(each, account) for each in found]
    return reply(200, {"meta": {**meta, "total_count": len(found)}, "objects": objects})


@router.get(_PARTICIPANT, summary="Retrieve a participant")
async def retrieve_participant(
    account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Return one participant, there or gone."""
    view = await services.multiparty.view(account, mpc_id)
    for each in view.participants:
        if each.member_id == participant_id:
            return reply(200, participant_object(each, account))
    raise NotFound("participant not found")


@dataclass(frozen=True, slots=True)
class _Change:
    """What shall be different; `None` leaves as it is."""

    is_muted: bool | None
    is_held: bool | None
    is_coach: bool | None


def read_change(form: Form) -> _Change:
    """Return what a request changes.

    Raises:
        InvalidParameter: it changes nothing, or a parameter is wrong.
    """

    def flag(name: str) -> bool | None:
        value = form.boolean(name)
        return value if form.is_given(name) else None

    change = _Change(flag("mute"), flag("hold"), flag("coach_mode"))
    if change == _Change(None, None, None):
        raise InvalidParameter("mute, hold or coach_mode parameter is missing", field="mute")
    return change


@router.post(
    _PARTICIPANT,
    summary="Change a participant",
    status_code=202,
    openapi_extra=described_body(read_change, {"mute": True}),
)
async def change_participant(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str
) -> Response:
    """Mute, hold, or let coach: one participant, several with commas, or `all`."""
    change = read_change(Form(await read_body(request)))
    name = services.multiparty.set(
        account,
        mpc_id,
        participant_id,
        is_muted=change.is_muted,
        is_held=change.is_held,
        is_coach=change.is_coach,
    )
    # The cloud spells it so (specification 7.8).
    said: Mapping[str, tuple[bool | None, str]] = {
        "mute": (change.is_muted, "mute/unmute"),
        "hold": (change.is_held, "hold/unhold"),
        "coach_mode": (change.is_coach, "coach mode"),
    }
    done = {key: f"MPC: {name} {what} member(s) succeded" for key, (value, what) in said.items() if value is not None}
    return reply(202, done)


@router.delete(_PARTICIPANT, summary="Kick a participant", status_code=204)
async def kick_participant(account: CurrentAccount, services: ServicesOf, mpc_id: str, participant_id: str) -> Response:
    """Send participants out: their documents go on at the exit URL, calls without one end with 4030."""
    services.multiparty.kick(account, mpc_id, participant_id)
    return no_content()


def participant_object(view: ParticipantView, account: Account) -> dict[str, object]:
    """Return a participant as it is spelled on the wire (specification 7.8)."""
    duration_s = None if view.exited_wall_ms is None else seconds(view.joined_wall_ms, view.exited_wall_ms)
    mpc_uri = f"/v1/Account/{account.auth_id}/MultiPartyCall/uuid_{view.mpc_uuid}/"
    return {
        "billed_amount": None if duration_s is None else "0.00000",
        "billed_duration": None if duration_s is None else billed_s(duration_s),
        "call_uuid": view.call_uuid,
        "coach_mode": view.is_coach,
        "duration": duration_s,
        "end_mpc_on_exit": view.ends_on_exit,
        "exit_cause": view.exit_cause or None,
        "exit_time": account_time(view.exited_wall_ms, account.timezone),
        "hold": view.is_held,
        "join_time": account_time(view.joined_wall_ms, account.timezone),
        "member_address": view.address,
        "member_id": view.member_id,
        "mpc_uuid": view.mpc_uuid,
        "mute": view.is_muted,
        "resource_uri": f"{mpc_uri}Participant/{view.member_id}/",
        "role": view.role,
        "start_mpc_on_enter": view.starts_on_enter,
    }
