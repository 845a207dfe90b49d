"""Rooms across workers: each worker sends the others the sum of its own members, 20 ms at a time.

Inbound calls are placed before anyone knows that they will meet, so members of one room may live in different workers.
Moving a leg would break its streams and recordings; sums need one frame per room and pair of workers, whatever the
number of members, and leave self-exclusion where it is: nobody's own voice is in what comes from elsewhere.

Workers find each other by their sockets in the runtime folder, without the server: a room goes on when it dies. A
worker that dies falls silent within a frame and is forgotten after 1.5 s. Audio from elsewhere is up to one frame
later than that of the same worker. Frames of a slot leave in one datagram per worker, because the kernel queues as few
as ten.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from ringback import clock
from ringback.errors import ConfigError
from ringback.machine import MS, Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.relay_messages import (
    BATCH_MAX,
    DATAGRAM_MAX_BYTES,
    ROOMS_PER_HERE,
    Digit,
    Frame,
    Gone,
    Here,
    Message,
    decode,
    encode,
)
from ringback.media.room import Member, Room
from ringback.media.worker.pacer import Paced
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

SUFFIX = ".relay"
_OUT = "relay:out"
_HERE_S = 1.0
_SILENT_NS = 1_500 * MS
"""A worker that has not sent a frame for so long is no longer in a room."""
_DATAGRAMS_PER_WAKE = 128
_PEERS_MAX = 256


class RelayedRoom:
    """A room that has members on other workers too: its ears for them, and their voices here."""

    def __init__(self, hub: RelayHub, room: Room) -> None:
        self.room = room
        self._hub = hub
        self._voices: dict[str, tuple[Member, Instant]] = {}
        self._ears = room.join(_OUT, PCMU, is_relay=True, has_voice=False)
        self._ears.on_digit = self._pass_digit

    @property
    def workers(self) -> tuple[str, ...]:
        """Return the other workers that have members."""
        return tuple(self._voices)

    def add(self, worker: str, now: Instant) -> None:
        """Send to a worker, and hear it."""
        if worker not in self._voices:
            voice = self.room.join(f"relay:{worker}", PCMU, is_relay=True, has_ears=False)
            self._voices[worker] = (voice, now)

    def remove(self, worker: str) -> None:
        """Forget a worker."""
        found = self._voices.pop(worker, None)
        if found is not None:
            self.room.leave(found[0])

    def remove_silent(self, now: Instant) -> None:
        """Forget workers that have fallen silent."""
        for worker, (_, heard_at) in tuple(self._voices.items()):
            if now - heard_at > _SILENT_NS:
                self.remove(worker)

    def close(self) -> None:
        """Take ears and voices out of the room."""
        for worker in self.workers:
            self.remove(worker)
        self.room.leave(self._ears)

    def take(self, now: Instant, frame: Frame) -> None:
        """Take a frame of a worker."""
        self.add(frame.worker, now)
        voice, _ = self._voices[frame.worker]
        self._voices[frame.worker] = (voice, now)
        voice.push_pcm(frame.pcm, frame.level)
        if voice.watches_floor is not frame.watches_floor:
            voice.watches_floor = frame.watches_floor
            self.room.arrange()

    def take_digit(self, message: Digit) -> None:
        """Pass on a key that was pressed elsewhere."""
        found = self._voices.get(message.worker)
        if found is not None:
            self.room.pass_digit(found[0], message.digit)

    def tick(self, now: Instant) -> None:
        """Make this slot's frame for the other workers; called by the pacer, never raises."""
        try:
            self._tell()
        except Exception as error:
            self._hub.relay_failed(self, error)

    def _tell(self) -> None:
        pcm = self._ears.hear() or b""
        room = self.room
        level, watches = 0, False
        if room.judges_floor:
            own = [member for member in room.members if not member.is_relay]
            level = int(max((member.voice.level for member in own), default=0.0))
            watches = any(member.watches_floor for member in own)
        frame = Frame(self._hub.worker_id, room.room_id, pcm, level, watches)
        for worker in self._voices:
            self._hub.post(worker, frame)

    def send(self) -> None:
        """Let the frames of this slot leave; called by the pacer."""
        self._hub.flush()

    def _pass_digit(self, digit: str) -> None:
        for worker in self._voices:
            self._hub.post(worker, Digit(self._hub.worker_id, self.room.room_id, digit))
        self._hub.flush()


class RelayHub:
    """The worker's socket to the others.

    State: rooms are told by `room_opened` and `room_closed`; `close` removes the socket. Without a folder it knows
    nobody.
    """

    def __init__(
        self, folder: Path | None, worker_id: str, add: Callable[[Paced], None], remove: Callable[[Paced], None]
    ) -> None:
        self.worker_id = worker_id
        self._add = add
        self._remove = remove
        self._rooms: dict[str, Room] = {}
        self._relayed: dict[str, RelayedRoom] = {}
        self._outbox: dict[str, list[Message]] = {}
        self._folder = -1
        self._inode = 0
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        if folder is not None:
            self._listen(folder)

    def room_opened(self, room: Room) -> None:
        """Find out who else has members of a new room."""
        self._rooms[room.room_id] = room
        for worker in self._peers():
            self.post(worker, Here(self.worker_id, (room.room_id,), wants_answer=True))
        self.flush()
        if self._timer is None and self._socket is not None:
            self._timer = asyncio.get_running_loop().call_later(_HERE_S, self._look_after)

    def room_closed(self, room: Room) -> None:
        """Tell the others that nobody is left here."""
        self._rooms.pop(room.room_id, None)
        relayed = self._relayed.get(room.room_id)
        if relayed is not None:
            for worker in relayed.workers:
                self.post(worker, Gone(self.worker_id, room.room_id))
            self._end(relayed)
        self.flush()

    def post(self, worker: str, message: Message) -> None:
        """Queue a message until `flush`."""
        self._outbox.setdefault(worker, []).append(message)

    def flush(self) -> None:
        """Send what is queued; what a full or missing socket does not take is lost."""
        if not self._outbox:
            return
        outbox, self._outbox = self._outbox, {}
        if self._socket is None:
            return
        for worker, messages in outbox.items():
            path = self._path(worker)
            for at in range(0, len(messages), BATCH_MAX):
                try:
                    self._socket.sendto(encode(messages[at : at + BATCH_MAX]), path)
                except OSError:
                    # Nobody listens there (any more), or it does not keep up: it is forgotten when it stays silent.
                    break

    def relay_failed(self, relayed: RelayedRoom, error: Exception) -> None:
        """Relay a room no more over a broken promise of ours; its members here go on. The next `Here` tries again."""
        _log.error("relay failed", room_id=relayed.room.room_id, exc_info=error)
        if self._relayed.get(relayed.room.room_id) is relayed:
            self._end(relayed)

    def close(self) -> None:
        """Leave every room and remove the socket; idempotent."""
        for relayed in tuple(self._relayed.values()):
            self.room_closed(relayed.room)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._unlink()
            os.close(self._folder)

    def _listen(self, folder: Path) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            # The kernel takes at most 107 bytes of path; a descriptor of the folder stands in for any length.
            self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY)
            # The socket of an earlier worker of this name goes.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(self.worker_id))
            sock.bind(self._path(self.worker_id))
            self._inode = os.stat(self._path(self.worker_id)).st_ino
        except OSError as error:
            sock.close()
            raise ConfigError(f"cannot listen in {folder}: {error.strerror}") from error
        finally:
            os.umask(mask)
        self._socket = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._read)

    def _path(self, worker: str) -> str:
        return f"/proc/self/fd/{self._folder}/{worker}{SUFFIX}"

    def _unlink(self) -> None:
        """Remove our socket, not that of a successor of the same name."""
        with contextlib.suppress(OSError):
            if os.stat(self._path(self.worker_id)).st_ino == self._inode:
                os.unlink(self._path(self.worker_id))

    def _peers(self) -> list[str]:
        if self._socket is None:
            return []
        try:
            files = os.listdir(f"/proc/self/fd/{self._folder}")
        except OSError:
            # The folder is gone: nobody can be found any more, and the rooms go on with whom they know.
            return []
        names = (name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX))
        return [name for name in names if name != self.worker_id][:_PEERS_MAX]

    def _look_after(self) -> None:
        """Tell everyone which rooms are here, and forget who is silent; once per second while there are rooms."""
        self._timer = None
        if not self._rooms:
            return
        self._timer = asyncio.get_running_loop().call_later(_HERE_S, self._look_after)
        room_ids = tuple(self._rooms)
        for worker in self._peers():
            for at in range(0, len(room_ids), ROOMS_PER_HERE):
                self.post(worker, Here(self.worker_id, room_ids[at : at + ROOMS_PER_HERE]))
                # One by one: several would not fit into a datagram.
                self.flush()
        now = clock.now()
        for relayed in tuple(self._relayed.values()):
            relayed.remove_silent(now)
            if not relayed.workers:
                self._end(relayed)

    def _read(self) -> None:
        for _ in range(_DATAGRAMS_PER_WAKE):
            if self._socket is None:
                return
            try:
                data = self._socket.recv(DATAGRAM_MAX_BYTES)
            except OSError:
                break
            now = clock.now()
            for message in decode(data):
                if message.worker != self.worker_id:
                    self._take(now, message)
        self.flush()

    def _take(self, now: Instant, message: Message) -> None:
        match message:
            case Here(worker, room_ids, wants_answer):
                shared = tuple(room_id for room_id in room_ids if room_id in self._rooms)
                for room_id in shared:
                    self._relay(room_id).add(worker, now)
                if shared and wants_answer:
                    self.post(worker, Here(self.worker_id, shared))
            case Gone(worker, room_id):
                relayed = self._relayed.get(room_id)
                if relayed is not None:
                    relayed.remove(worker)
                    if not relayed.workers:
                        self._end(relayed)
            case Frame():
                if message.room_id in self._rooms:
                    self._relay(message.room_id).take(now, message)
            case Digit():
                relayed = self._relayed.get(message.room_id)
                if relayed is not None:
                    relayed.take_digit(message)

    def _relay(self, room_id: str) -> RelayedRoom:
        relayed = self._relayed.get(room_id)
        if relayed is None:
            relayed = self._relayed[room_id] = RelayedRoom(self, self._rooms[room_id])
            self._add(relayed)
        return relayed

    def _end(self, relayed: RelayedRoom) -> None:
        self._remove(relayed)
        del self._relayed[relayed.room.room_id]
        relayed.close()
