"""SIP messages on the event log: which call a traced message belongs to, also when the call is not known yet."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from ringback.sip.flow import Flow
from ringback.sip.trace import SipTrace
from ringback.telemetry.events import EventSink


class SipTimeline:
    """Records traced messages under their call.

    A message of a call that nobody has named yet (the INVITE itself) waits; at most `maximum_waiting` do, the oldest
    goes first, so that strangers cannot fill memory.
    """

    def __init__(self, timeline: EventSink, maximum_waiting: int) -> None:
        self._timeline = timeline
        self._waiting: deque[SipTrace] = deque(maxlen=maximum_waiting)
        self._call_uuids: dict[str, str] = {}
        self._call_ids: dict[str, str] = {}
        self._call_id_of: dict[str, str] = {}

    def __len__(self) -> int:
        """Return how many INVITE usages are known."""
        return len(self._call_uuids)

    def call_uuid_of(self, invite_id: str) -> str | None:
        """Return the call of an INVITE usage, or `None`."""
        return self._call_uuids.get(invite_id)

    def name(self, invite_id: str, call_uuid: str, call_id: str = "") -> None:
        """Note which call an INVITE usage belongs to, and record what waited for that."""
        self._call_uuids[invite_id] = call_uuid
        if call_id:
            self._learn(invite_id, call_uuid, call_id)
        waiting = list(self._waiting)
        self._waiting.clear()
        for trace in waiting:
            self.take(trace)

    def forget(self, invite_id: str) -> None:
        """Drop an INVITE usage that has ended."""
        self._call_uuids.pop(invite_id, None)
        call_id = self._call_id_of.pop(invite_id, None)
        if call_id is not None:
            self._call_ids.pop(call_id, None)

    def take(self, trace: SipTrace) -> None:
        """Record one message, or keep it until its call is named."""
        call_uuid = self._call_uuids.get(trace.invite_id) if trace.invite_id is not None else None
        if call_uuid is None:
            call_uuid = self._call_ids.get(trace.call_id)
        elif trace.invite_id is not None and trace.call_id:
            self._learn(trace.invite_id, call_uuid, trace.call_id)
        if call_uuid is None:
            self._waiting.append(trace)
            return
        self._timeline.record(
            call_uuid,
            "sip",
            {
                "direction": trace.direction.value,
                "summary": trace.summary,
                "raw": trace.raw.decode("utf-8", "replace"),
                "transport": trace.flow.transport.value,
                "peer": _peer(trace),
            },
        )

    def _learn(self, invite_id: str, call_uuid: str, call_id: str) -> None:
        if invite_id not in self._call_id_of:
            self._call_id_of[invite_id] = call_id
            self._call_ids[call_id] = call_uuid


def without_keys(trace: SipTrace) -> SipTrace:
    """Return an INFO without its body, which may name a key that nobody may read; other messages as they are."""
    if not trace.summary.startswith("INFO "):
        return trace
    head, gap, _ = trace.raw.partition(b"\r\n\r\n")
    return replace(trace, raw=head + gap + b"(hidden)")


def _peer(trace: SipTrace) -> str:
    host, port = trace.flow.remote if isinstance(trace.flow, Flow) else (trace.flow.host, trace.flow.port)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
