"""`<Record>`: record a message, or the call in the background.

Spec: wire spec 6.10. Decided here: silence and keys end a message only, not a recording of the call, which has no beep
either; `maxLength` ends both. A caller who hangs up while the message is recorded has left it: the action is told, and
its reply has no effect. A recording that cannot be made is noted and the document goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from ringback.callflow.commands import (
    DocumentKind,
    Note,
    ReplaceDocument,
    SendCallback,
    StartRecording,
    StopRecording,
)
from ringback.callflow.elements.base import DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.elements.keys import finishing_keys
from ringback.callflow.events import RecordingBegan, RecordingOver, RecordingRefused
from ringback.ids import RecordingId
from ringback.media.control.values import RecordingChannels
from ringback.recordings.payloads import action_params, finished_params
from ringback.recordings.spec import (
    DEFAULT_MAX_LENGTH_S,
    DEFAULT_SILENCE_S,
    MAX_LENGTH_S,
    CallbackStyle,
    FileFormat,
    RecordingSpec,
)

C = TypeVar("C")
_CHANNELS = {channels.value: channels for channels in RecordingChannels}
_FORMATS = {file_format.value: file_format for file_format in FileFormat}
_METHODS = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class Record:
    """Records until something ends it, then tells `action`; in the background it tells `action` at once."""

    TAG: ClassVar[str] = "Record"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset(
        {
            "action",
            "method",
            "fileFormat",
            "redirect",
            "timeout",
            "maxLength",
            "finishOnKey",
            "playBeep",
            "recordSession",
            "startOnDialAnswer",
            "recordChannelType",
            "transcriptionType",
            "transcriptionUrl",
            "transcriptionMethod",
            "transcriptionReportType",
            "callbackUrl",
            "callbackMethod",
        }
    )

    spec: RecordingSpec
    action: str = ""
    method: str = "POST"
    redirect: bool = True
    is_background: bool = False
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Record:
        """Return the element; the action is judged when it is used, because its faults have codes.

        Raises:
            InvalidDocument: a number, boolean, format or set of keys is none.
        """
        action, method = read.text("action"), read.method()
        starts_on_dial_answer = read.boolean("startOnDialAnswer", default=False)
        is_background = read.boolean("recordSession", default=False) or starts_on_dial_answer
        finish_digits = finishing_keys(read)
        silence_s = read.integer("timeout", DEFAULT_SILENCE_S, least=1, most=MAX_LENGTH_S)
        has_beep = read.boolean("playBeep", default=True)
        callback_method = _told_by(read, "callbackMethod")
        transcription_method = _told_by(read, "transcriptionMethod")
        spec = RecordingSpec(
            file_format=_choice(read, "fileFormat", _FORMATS, FileFormat.MP3),
            channels=_choice(read, "recordChannelType", _CHANNELS, RecordingChannels.STEREO),
            max_length_s=read.integer("maxLength", DEFAULT_MAX_LENGTH_S, least=1, most=MAX_LENGTH_S),
            silence_s=0 if is_background else silence_s,
            finish_digits="" if is_background else finish_digits,
            starts_with_beep=has_beep and not is_background,
            starts_on_dial_answer=starts_on_dial_answer,
            callback_url=read.text("callbackUrl"),
            callback_method=callback_method,
            style=CallbackStyle.XML,
            hangup_url="" if is_background or method not in _METHODS else action,
            hangup_method=method,
            wants_transcription=bool(read.text("transcriptionType") or read.text("transcriptionUrl")),
            transcription_url=read.text("transcriptionUrl"),
            transcription_method=transcription_method,
        )
        return cls(
            spec=spec,
            action=action,
            method=method,
            redirect=read.boolean("redirect", default=True),
            is_background=is_background,
            line=read.node.line,
        )

    @property
    def is_answering(self) -> bool:
        """Return yes: there is nothing to record before."""
        return True

    def run(self) -> Steps[None]:
        """Record; without `recordSession` until it is over."""
        yield StartRecording(self.spec)
        recording_id = RecordingId("")
        url = ""
        try:
            while True:
                match (yield from next_event()):
                    case RecordingRefused(detail):
                        yield Note(f"not recorded: {detail}", self.TAG, self.line)
                        return
                    case RecordingBegan(recording_id, url, note):
                        if note:
                            yield Note(note, self.TAG, self.line)
                        if self.is_background:
                            yield from self._tell(action_params(recording_id, url))
                            return
                    case RecordingOver(over) if over.recording_id == recording_id:
                        break
                    case _:
                        # The worker counts the keys that end a recording.
                        pass
        except DocumentReplaced:
            if recording_id:
                yield StopRecording(recording_id)
            raise
        yield from self._tell(
            finished_params(
                recording_id,
                url,
                duration_ms=over.duration_ms,
                start_wall_ms=over.start_wall_ms,
                end_wall_ms=over.end_wall_ms,
                digit=over.digit,
            )
        )

    def _tell(self, params: dict[str, str]) -> Steps[None]:
        if not self.action:
            return
        if self.redirect:
            yield ReplaceDocument(DocumentKind.ACTION, self.action, self.method, params)
        else:
            yield SendCallback("action", self.action, self.method, params)


def _told_by(read: Reader, name: str) -> str:
    method = read.method(name)
    if method in _METHODS:
        return method
    read.note(f"{name} {method[:20]!r} is unknown; POST is used")
    return "POST"


def _choice(read: Reader, name: str, choices: Mapping[str, C], default: C) -> C:
    text = read.text(name).lower()
    if not text:
        return default
    if text not in choices:
        raise read.illegal(name, " or ".join(choices))
    return choices[text]
