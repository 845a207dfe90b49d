"""`<MultiPartyCall>`: put the call into a room of agents, customers and supervisors.

Spec: wire spec 6.12. A call that is out goes on with what its exit URL answers; without one it ends, with 4030 when it
was kicked, else with 4020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import DocumentKind, EndCall, EnterMultiparty, LeaveMultiparty, Note, ReplaceDocument
from ringback.callflow.document import InvalidDocument
from ringback.callflow.elements.base import DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.events import MultipartyLeft, MultipartyRefused
from ringback.multiparty.spec import (
    DURATION_MAX_S,
    DURATION_MIN_S,
    DURATION_S,
    EVENT_GROUPS,
    NAME_MAX_CHARS,
    PARTICIPANTS_MAX,
    PARTICIPANTS_MIN,
    RECORD_MIN,
    EventGroup,
    MultipartySpec,
    Role,
    Sound,
)
from ringback.rooms.facts import BEEPS

_NOT_SUPPORTED = ("waitTime", "aiAgentStreamServiceUrl")
"""Noted when they have a value; attributes that only go with them are not."""
_FORMATS = ("mp3", "wav")


@dataclass(frozen=True, slots=True)
class MultiPartyCall:
    """Keeps the call in the multiparty call of that name until it is out."""

    TAG: ClassVar[str] = "MultiPartyCall"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset(
        {
            "role",
            "maxDuration",
            "maxParticipants",
            "waitMusicUrl",
            "waitMusicMethod",
            "agentHoldMusicUrl",
            "agentHoldMusicMethod",
            "customerHoldMusicUrl",
            "customerHoldMusicMethod",
            "statusCallbackUrl",
            "statusCallbackMethod",
            "statusCallbackEvents",
            "stayAlone",
            "coachMode",
            "mute",
            "hold",
            "startMpcOnEnter",
            "waitForAgent",
            "endMpcOnExit",
            "enterSound",
            "enterSoundMethod",
            "exitSound",
            "exitSoundMethod",
            "onExitActionUrl",
            "onExitActionMethod",
            "relayDTMFInputs",
            "record",
            "recordMinMemberCount",
            "recordCoachVoice",
            "recordParticipantTrack",
            "recordFileFormat",
            "recordingCallbackUrl",
            "recordingCallbackMethod",
            "startRecordingAudio",
            "startRecordingAudioMethod",
            "stopRecordingAudio",
            "stopRecordingAudioMethod",
            "transcript",
            "transcriptionUrl",
            "aiAgentStreamContentType",
            "aiAgentStreamSamplingRate",
            "aiAgentStreamExtraHeaders",
            "aiAgentStreamStatusCallbackUrl",
            "aiAgentStreamStatusCallbackMethod",
            *_NOT_SUPPORTED,
        }
    )

    spec: MultipartySpec
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> MultiPartyCall:
        """Return the element.

        Raises:
            InvalidDocument: it has no name or no role that is supported, or a value is none that is allowed.
        """
        name = read.node.text
        if not 0 < len(name) <= NAME_MAX_CHARS:
            raise InvalidDocument(
                f"<MultiPartyCall> has a name of {len(name)} characters, expected 1 to {NAME_MAX_CHARS}", read.node.line
            )
        _note_unsupported(read)
        spec = MultipartySpec(
            name=name,
            role=_role(read),
            duration_max_s=read.integer("maxDuration", DURATION_S, least=DURATION_MIN_S, most=DURATION_MAX_S),
            participants_max=read.integer(
                "maxParticipants", PARTICIPANTS_MAX, least=PARTICIPANTS_MIN, most=PARTICIPANTS_MAX
            ),
            is_coach=read.boolean("coachMode", default=True),
            is_muted=read.boolean("mute", default=False),
            is_held=read.boolean("hold", default=False),
            starts_on_enter=read.boolean("startMpcOnEnter", default=True),
            waits_for_agent=read.boolean("waitForAgent", default=False),
            ends_on_exit=read.boolean("endMpcOnExit", default=False),
            stays_alone=read.boolean("stayAlone", default=False),
            relays_digits=read.boolean("relayDTMFInputs", default=False),
            wait_music=_sound(read, "waitMusicUrl", "waitMusicMethod"),
            agent_hold_music=_sound(read, "agentHoldMusicUrl", "agentHoldMusicMethod"),
            customer_hold_music=_sound(read, "customerHoldMusicUrl", "customerHoldMusicMethod"),
            enter_sound=_sound(read, "enterSound", "enterSoundMethod", BEEPS[0]),
            exit_sound=_sound(read, "exitSound", "exitSoundMethod", BEEPS[1]),
            status_url=read.text("statusCallbackUrl"),
            status_method=_method(read, "statusCallbackMethod", "POST"),
            event_groups=_groups(read),
            exit_url=read.text("onExitActionUrl"),
            exit_method=_method(read, "onExitActionMethod", "POST"),
            is_recorded=read.boolean("record", default=False),
            record_min=read.integer(
                "recordMinMemberCount", RECORD_MIN.start, least=RECORD_MIN.start, most=RECORD_MIN.stop - 1
            ),
            records_coach=read.boolean("recordCoachVoice", default=True),
            records_track=read.boolean("recordParticipantTrack", default=False),
            record_format=_format(read),
            recording_url=read.text("recordingCallbackUrl"),
            recording_method=_method(read, "recordingCallbackMethod", "POST"),
            start_recording_sound=_sound(read, "startRecordingAudio", "startRecordingAudioMethod"),
            stop_recording_sound=_sound(read, "stopRecordingAudio", "stopRecordingAudioMethod"),
            wants_transcription=read.boolean("transcript", default=False),
            transcription_url=read.text("transcriptionUrl"),
        )
        return cls(spec, read.node.line)

    @property
    def is_answering(self) -> bool:
        """Return yes: participants hear each other."""
        return True

    def run(self) -> Steps[None]:
        """Stay in the multiparty call until it is over for this call."""
        yield EnterMultiparty(self.spec)
        try:
            while True:
                match (yield from next_event()):
                    case MultipartyRefused(detail):
                        yield Note(f"multiparty call not entered: {detail}", self.TAG, self.line)
                        return
                    case MultipartyLeft(departure):
                        break
                    case _:
                        # The multiparty call takes digits by itself.
                        pass
        except DocumentReplaced:
            yield LeaveMultiparty()
            raise
        if self.spec.exit_url:
            yield ReplaceDocument(DocumentKind.ACTION, self.spec.exit_url, self.spec.exit_method, departure.params)
        else:
            yield EndCall(departure.code, departure.source)


def _role(read: Reader) -> Role:
    value = read.text("role").lower()
    if value not in {role.value for role in Role}:
        raise read.illegal("role", "Agent, Customer or Supervisor (ai-agent is not supported: use <Stream>)")
    return Role(value)


def _format(read: Reader) -> str:
    value = read.text("recordFileFormat").lower() or _FORMATS[0]
    if value not in _FORMATS:
        raise read.illegal("recordFileFormat", "mp3 or wav")
    return value


def _sound(read: Reader, name: str, method_name: str, default: str = "") -> Sound:
    """Return a beep where one may stand, or a URL; what is neither is left out with a note."""
    text = read.word(name) or default
    method = _method(read, method_name, "GET")
    is_sound_effect = bool(default)
    if not text or text.lower() == "none":
        return Sound(method=method)
    if is_sound_effect and text.lower() in BEEPS:
        return Sound(text.lower(), method)
    if text.lower().startswith(("http://", "https://")):
        return Sound(text, method)
    read.note(f"{name}={text[:80]!r} is ignored, expected {'beep:1, beep:2, none or ' if is_sound_effect else ''}a URL")
    return Sound(method=method)


def _method(read: Reader, name: str, default: str) -> str:
    value = read.text(name).upper() or default
    if value not in ("GET", "POST"):
        raise read.illegal(name, "GET or POST")
    return value


def _groups(read: Reader) -> tuple[EventGroup, ...]:
    """Return the groups of events that are wanted; unknown words are left out with a note."""
    text = read.text("statusCallbackEvents")
    if not text:
        return EVENT_GROUPS
    known = {group.value: group for group in EventGroup}
    wanted: list[EventGroup] = []
    for part in text.split(","):
        word = part.strip().lower()
        group = known.get(word)
        if group is None:
            read.note(f"statusCallbackEvents {word[:40]!r} is ignored, expected {', '.join(known)}")
        elif group not in wanted:
            wanted.append(group)
    return tuple(wanted)


def _note_unsupported(read: Reader) -> None:
    for name in _NOT_SUPPORTED:
        if read.text(name):
            read.note(f"{name} is not supported by this version and has no effect")
