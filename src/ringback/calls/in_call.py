"""What the API adds to a live call: sounds, speech, keys. It never ends or replaces what the call's document plays.

Spec: wire spec 4.9. Requests are answered at once; what becomes of them is in the call's timeline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ringback.accounts.account import Account
from ringback.calls.live import LiveCall
from ringback.calls.playbacks import ApiPlay
from ringback.calls.spoken import SpeechSource, SpokenClips
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import CallUuid
from ringback.media.control.values import PlayLane
from ringback.speech.passage import Speech

LEGS = ("aleg", "bleg", "both")


@dataclass(frozen=True, slots=True)
class PlayRequest:
    """Sounds to play one after the other."""

    urls: tuple[str, ...]
    length_s: int = 3_600
    legs: str = "aleg"
    is_looped: bool = False
    mixes: bool = True


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """Something to say."""

    speech: Speech
    legs: str = "aleg"
    is_looped: bool = False
    mixes: bool = True


@dataclass(frozen=True, slots=True)
class DigitsRequest:
    """Keys to send: `0-9*#A-D`, `w` and `W` pauses."""

    digits: str
    leg: str = "aleg"


class CallFinder(Protocol):
    """Finds live calls; `calls.service.CallService` is one."""

    def find_of(self, account: Account, call_uuid: CallUuid) -> LiveCall | None:
        """Return a live call of the account that is not ending, or `None`."""


class InCallActions:
    """The actions; `api.ports.InCallPort`."""

    def __init__(self, calls: CallFinder, fetch: Callable[[str], Awaitable[str]], speech: SpeechSource) -> None:
        self._calls = calls
        self._fetch = fetch
        self._speech = speech

    async def play(self, account: Account, call_uuid: CallUuid, request: PlayRequest) -> None:
        """Play sounds to the legs, behind what the API plays to them already.

        Raises:
            NotFound: no such answered call.
            InvalidParameter: the call has no B leg.
            LimitReached: too many requests wait.
        """
        for call in self._legs(account, call_uuid, request.legs, "legs"):
            call.note("media", event="api play", urls=list(request.urls), mix=request.mixes, loop=request.is_looped)
            clips = _FetchedClips(self._fetch, request.urls)
            play = ApiPlay(clips, 0 if request.is_looped else 1, request.mixes, request.length_s)
            call.playbacks.add(PlayLane.PLAY, play)

    async def speak(self, account: Account, call_uuid: CallUuid, request: SpeakRequest) -> None:
        """Say something to the legs, behind what the API says to them already.

        Raises:
            NotFound: no such answered call.
            InvalidParameter: the call has no B leg.
            LimitReached: too many requests wait.
        """
        speech = request.speech
        for call in self._legs(account, call_uuid, request.legs, "legs"):
            call.note(
                "media",
                event="api speak",
                voice=speech.voice,
                notes=list(speech.notes),
                mix=request.mixes,
                loop=request.is_looped,
            )
            clips = SpokenClips(self._speech, speech, call.note, account.main_auth_id)
            call.playbacks.add(PlayLane.SPEAK, ApiPlay(clips, 0 if request.is_looped else 1, request.mixes))

    async def send_digits(self, account: Account, call_uuid: CallUuid, request: DigitsRequest) -> None:
        """Send keys to the far party of the legs, behind keys that are being sent.

        Raises:
            NotFound: no such answered call.
            InvalidParameter: the call has no B leg, or too many keys wait.
        """
        for call in self._legs(account, call_uuid, request.leg, "leg"):
            await call.send_digits(request.digits)

    async def stop_plays(self, account: Account, call_uuid: CallUuid) -> None:
        """Stop all that the API plays on a call, on either leg; does nothing when it plays nothing.

        Raises:
            NotFound: no such answered call.
        """
        await self._clear(account, call_uuid, PlayLane.PLAY)

    async def stop_speech(self, account: Account, call_uuid: CallUuid) -> None:
        """Stop all that the API says on a call, on either leg; does nothing when it says nothing.

        Raises:
            NotFound: no such answered call.
        """
        await self._clear(account, call_uuid, PlayLane.SPEAK)

    async def _clear(self, account: Account, call_uuid: CallUuid, lane: PlayLane) -> None:
        (call,) = self._legs(account, call_uuid, "aleg", "legs")
        for leg in (call, call.partner):
            if leg is not None:
                await leg.playbacks.clear(lane)

    def _legs(self, account: Account, call_uuid: CallUuid, legs: str, field: str) -> Iterable[LiveCall]:
        call = self._calls.find_of(account, call_uuid)
        if call is None or not call.is_answered:
            raise NotFound("not found", hint="actions need an answered call")
        partner = call.partner
        if legs != "aleg" and partner is None:
            raise InvalidParameter(
                f"{field} parameter is invalid: {legs}, but the call has no B leg",
                hint=f"use {field}=aleg",
                field=field,
            )
        chosen = {"aleg": (call,), "bleg": (partner,), "both": (call, partner)}[legs]
        return [leg for leg in chosen if leg is not None]


class _FetchedClips:
    """Files of URLs; each is fetched when its turn comes."""

    def __init__(self, fetch: Callable[[str], Awaitable[str]], urls: Sequence[str]) -> None:
        self._fetch = fetch
        self._urls = urls

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self._urls)

    async def clip(self, index: int) -> str:
        """Return the path of a local copy."""
        return await self._fetch(self._urls[index])
