"""One connection to an agent as it is heard: frames become messages, within what an agent may send.

picows parses frames; what it leaves to its user is done here: fragments, reserved bits, UTF-8, and a bound on what an
agent may send.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple, Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from ringback import clock
from ringback.machine import Instant
from ringback.media.control.settings import WorkerSettings
from ringback.media.stream.budget import SIZE_SHIFT, InputBudget
from ringback.media.stream.session import StreamSession
from ringback.media.worker.close_codes import (
    CLOSE_INTERNAL_ERROR,
    CLOSE_INVALID_TEXT,
    CLOSE_NO_STATUS,
    CLOSE_PROTOCOL_ERROR,
    CLOSE_TOO_BIG,
)
from ringback.media.worker.connect_faults import printable

_TEXT = WSMsgType.TEXT


class ListenedStream(Protocol):
    """The stream that a connection belongs to; `stream_client.StreamClient` is one."""

    session: StreamSession
    outbox: deque[bytes]

    def connected(self, listener: AgentListener, transport: WSTransport) -> None:
        """Take over an upgraded connection, before any frame arrives."""

    def agent_closed(self, transport: WSTransport) -> None:
        """Answer the agent's close frame, or see ours answered."""

    def disconnected(self, listener: AgentListener) -> None:
        """Let go of a connection that is gone."""

    def fail(self, code: int, detail: str) -> None:
        """Refuse what the agent sent: close with this code."""

    def flush(self) -> None:
        """Send what is ready."""


class _Held(NamedTuple):
    """A frame that was read."""

    kind: WSMsgType
    fin: bool
    payload: bytes


class AgentListener(WSListener):
    """Hears one connection. Nothing may escape from its methods: the library would end the connection over it."""

    __slots__ = (
        "_budget",
        "_feed_text",
        "_fragments",
        "_fragments_are_text",
        "_fragments_bytes",
        "_held",
        "_outbox",
        "_seen",
        "_settings",
        "_transport",
        "client",
        "close_code",
        "detail",
        "fault_code",
        "heard_at",
    )

    def __init__(self, client: ListenedStream, settings: WorkerSettings) -> None:
        self.client = client
        self.close_code = 0
        self.fault_code = 0
        """The code with which we refused what the agent sent, 0 if we did not."""
        self.detail = ""
        self.heard_at = clock.now()
        self._feed_text = client.session.feed_text
        self._outbox = client.outbox
        self._settings = settings
        self._fragments: list[bytes] = []
        self._fragments_bytes = 0
        self._fragments_are_text = False
        self._transport: WSTransport | None = None
        self._budget = InputBudget(self.heard_at, settings.stream_messages_per_s, settings.stream_messages_burst)
        self._held: deque[_Held] = deque()
        """Messages that were read and must wait; while there are any, nothing is read."""
        self._seen = (0, 0, 0)

    def note_activity(self, now: Instant) -> None:
        """Remember that frames arrived since the last call; called about once per second."""
        seen = (self._budget.renewals, self._budget.left, len(self._held))
        if seen != self._seen:
            self._seen = seen
            self.heard_at = now

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Start the stream."""
        self._transport = transport
        self.client.connected(self, transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Let go of the connection, after what it had brought already."""
        try:
            for _ in range(min(len(self._held), self._settings.stream_messages_burst)):
                held = self._held.popleft()
                if held.kind == WSMsgType.TEXT and held.fin and not self._fragments:
                    self._feed_text(clock.now(), held.payload)
        finally:
            self._held.clear()
            self.client.disconnected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame; every agent message of the call passes here."""
        budget = self._budget
        try:
            kind = frame.msg_type
            must_wait = self._held or (budget.left <= 0 and not budget.renew(clock.now()))
            if must_wait and kind != WSMsgType.CLOSE and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
                self._hold(transport, frame)
                return
            budget.left -= 1 + (frame.payload_size >> SIZE_SHIFT)
            if kind is _TEXT and frame.fin and not self._fragments and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
                message = frame.get_payload_as_bytes()
                if message.isascii():
                    feed_text = self._feed_text
                    code = feed_text(clock.now(), message)
                    if code or self._outbox:
                        self._act_on(code)
                else:
                    self._take_text(message)
            elif frame.rsv1 or frame.rsv2 or frame.rsv3:
                self.client.fail(CLOSE_PROTOCOL_ERROR, "reserved bit set")
            elif kind == WSMsgType.CLOSE:
                # A close without a code gives 0; the enumeration counts as an integer at run time only.
                self.close_code = int(frame.get_close_code()) or CLOSE_NO_STATUS  # type: ignore[call-overload]
                self.detail = self.detail or printable(frame.get_close_reason() or "")
                self.client.agent_closed(transport)
            else:
                self._take_message(_Held(kind, frame.fin, frame.get_payload_as_bytes()))
        except Exception as error:
            # A fault of ours costs this stream; escaping it would cost a traceback per message as well.
            self.client.fail(CLOSE_INTERNAL_ERROR, f"stream failed: {error!r}"[:200])

    def pause_writing(self) -> None:
        """The transport is full; `StreamClient.flush` looks for itself."""

    def resume_writing(self) -> None:
        """The transport has room again."""
        self.client.flush()

    def deafen(self) -> None:
        """Take no further message: the stream is over, its socket is still closing."""
        self._feed_text = _ignore_text
        self._held.clear()

    def _take_text(self, message: bytes) -> None:
        try:
            message.decode()
        except UnicodeDecodeError:
            self.client.fail(CLOSE_INVALID_TEXT, "text is not UTF-8")
        else:
            self._act_on(self._feed_text(clock.now(), message))

    def _act_on(self, code: int) -> None:
        if code:
            self.client.fail(code, f"message closed the stream with {code}")
        else:
            self.client.flush()

    def _hold(self, transport: WSTransport, frame: WSFrame) -> None:
        """Keep a frame for later and read no more until then: the agent's TCP waits."""
        if not self._held:
            transport.underlying_transport.pause_reading()
            self._look_again()
        self._held.append(_Held(frame.msg_type, frame.fin, frame.get_payload_as_bytes()))

    def _look_again(self) -> None:
        asyncio.get_running_loop().call_later(self._budget.wait_s, self._take_held)

    def _take_held(self) -> None:
        """Take what waited, as far as the budget goes; then read on."""
        transport, budget = self._transport, self._budget
        if transport is None or transport.is_disconnected:
            return
        try:
            while self._held and (budget.left > 0 or budget.renew(clock.now())):
                self._take_oldest(transport)
        except Exception as error:
            self.client.fail(CLOSE_INTERNAL_ERROR, f"stream failed: {error!r}"[:200])
        if self._held:
            self._look_again()
        elif not transport.is_disconnected:
            transport.underlying_transport.resume_reading()

    def _take_oldest(self, transport: WSTransport) -> None:
        held = self._held.popleft()
        self._budget.left -= 1 + (len(held.payload) >> SIZE_SHIFT)
        self._take_message(held)

    def _take_message(self, held: _Held) -> None:
        """Take a message, or a part of one."""
        if held.kind == WSMsgType.CONTINUATION:
            if not self._fragments:
                self.client.fail(CLOSE_PROTOCOL_ERROR, "continuation without a start")
            else:
                self._take_fragment(held)
        elif held.kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            if self._fragments:
                self.client.fail(CLOSE_PROTOCOL_ERROR, "new message inside a message")
            elif not held.fin:
                self._fragments_are_text = held.kind == WSMsgType.TEXT
                self._take_fragment(held)
            elif held.kind == WSMsgType.TEXT:
                self._take_text(held.payload)
            else:
                self.client.session.feed_binary(clock.now())

    def _take_fragment(self, held: _Held) -> None:
        self._fragments_bytes += len(held.payload)
        self._fragments.append(held.payload)
        if (
            self._fragments_bytes > self._settings.stream_frame_max_bytes
            or len(self._fragments) > self._settings.stream_fragments_max
        ):
            self._fragments = []
            self.client.fail(CLOSE_TOO_BIG, "message too large")
            return
        if held.fin:
            message = b"".join(self._fragments)
            self._fragments = []
            self._fragments_bytes = 0
            if self._fragments_are_text:
                self._take_text(message)
            else:
                self.client.session.feed_binary(clock.now())


def _ignore_text(now: Instant, message: bytes) -> int:
    return 0
