"""Multiparty calls that are changed by nothing but requests; `asked` holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.accounts.account import Account
from ringback.errors import NotFound
from ringback.ids import CallUuid
from ringback.media.control.values import PlayLane
from ringback.multiparty.calls import split_id
from ringback.multiparty.state import State
from ringback.multiparty.views import AddedCall, AddParticipant, MultipartyFilters, MultipartyView, ParticipantView
from ringback.speech.passage import Speech

BEGAN = 1_700_000_000_000
MPC_UUID = "12345678-1234-4234-8234-123456789012"


@dataclass
class FakeMultiparty:
    """Fulfils `api.ports.MultipartyPort`."""

    live: dict[str, MultipartyView] = field(default_factory=dict)
    asked: list[tuple[object, ...]] = field(default_factory=list)

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

    def page(
        self, account: Account, filters: MultipartyFilters, limit: int, offset: int
    ) -> tuple[Sequence[MultipartyView], int]:
        self.asked.append(("page", filters, limit, offset))
        found = [view for view in self.live.values() if filters.has(view)]
        return found[offset : offset + limit], len(found)

    def view(self, account: Account, mpc_id: str) -> MultipartyView:
        _, key = split_id(mpc_id)
        for view in self.live.values():
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

    def _note(self, what: str, account: Account, mpc_id: str, who: str = "", *more: object) -> str:
        view = self.view(account, mpc_id)
        if who not in ("", "all", *(each.member_id for each in view.participants)):
            raise NotFound("participant not found")
        self.asked.append((what, mpc_id, *([who] if who else []), *more))
        return view.name
