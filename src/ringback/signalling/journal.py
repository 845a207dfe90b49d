"""What a confirmed leg is on disk: its dialog as text, with which a restarted server hangs up at the far party.

`LegRecord` is the rest, from which one could go on: nothing writes it yet, `SipLeg.record` makes it, so that whatever a
leg learns stays expressible in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ringback.sip.dialog import Dialog


@dataclass(frozen=True, slots=True)
class LegRecord:
    """One confirmed leg; every field is a text or a number."""

    leg_id: str
    session_id: str
    call_uuid: str
    invite_id: str
    direction: str
    caller: str
    callee: str
    source_host: str
    trunk_name: str
    sdp_id: str
    sdp_version: int
    local_sdp: str
    remote_sdp: str
    local_rtp_host: str
    local_rtp_port: int


def written(dialog: Dialog) -> str:
    """Return a dialog as text, from which another process can leave it."""
    return msgspec.json.encode(dialog).decode()


def read(text: str) -> Dialog | None:
    """Return the dialog of a text, `None` when it is none."""
    try:
        return msgspec.json.decode(text, type=Dialog)
    except msgspec.MsgspecError:
        return None
