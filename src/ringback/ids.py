"""Identifiers: their types, and the only place where they are minted.

Sans-IO code uses the types; minting is called by shells and handed down as `Callable[[], str]`.
"""

from __future__ import annotations

import random
import secrets
import uuid
from collections import deque
from typing import NewType

CallUuid = NewType("CallUuid", str)
"""Names a call on the wire: `CallUUID`, `request_uuid`, `call_uuid`."""
LegId = NewType("LegId", str)
"""Names one side of a call inside the server."""
SessionId = NewType("SessionId", str)
"""Names one leg's media session in a worker."""
StreamId = NewType("StreamId", str)
"""Names an audio stream on the wire: `streamId`, `StreamID`, `stream_id`."""
PlayId = NewType("PlayId", str)
"""Names one playback on a media session."""
RecordingId = NewType("RecordingId", str)

ListenId = NewType("ListenId", str)
"""Names a recording on the wire: `recording_id`, `RecordingID`; its file's URL is a secret made of it."""
CommandId = NewType("CommandId", str)
"""Names one command to a worker; repeating it is harmless."""
WorkerId = NewType("WorkerId", str)
"""Names a worker slot, such as `media-0`."""
Incarnation = NewType("Incarnation", str)
"""Names one life of a worker process."""
Epoch = NewType("Epoch", int)
"""Orders servers: a worker obeys the highest epoch it has seen."""
AccountId = NewType("AccountId", str)
"""Names an account on the wire: `auth_id`, `MA` (a subaccount: `SA`) and 18 characters."""
AppId = NewType("AppId", str)
"""Names an application on the wire: 17 digits."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_chance = random.SystemRandom()
_PIECE_BYTES = 16
_PIECES_DRAWN = 256
_pieces: deque[bytes] = deque()
"""Randomness of the system, drawn ahead: each draw gives the interpreter to other threads, and getting it back may take
milliseconds; a call mints some thirty names. Taking a piece is atomic, so that no two threads get the same one.
"""


def _piece() -> bytes:
    try:
        return _pieces.pop()
    except IndexError:
        drawn = secrets.token_bytes(_PIECES_DRAWN * _PIECE_BYTES)
        first, *rest = (drawn[at : at + _PIECE_BYTES] for at in range(0, len(drawn), _PIECE_BYTES))
        _pieces.extend(rest)
        return first


def new_uuid() -> str:
    """Return a fresh random UUID (RFC 9562 version 4), as stream clients validate it."""
    return str(uuid.UUID(bytes=_piece(), version=4))


def new_token(size_bytes: int = 8) -> str:
    """Return `size_bytes` of randomness as lower-case hexadecimal: SIP tags, branches, nonces."""
    return (_piece()[:size_bytes] if size_bytes <= _PIECE_BYTES else secrets.token_bytes(size_bytes)).hex()


def new_secret() -> str:
    """Return an auth token: 40 characters, 240 bits, safe in URLs and headers."""
    return secrets.token_urlsafe(30)


def new_subaccount_id() -> AccountId:
    """Return a fresh `SA…` account id of 20 characters."""
    return AccountId("SA" + new_account_id()[2:])


def new_digits(count: int) -> str:
    """Return `count` random decimal digits, the first not zero: application ids, webhook nonces."""
    return str(secrets.randbelow(9 * 10 ** (count - 1)) + 10 ** (count - 1))


def new_account_id() -> AccountId:
    """Return a fresh `MA…` account id of 20 characters."""
    return AccountId("MA" + "".join(secrets.choice(_ALPHABET) for _ in range(18)))


def chance() -> float:
    """Return a random number in [0, 1): jitter and back-off."""
    return _chance.random()
