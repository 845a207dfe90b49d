"""One slot's frame: what an agent, playbacks and a room give at the same time, added up."""

from __future__ import annotations

import audioop

from ringback.media.codecs.g711 import FRAME_SAMPLES, Law
from ringback.media.codecs.l16 import to_native
from ringback.media.place import Place


def mixed(law: Law, pcm: bytes, agent: bytes | None, room: Place | None, *, is_alone: bool) -> bytes:
    """Return 160 law bytes; the room's slot is taken in any case, so that nothing of it is heard later.

    Args:
        pcm: What playbacks gave: up to 160 samples of linear audio as in files.
        agent: Agent audio in the leg's law, `None` for silence.
        is_alone: Whether playbacks are heard instead of everything else, where they gave something.
    """
    if not pcm:
        if room is None:
            return law.silence if agent is None else agent
        if agent is None:
            # Alone, the room's only voice passes untouched.
            return room.hear_frame() or law.silence
    heard = room.hear() if room is not None else None
    mix = to_native(pcm) + bytes(2 * FRAME_SAMPLES - len(pcm)) if pcm else b""
    if mix and is_alone:
        return law.encode(mix)
    if agent is not None:
        mix = audioop.add(mix, law.decode(agent), 2) if mix else law.decode(agent)
    if heard is not None:
        mix = audioop.add(mix, heard, 2) if mix else heard
    return law.encode(mix) if mix else law.silence
