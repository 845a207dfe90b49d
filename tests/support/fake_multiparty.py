"""Multiparty calls that are changed by nothing but requests; `asked` holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.accounts.account import Account
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import CallUuid, RecordingId
from ringback.media.control.values import PlayLane
from ringback.multiparty.calls import split_id
from ringback.multiparty.state import State
from ringback.multiparty.views import (
    AddedCall,
    AddParticipant,
    MultipartyFilters,
    MultipartyView,
    ParticipantView,
    Track,
)
from ringback.recordings.spec import FileFormat, RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.speech.passage import Speech

STARTED = StartedRecording(
    RecordingId("12345678-1234-4234-8234-1234567890ab"),
    "http://us/v1/Account/MA/Recording/12345678-1234-4234-8234-1234567890ab.mp3",
    FileFormat.MP3,
)
BEGAN = 1_700_000_000_000
MPC_UUID = "12345678-1234-4234-8234-123456789012"


@dataclass
class FakeMultiparty:
    """Fulfils `api.ports.MultipartyPort`."""

    live: dict[str, MultipartyView] = field(default_factory=dict)
    asked: list[tuple[object, ...]] = field(default_factory=list)
    owner: str = ""
    """The account whose they are; empty: everybody's."""
    refuses: bool = False
    """Whether recordings are where they should not be, and nowhere else."""

    @property
    def recorder(self) -> FakeRecorder:
        """Return what records them."""
        return FakeRecorder(self)

    def add_live(self, name: str, *member_ids: str) -> None:
        """Let there be a multiparty call."""
        participants = tuple(
            ParticipantView(
                each,
                MPC_UUID,
                f"call-{each}",
                "14150000001",
                "agent",
                False,
                False,
                False,
                True,
                False,
                BEGAN,
            )
            for each in member_ids
        )
        self.live[name] = MultipartyView(MPC_UUID, name, State.ACTIVE, BEGAN, False, BEGAN, participants=participants)

    async def page(
        self, account: Account, filters: MultipartyFilters, limit: int, offset: int
    ) -> tuple[Sequence[MultipartyView], int]:
        self.asked.append(("page", filters, limit, offset))
        found = [view for view in self._of(account).values() if filters.has(view)]
        return found[offset : offset + limit], len(found)

    async def view(self, account: Account, mpc_id: str) -> MultipartyView:
        return self._view(account, mpc_id)

    def _view(self, account: Account, mpc_id: str) -> MultipartyView:
        _, key = split_id(mpc_id)
        for view in self._of(account).values():
            if key in (view.name, view.mpc_uuid):
                return view
        raise NotFound("multiparty call not found")

    def start(self, account: Account, mpc_id: str) -> str:
        return self._note("start", account, mpc_id)

    def stop(self, account: Account, mpc_id: str) -> None:
        del self.live[self._note("stop", account, mpc_id)]

    async def add(self, account: Account, mpc_id: str, wanted: AddParticipant) -> Sequence[AddedCall]:
        self.asked.append(("add", mpc_id, wanted))
        if wanted.call_uuid:
            return [AddedCall("14150000002", "14150000001", wanted.call_uuid)]
        made = enumerate(wanted.calls)
        return [AddedCall(call.to, call.from_number, CallUuid(f"added-{number}")) for number, call in made]

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
        return self._note("set", account, mpc_id, who, is_muted, is_held, is_coach)

    def kick(self, account: Account, mpc_id: str, who: str) -> None:
        self._note("kick", account, mpc_id, who)

    async def play(self, account: Account, mpc_id: str, who: str, url: str) -> tuple[str, list[str]]:
        return self._note("play", account, mpc_id, who, url), [who]

    async def speak(self, account: Account, mpc_id: str, who: str, speech: Speech) -> tuple[str, list[str]]:
        return self._note("speak", account, mpc_id, who, speech.voice), [who]

    async def stop_sounds(self, account: Account, mpc_id: str, who: str, lane: PlayLane) -> None:
        self._note("stop_sounds", account, mpc_id, who, lane)

    def _of(self, account: Account) -> dict[str, MultipartyView]:
        return self.live if self.owner in ("", account.auth_id) else {}

    def _note(self, what: str, account: Account, mpc_id: str, who: str = "", *more: object) -> str:
        view = self._view(account, mpc_id)
        if who not in ("", "all", *(each.member_id for each in view.participants)):
            raise NotFound("participant not found")
        self.asked.append((what, mpc_id, *([who] if who else []), *more))
        return view.name


class FakeRecorder:
    """Fulfils `api.ports.MultipartyRecorderPort`."""

    def __init__(self, of: FakeMultiparty) -> None:
        self._of = of

    async def record(self, account: Account, mpc_id: str, spec: RecordingSpec) -> tuple[str, StartedRecording]:
        name = self._of._note("record", account, mpc_id, "", spec.file_format, spec.callback_url, spec.callback_method)
        if self._of.refuses:
            raise InvalidParameter("it is recorded already")
        return name, STARTED

    async def stop(self, account: Account, mpc_id: str) -> None:
        self._of._note("stop_record", account, mpc_id)
        if self._of.refuses:
            raise NotFound("the multiparty call is not recorded")

    async def pause(self, account: Account, mpc_id: str, *, is_paused: bool) -> None:
        self._of._note("pause" if is_paused else "resume", account, mpc_id)
        if self._of.refuses:
            raise NotFound("the multiparty call is not recorded")

    async def record_participants(
        self, account: Account, mpc_id: str, who: str, track: Track, spec: RecordingSpec
    ) -> tuple[str, list[StartedRecording]]:
        name = self._of._note("record", account, mpc_id, who, track, spec.file_format)
        return name, [STARTED, STARTED] if track is Track.BOTH else [STARTED]

    async def stop_participants(self, account: Account, mpc_id: str, who: str, track: Track) -> None:
        self._of._note("stop_record", account, mpc_id, who, track)

    async def pause_participants(
        self, account: Account, mpc_id: str, who: str, track: Track, *, is_paused: bool
    ) -> None:
        self._of._note("pause" if is_paused else "resume", account, mpc_id, who, track)
