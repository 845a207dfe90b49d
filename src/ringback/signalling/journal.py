"""What a confirmed leg is on disk: one flat record of plain values, from which a restarted server could go on.

Nothing writes it yet; `SipLeg.record` makes it, so that whatever a leg learns stays expressible in it. The dialog's own
part (tags, CSeq, route set, target) belongs to `sip.dialog`.
"""

from __future__ import annotations

from dataclasses import dataclass


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
