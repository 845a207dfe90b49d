"""What the REST layer needs from rooms below: the Protocols that the composition root fills.

Every method may raise `errors.RequestError`; `api.errors` turns it into a reply. Nothing else may be raised after a
side effect: official clients repeat a request that was answered with a 5xx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ringback.accounts.account import Account
from ringback.calls.in_call import DigitsRequest, PlayRequest, SpeakRequest
from ringback.calls.views import (
    CallRecord,
    CdrFilters,
    LiveCallFilters,
    LiveCallView,
    MadeCall,
    MakeCall,
    Transfer,
)
from ringback.conferences.views import ConferenceView
from ringback.ids import CallUuid, StreamId
from ringback.media.control.values import PlayLane
from ringback.multiparty.views import AddedCall, AddParticipant, MultipartyFilters, MultipartyView, Track
from ringback.recordings.files import CompletedFile
from ringback.recordings.spec import FileFormat, RecordingSpec
from ringback.recordings.views import RecordingFilters, RecordingView, StartedRecording, Transcript
from ringback.speech.passage import Speech
from ringback.storage.event_log import LoggedEvent
from ringback.streams.spec import StreamSpec
from ringback.streams.views import StreamView


class CallsPort(Protocol):
    """Calls of one account: start, look up, end, transfer."""

    async def make_calls(self, account: Account, requests: Sequence[MakeCall]) -> MadeCall:
        """Accept outbound calls, all or none; their intent is durable when this returns.

        Raises:
            InvalidParameter: The destination cannot be reached with this configuration, or the parent is unknown.
            NotAllowed: The account may not call this destination.
            LimitReached: The account's queue is full.
        """

    async def live_call_uuids(self, account: Account, filters: LiveCallFilters) -> list[CallUuid]:
        """Return one page of calls that have not ended, newest first."""

    async def live_call(self, account: Account, call_uuid: CallUuid) -> LiveCallView | None:
        """Return a call that has not ended, queued ones included, or `None`."""

    async def owner_of(self, account: Account, call_uuid: CallUuid) -> Account:
        """Return whose call it is: a subaccount of `account`, else `account`, which then may or may not have it."""

    async def has_call(self, account: Account, call_uuid: CallUuid) -> bool:
        """Return whether the account has or had this call, in any state."""

    async def is_nobodys(self, call_uuid: CallUuid) -> bool:
        """Return whether no account has or had this call: it was refused before one was found, or never came."""

    async def hangup_call(self, account: Account, call_uuid: CallUuid) -> bool:
        """End a queued, ringing or answered call; `False` when the account has no such call that has not ended."""

    async def hangup_all(self, account: Account) -> int:
        """End every call of the account; return how many."""

    async def cancel_request(self, account: Account, request_uuid: CallUuid) -> bool:
        """End a call that has not been answered; `False` when there is none."""

    async def transfer(self, account: Account, call_uuid: CallUuid, transfer: Transfer) -> None:
        """Give the legs of a live call new documents.

        Raises:
            NotFound: No such live call.
            InvalidParameter: The named leg does not exist.
        """

    async def cdr(self, account: Account, call_uuid: CallUuid) -> CallRecord | None:
        """Return the record of an ended call, or `None`."""

    async def cdrs(
        self, account: Account, filters: CdrFilters, limit: int, offset: int
    ) -> tuple[Sequence[CallRecord], int]:
        """Return one page of call records, newest first, and how many match in all."""


class StreamsPort(Protocol):
    """Audio streams of one call."""

    async def start(self, account: Account, call_uuid: CallUuid, spec: StreamSpec) -> StreamId:
        """Start a stream on a live call; connecting goes on after this returns.

        `spec` is validated, its `keep_call_alive` is false.

        Raises:
            NotFound: No such live call.
            InvalidParameter: The URL is refused, is streamed to already, or a bidirectional stream is active already.
        """

    async def get(self, account: Account, call_uuid: CallUuid, stream_id: StreamId) -> StreamView | None:
        """Return a stream, live or ended, or `None`."""

    async def list(
        self, account: Account, call_uuid: CallUuid, limit: int, offset: int
    ) -> tuple[Sequence[StreamView], int]:
        """Return one page of a call's streams, newest first, and how many there are.

        Raises:
            NotFound: No such call, live or ended.
        """

    async def stop(self, account: Account, call_uuid: CallUuid, stream_id: StreamId) -> bool:
        """Stop a live stream; `False` when there is none of that name."""

    async def stop_all(self, account: Account, call_uuid: CallUuid) -> int:
        """Stop every stream of a live call; return how many.

        Raises:
            NotFound: No such live call.
        """


class ConferencesPort(Protocol):
    """Live conferences of one account; `members` is one id, a list with commas, or `all`.

    Raises (from every method with a `name`, but `view`): `NotFound`, no such conference or none of these members.
    """

    def names(self, account: Account) -> list[str]:
        """Return the names of the live conferences, oldest first."""

    def view(self, account: Account, name: str) -> ConferenceView | None:
        """Return a live conference, or `None`."""

    async def hang_up(self, account: Account, name: str) -> None:
        """End the calls of a conference's members."""

    async def hang_up_all(self, account: Account) -> int:
        """End the calls of everyone in a conference; return how many conferences that were."""

    async def hang_up_members(self, account: Account, name: str, members: str) -> list[str]:
        """End members' calls; return their ids."""

    def kick(self, account: Account, name: str, members: str) -> list[str]:
        """Send members out; return their ids."""

    def set_audio(
        self, account: Account, name: str, members: str, *, is_muted: bool | None = None, is_deaf: bool | None = None
    ) -> list[str]:
        """Mute or deafen members, or undo it; return their ids."""

    async def play(self, account: Account, name: str, members: str, url: str) -> list[str]:
        """Play a file to members; return their ids.

        Raises:
            InvalidParameter: the file cannot be had.
        """

    async def stop_play(self, account: Account, name: str, members: str) -> list[str]:
        """Stop what `play` plays to members; return their ids."""

    async def speak(self, account: Account, name: str, members: str, speech: Speech) -> list[str]:
        """Say something to members; return their ids.

        Raises:
            LimitReached: Too much waits to be said to one of them.
        """

    async def stop_speech(self, account: Account, name: str, members: str) -> list[str]:
        """Stop what `speak` says to members; return their ids."""

    async def record(self, account: Account, name: str, spec: RecordingSpec) -> StartedRecording:
        """Record everyone in a conference.

        Raises:
            InvalidParameter: It is recorded already.
            Conflict: There is no room on the disk, or no media worker takes it.
        """

    async def stop_record(self, account: Account, name: str) -> None:
        """Stop the recording of a conference."""


class MultipartyRecorderPort(Protocol):
    """Recordings of multiparty calls of one account, and of participants (`who`: one id, a list with commas, `all`).

    Raises (from every method): `InvalidParameter`, the id is none, or it is recorded already; `NotFound`, no such live
    multiparty call, or none of these participants, or nothing is recorded; `Conflict`, it cannot be done now.
    """

    async def record(self, account: Account, mpc_id: str, spec: RecordingSpec) -> tuple[str, StartedRecording]:
        """Record everyone; return the name of the multiparty call and the recording."""

    async def stop(self, account: Account, mpc_id: str) -> None:
        """Stop the recording of everyone."""

    async def pause(self, account: Account, mpc_id: str, *, is_paused: bool) -> None:
        """Leave out of it what is said, or record again."""

    async def record_participants(
        self, account: Account, mpc_id: str, who: str, track: Track, spec: RecordingSpec
    ) -> tuple[str, list[StartedRecording]]:
        """Record participants alone; return the name of the multiparty call and the recordings."""

    async def stop_participants(self, account: Account, mpc_id: str, who: str, track: Track) -> None:
        """Stop recordings of participants."""

    async def pause_participants(
        self, account: Account, mpc_id: str, who: str, track: Track, *, is_paused: bool
    ) -> None:
        """Leave out of them what happens, or record again."""


class MultipartyPort(Protocol):
    """Multiparty calls of one account; `mpc_id` is `name_{friendly_name}` or `uuid_{mpc_uuid}`, `who` one participant's
    id, a list with commas, or `all`.

    Raises (from every method but `page`): `InvalidParameter`, the id is none; `NotFound`, no such multiparty call, or
    none of these participants.
    """

    @property
    def recorder(self) -> MultipartyRecorderPort:
        """Return what records them."""

    async def page(
        self, account: Account, filters: MultipartyFilters, limit: int, offset: int
    ) -> tuple[Sequence[MultipartyView], int]:
        """Return one page of multiparty calls, newest first, and how many match in all."""

    async def view(self, account: Account, mpc_id: str) -> MultipartyView:
        """Return a live multiparty call, or by its UUID an ended one."""

    def start(self, account: Account, mpc_id: str) -> str:
        """Let the participants hear each other; return its name."""

    def stop(self, account: Account, mpc_id: str) -> None:
        """End it for everyone."""

    async def add(self, account: Account, mpc_id: str, wanted: AddParticipant) -> Sequence[AddedCall]:
        """Make calls of which the first to be answered becomes a participant, or make a participant of a live call.

        Raises:
            LimitReached: No more participants or calls are possible now.
        """

    def set(
        self,
        account: Account,
        mpc_id: str,
        who: str,
        *,
        is_muted: bool | None = None,
        is_held: bool | None = None,
        is_coach: bool | None = None,
    ) -> str:
        """Mute, hold, or let coach; `None` leaves as it is. Return the name of the multiparty call."""

    def kick(self, account: Account, mpc_id: str, who: str) -> None:
        """Send participants out."""

    async def play(self, account: Account, mpc_id: str, who: str, url: str) -> tuple[str, list[str]]:
        """Play a file to participants; return the name of the multiparty call and their ids.

        Raises:
            InvalidParameter: The file cannot be had.
        """

    async def speak(self, account: Account, mpc_id: str, who: str, speech: Speech) -> tuple[str, list[str]]:
        """Say something to participants; return the name of the multiparty call and their ids.

        Raises:
            LimitReached: Too much waits to be said to one of them.
        """

    async def stop_sounds(self, account: Account, mpc_id: str, who: str, lane: PlayLane) -> None:
        """Stop what `play` or `speak` lets participants hear."""


class RecordingsPort(Protocol):
    """Recordings of one account."""

    async def record(
        self, account: Account, call_uuid: CallUuid, spec: RecordingSpec, *, api_id: str = ""
    ) -> StartedRecording:
        """Record a live call.

        Raises:
            NotFound: No such answered call.
            InvalidParameter: The call has all the recordings it may have.
            Conflict: The disk is full, or the account has used its space.
        """

    async def stop(self, account: Account, call_uuid: CallUuid, url: str = "") -> None:
        """Stop the recordings of a live call, or only the one with this URL.

        Raises:
            NotFound: No such live call, or no such recording of it.
        """

    async def owner_id(self, recording_id: str) -> str:
        """Return whose recording it is, empty when there is none."""

    async def get(self, account: Account, recording_id: str) -> RecordingView | None:
        """Return a recording whose file can be had, or `None`."""

    async def list(
        self, account: Account, filters: RecordingFilters, limit: int, offset: int
    ) -> tuple[Sequence[RecordingView], int]:
        """Return one page of recordings whose files can be had, newest first, and how many match in all."""

    async def delete(self, account: Account, recording_id: str) -> bool:
        """Delete a recording and its file; `False` when there is none that has ended."""

    async def file(self, auth_id: str, recording_id: str, file_format: FileFormat) -> CompletedFile | None:
        """Return a recording's file, waiting a moment for one that is being completed, or `None`."""

    def url(self, view: RecordingView) -> str:
        """Return where a recording's file can be had."""

    async def transcribe(self, account: Account, recording_id: str, callback_url: str) -> None:
        """Have a text made of a recording whose file can be had.

        Raises:
            NotFound: The account has no such recording.
            Conflict: Nothing is transcribed here, or the text is being made for somebody else.
            LimitReached: Too many recordings wait.
        """

    async def transcript(self, account: Account, recording_id: str) -> Transcript | None:
        """Return the text of a recording, or `None` when there is none and none to come."""

    async def delete_transcript(self, account: Account, recording_id: str) -> bool:
        """Delete the text of a recording; `False` when there is none and none to come."""


class InCallPort(Protocol):
    """Sounds, speech and keys on live calls; `calls.in_call.InCallActions` fulfils it.

    Every method raises `NotFound` when there is no such answered call. Those that take legs raise `InvalidParameter`
    when the call has no B leg.
    """

    async def play(self, account: Account, call_uuid: CallUuid, request: PlayRequest) -> None:
        """Play sounds, behind what the API plays already.

        Raises:
            LimitReached: too many requests of the call wait.
        """

    async def stop_plays(self, account: Account, call_uuid: CallUuid) -> None:
        """Stop all that the API plays on a call."""

    async def speak(self, account: Account, call_uuid: CallUuid, request: SpeakRequest) -> None:
        """Say something, behind what the API says already.

        Raises:
            LimitReached: too many requests of the call wait.
        """

    async def stop_speech(self, account: Account, call_uuid: CallUuid) -> None:
        """Stop all that the API says on a call."""

    async def send_digits(self, account: Account, call_uuid: CallUuid, request: DigitsRequest) -> None:
        """Send keys to the far party."""


class EventsPort(Protocol):
    """The event log; `storage.event_log.EventLog` fulfils it."""

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        """Take one event; never blocks, never raises."""

    async def read(self, call_uuid: str, after_id: int = 0, limit: int = 500) -> list[LoggedEvent]:
        """Return events of a call with ids above `after_id`, oldest first."""

    async def wait(self, call_uuid: str, after_id: int, timeout_ms: int) -> None:
        """Return when the call may have events above `after_id`, or after `timeout_ms`."""


class ReadinessPort(Protocol):
    """Says whether the node can take calls."""

    def unready_reasons(self) -> Sequence[str]:
        """Return why the node is not ready; empty when it is."""


class CallbacksPort(Protocol):
    """Sends results of asynchronous requests (specification 4.4); the webhook outbox stands behind it."""

    async def deliver(self, account: Account, url: str, method: str, params: Mapping[str, str]) -> None:
        """Queue one signed callback to a customer's URL; it is durable when this returns."""

    async def replay(self, account: Account, event_id: str) -> bool:
        """Queue a finished callback of the account again; `False` when there is none or it still waits."""


class MetricsPort(Protocol):
    """The metrics of the process."""

    async def render(self) -> bytes:
        """Return all metrics as they are now, in the Prometheus text format."""
