"""Participants whom the API adds: calls that ring, of which the first to be ready enters and the others are let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls.hangup import Code, HangupSource
from ringback.calls.service import CallService
from ringback.calls.views import MakeCall
from ringback.errors import LimitReached, NotFound, RingbackError
from ringback.ids import CallUuid
from ringback.multiparty.calls import Multiparty, MultipartyCalls, StatusUrl
from ringback.multiparty.document import document_of
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.journal import Journal
from ringback.multiparty.machine import Participant
from ringback.multiparty.payloads import addition_params
from ringback.multiparty.spec import NO_SOUND, EventGroup
from ringback.multiparty.views import AddedCall, AddParticipant
from ringback.rooms.stage import Stage
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

ADDITIONS_MAX = 1_000
"""Requests whose calls ring at once; one more is refused."""


@dataclass(slots=True, eq=False)
class Addition:
    """One request, until somebody has entered or nobody can any more."""

    account: Account
    name: str
    mpc_uuid: str
    """The very multiparty call that it is for; empty: whichever has the name."""
    wanted: AddParticipant
    url: str
    waiting: set[CallUuid]
    """Calls that are not over and have not entered."""
    multiparty: Multiparty | None
    """The live one whose waiting participants hear the dial music."""
    timers: dict[CallUuid, asyncio.TimerHandle] = field(default_factory=dict)
    """Calls that are not made yet."""
    confirmed: set[CallUuid] = field(default_factory=set)
    is_over: bool = False
    is_announced: bool = False

    @property
    def request_uuid(self) -> CallUuid:
        """Return what names the request: its first call."""
        return CallUuid(self.wanted.call_uuid or self.wanted.calls[0].call_uuid)

    @property
    def needs_company(self) -> bool:
        """Return whether nobody may enter once the others are gone."""
        return bool(self.mpc_uuid) or not self.wanted.may_be_first


class Additions:
    """Every request to add a participant that is not settled.

    State: `begin` starts one; it ends with `entered`, with its last call, or with the multiparty call that it is for.
    """

    def __init__(
        self,
        calls: CallService,
        everyone: MultipartyCalls,
        invitations: Invitations,
        journal: Journal,
        stage: Stage,
        on_dial_music: Callable[[Multiparty], None],
    ) -> None:
        """Make one without requests.

        Args:
            on_dial_music: Called when the waiting participants of a multiparty call may hear something else.
        """
        self._calls = calls
        self._everyone = everyone
        self._invitations = invitations
        self._journal = journal
        self._stage = stage
        self._on_dial_music = on_dial_music
        self._of: dict[CallUuid, Addition] = {}
        self._all: dict[Addition, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    async def begin(
        self, account: Account, name: str, multiparty: Multiparty | None, mpc_uuid: str, wanted: AddParticipant
    ) -> Sequence[AddedCall]:
        """Make the calls of a request, or give a live call its document, and return them all.

        Raises:
            InvalidParameter: a destination cannot be reached.
            NotFound: no answered call has the id.
            LimitReached: no more calls or requests are possible now.
        """
        if len(self._all) >= ADDITIONS_MAX:
            raise LimitReached(f"{len(self._all)} participants are being added, at most {ADDITIONS_MAX}")
        url = self._invitations.add(document_of(wanted.spec))
        made = tuple(
            replace(call, call_uuid=ids.new_uuid(), answer_url=url, answer_method="POST") for call in wanted.calls
        )
        wanted = replace(wanted, calls=made)
        waiting = {CallUuid(call.call_uuid) for call in made} or {CallUuid(wanted.call_uuid or "")}
        addition = Addition(account, name, mpc_uuid, wanted, url, waiting, multiparty)
        self._all[addition] = None
        # A live call may ring for another request.
        others = {call_uuid: self._of[call_uuid] for call_uuid in waiting & self._of.keys()}
        self._of.update(dict.fromkeys(waiting, addition))
        try:
            added = await (self._dial(addition) if made else self._take(addition))
        except BaseException:
            self._forget(addition)
            for call_uuid in waiting:
                self._of.pop(call_uuid, None)
            self._of.update(others)
            for call_uuid in others:
                # It may have ended meanwhile.
                self._calls.when_gone(call_uuid, partial(self.gone, call_uuid))
            raise
        for call_uuid, other in others.items():
            self._lost(other, call_uuid)
        self._tell(addition, is_completed=False)
        for call in added:
            if call.call_uuid not in addition.timers:
                self._calls.when_gone(call.call_uuid, partial(self.gone, call.call_uuid))
        if multiparty is not None and made and not addition.is_over:
            self._play(multiparty)
        return added

    async def _dial(self, addition: Addition) -> Sequence[AddedCall]:
        wanted = addition.wanted
        delayed = [(call, wanted.delay_s(index)) for index, call in enumerate(wanted.calls)]
        at_once = [call for call, delay_s in delayed if not delay_s]
        if at_once:
            await self._calls.make_calls(addition.account, at_once)
        for call, delay_s in delayed:
            if delay_s and not addition.is_over:
                call_uuid = CallUuid(call.call_uuid)
                addition.timers[call_uuid] = asyncio.get_running_loop().call_later(
                    delay_s, self._dial_later, addition, call
                )
        if addition.is_over:
            # One was ready before all were made.
            self._hang_up(addition, Code.LOST_RACE, tuple(addition.waiting))
        return [AddedCall(call.to, call.from_number, CallUuid(call.call_uuid)) for call in wanted.calls]

    async def _take(self, addition: Addition) -> Sequence[AddedCall]:
        call = self._calls.find_of(addition.account, addition.request_uuid)
        if call is None or not call.is_answered:
            raise NotFound("no answered call of this call_uuid")
        await call.transfer(addition.url, "POST")
        return [AddedCall(call.terms.to_number, call.terms.from_number, call.call_uuid)]

    def _dial_later(self, addition: Addition, request: MakeCall) -> None:
        call_uuid = CallUuid(request.call_uuid)
        addition.timers.pop(call_uuid, None)

        async def dial() -> None:
            try:
                await self._calls.make_calls(addition.account, [request])
            except RingbackError as error:
                _log.warning("delayed participant not dialled", call_uuid=call_uuid, error=str(error))
                self.gone(call_uuid)
                return
            except Exception as error:
                # Nobody is left who would settle the request.
                _log.error("delayed participant not dialled", call_uuid=call_uuid, exc_info=error)
                self.gone(call_uuid)
                return
            self._calls.when_gone(call_uuid, partial(self.gone, call_uuid))
            if addition.is_over:
                self._hang_up(addition, Code.LOST_RACE, (call_uuid,))

        self._stage.spawn(dial())

    def find(self, call_uuid: CallUuid) -> Addition | None:
        """Return the request by which a call is to enter, or `None`."""
        return self._of.get(call_uuid)

    def refusal(self, addition: Addition, call_uuid: CallUuid) -> tuple[str, Code] | None:
        """Return why a call may not enter (any more) and how it ends, or `None` when it may."""
        if addition.is_over:
            return "another call has become this participant", Code.LOST_RACE
        live = self._everyone.live.get((addition.account.auth_id, addition.name))
        if addition.needs_company and (live is None or addition.mpc_uuid not in ("", live.mpc_uuid)):
            return "everyone else has left", Code.MULTIPARTY_ENDED
        return None

    def entered(self, participant: Participant) -> None:
        """Settle the request by which a call has entered, if there is one: its other calls are let go."""
        addition = self._of.get(participant.call_uuid)
        if addition is None:
            return
        addition.waiting.discard(participant.call_uuid)
        self._settle(addition, Code.LOST_RACE, participant)
        self._of.pop(participant.call_uuid, None)

    def gone(self, call_uuid: CallUuid, of: Addition | None = None) -> None:
        """Take note that a call is over, or goes elsewhere.

        Args:
            of: The request that it leaves; nothing happens when it is another's by now. `None` for whichever has it.
        """
        addition = self._of.get(call_uuid)
        if addition is None or (of is not None and of is not addition):
            return
        del self._of[call_uuid]
        self._lost(addition, call_uuid)

    def _lost(self, addition: Addition, call_uuid: CallUuid) -> None:
        addition.waiting.discard(call_uuid)
        if not addition.waiting and not addition.is_over:
            self._settle(addition, Code.LOST_RACE, None)

    def multiparty_over(self, multiparty: Multiparty) -> None:
        """Let go whoever was to enter a multiparty call that is over, unless it may be the first of the next one."""
        for addition in tuple(self._all):
            if addition.multiparty is multiparty:
                addition.multiparty = None
                if addition.needs_company:
                    self._settle(addition, Code.MULTIPARTY_ENDED, None)

    def _settle(self, addition: Addition, code: Code, winner: Participant | None) -> None:
        if addition.is_over:
            return
        multiparty = addition.multiparty
        self._forget(addition)
        self._hang_up(addition, code, tuple(addition.waiting))
        self._tell(addition, is_completed=True, winner=winner)
        if multiparty is not None:
            self._play(multiparty)

    def _forget(self, addition: Addition) -> None:
        """Forget a request; calls that it still has are told so when they ask for their document."""
        addition.is_over = True
        self._all.pop(addition, None)
        self._invitations.withdraw(addition.url)
        for call_uuid, timer in addition.timers.items():
            timer.cancel()
            addition.waiting.discard(call_uuid)
            self._of.pop(call_uuid, None)
        addition.timers.clear()

    def _hang_up(self, addition: Addition, code: Code, call_uuids: Iterable[CallUuid]) -> None:
        async def cancelled(call_uuid: CallUuid) -> None:
            await self._calls.hangup_call(addition.account, call_uuid)

        for call_uuid in call_uuids:
            call = self._calls.find_of(addition.account, call_uuid)
            if call is None:
                # It waits for its turn, or is over already.
                self._stage.spawn(cancelled(call_uuid))
            else:
                call.spawn(call.end(code, HangupSource.PLATFORM))

    def _play(self, multiparty: Multiparty) -> None:
        """Let those who wait hear the music of the newest request that rings."""
        music = [each.wanted.dial_music for each in self._all if each.multiparty is multiparty and each.wanted.calls]
        multiparty.machine.dial(music[-1] if music else NO_SOUND)
        self._on_dial_music(multiparty)

    def _tell(self, addition: Addition, *, is_completed: bool, winner: Participant | None = None) -> None:
        if is_completed and not addition.is_announced:
            # It was settled while its calls were being made.
            self._tell(addition, is_completed=False)
        elif not is_completed and addition.is_announced:
            return
        addition.is_announced = True
        spec = addition.wanted.spec
        live = self._everyone.live.get((addition.account.auth_id, addition.name))
        status = StatusUrl.of(spec) if spec.status_url or live is None else live.status
        if not status.wants(EventGroup.ADD):
            return
        params = addition_params(
            addition.name,
            live.mpc_uuid if live is not None else addition.mpc_uuid,
            spec.role,
            addition.request_uuid,
            clock.wall_ms(),
            is_completed=is_completed,
            member=winner,
        )
        self._stage.spawn(self._journal.tell(addition.account.auth_id, addition.request_uuid, status, params))

    def close(self) -> None:
        """Make no more calls."""
        for addition in tuple(self._all):
            self._forget(addition)
