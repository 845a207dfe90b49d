"""The states of one dialled party and of the dial as a whole, as tables. Pure.

A pair that is not in a table is in its `IGNORED` with the reason; a test walks the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class PartyState(Enum):
    """How far one party is."""

    CALLING = "calling"
    """Dialled; nothing was heard of it."""
    RINGING = "ringing"
    ASKED = "asked"
    """Answered, and challenged by the confirm sound and key."""
    JOINED = "joined"
    """The winner: it hears the caller."""
    DROPPED = "dropped"
    """We are ending it."""
    DETACHED = "detached"
    """A transfer took it away; the dial has no more to do with it."""
    ENDED = "ended"


class PartyTrigger(Enum):
    """What moves a party."""

    RING = "ring"
    ASK = "ask"
    """It answered and is challenged."""
    JOIN = "join"
    """It answered or met the challenge, first of all."""
    DROP = "drop"
    DETACH = "detach"
    END = "end"


_P, _T = PartyState, PartyTrigger

PARTY_TABLE: Mapping[tuple[PartyState, PartyTrigger], PartyState] = MappingProxyType(
    {
        (_P.CALLING, _T.RING): _P.RINGING,
        (_P.CALLING, _T.ASK): _P.ASKED,
        (_P.CALLING, _T.JOIN): _P.JOINED,
        (_P.CALLING, _T.DROP): _P.DROPPED,
        (_P.CALLING, _T.END): _P.ENDED,
        (_P.RINGING, _T.ASK): _P.ASKED,
        (_P.RINGING, _T.JOIN): _P.JOINED,
        (_P.RINGING, _T.DROP): _P.DROPPED,
        (_P.RINGING, _T.END): _P.ENDED,
        (_P.ASKED, _T.JOIN): _P.JOINED,
        (_P.ASKED, _T.DROP): _P.DROPPED,
        (_P.ASKED, _T.END): _P.ENDED,
        (_P.JOINED, _T.DROP): _P.DROPPED,
        (_P.JOINED, _T.DETACH): _P.DETACHED,
        (_P.JOINED, _T.END): _P.ENDED,
        (_P.DROPPED, _T.END): _P.ENDED,
    }
)

PARTY_IGNORED: Mapping[tuple[PartyState, PartyTrigger], str] = MappingProxyType(
    {
        (_P.CALLING, _T.DETACH): "only a joined party can be transferred away",
        (_P.RINGING, _T.RING): "a phone may ring several times: 180 after 183, forks",
        (_P.RINGING, _T.DETACH): "only a joined party can be transferred away",
        (_P.ASKED, _T.RING): "a late 180 of a losing fork",
        (_P.ASKED, _T.ASK): "it is asked once",
        (_P.ASKED, _T.DETACH): "only a joined party can be transferred away",
        (_P.JOINED, _T.RING): "a late 180 of a losing fork",
        (_P.JOINED, _T.ASK): "it has met the challenge",
        (_P.JOINED, _T.JOIN): "it is joined once",
        **{(_P.DROPPED, each): "it is being ended" for each in _T if each is not _T.END},
        **{(_P.DETACHED, each): "it belongs to another document" for each in _T},
        **{(_P.ENDED, each): "it is gone" for each in _T},
    }
)


class DialState(Enum):
    """How far the dial is."""

    CALLING = "calling"
    """Parties ring or are challenged; the caller hears ring-back or music."""
    JOINED = "joined"
    """Caller and winner hear each other."""
    OVER = "over"
    """The document goes on; parties may still be ending."""


class DialTrigger(Enum):
    """What moves a dial."""

    WIN = "win"
    """A party is joined."""
    ALL_GONE = "all-gone"
    """The last party ended without being joined."""
    PART = "part"
    """The bridge ended: the winner is gone or was transferred away."""
    STOP = "stop"
    """The caller is gone, or its document was replaced."""


_D, _DT = DialState, DialTrigger

DIAL_TABLE: Mapping[tuple[DialState, DialTrigger], DialState] = MappingProxyType(
    {
        (_D.CALLING, _DT.WIN): _D.JOINED,
        (_D.CALLING, _DT.ALL_GONE): _D.OVER,
        (_D.CALLING, _DT.STOP): _D.OVER,
        (_D.JOINED, _DT.PART): _D.OVER,
        (_D.JOINED, _DT.STOP): _D.OVER,
    }
)

DIAL_IGNORED: Mapping[tuple[DialState, DialTrigger], str] = MappingProxyType(
    {
        (_D.CALLING, _DT.PART): "nobody was joined",
        (_D.JOINED, _DT.WIN): "the race is decided: the second to answer has lost it",
        (_D.JOINED, _DT.ALL_GONE): "the end of the winner parts the bridge first",
        **{(_D.OVER, each): "the document goes on already" for each in _DT},
    }
)

LIVE_PARTY = frozenset({_P.CALLING, _P.RINGING, _P.ASKED, _P.JOINED})
"""Parties that would have to be ended if the dial were."""


def advance_party(state: PartyState, trigger: PartyTrigger) -> PartyState | None:
    """Return the next state of a party, or `None` when the trigger is ignored in `state`."""
    return PARTY_TABLE.get((state, trigger))


def advance_dial(state: DialState, trigger: DialTrigger) -> DialState | None:
    """Return the next state of the dial, or `None` when the trigger is ignored in `state`."""
    return DIAL_TABLE.get((state, trigger))
