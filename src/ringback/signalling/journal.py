"""What a confirmed leg is on disk: its dialog as text, with which a restarted server hangs up at the far party."""

from __future__ import annotations

import msgspec

from ringback.sip.dialog import Dialog


def written(dialog: Dialog) -> str:
    """Return a dialog as text, from which another process can leave it."""
    return msgspec.json.encode(dialog).decode()


def read(text: str) -> Dialog | None:
    """Return the dialog of a text, `None` when it is none."""
    try:
        return msgspec.json.decode(text, type=Dialog)
    except msgspec.MsgspecError:
        return None
