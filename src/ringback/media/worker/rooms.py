"""The rooms of a worker: who is in which, and what they ask of legs."""

from __future__ import annotations

from collections.abc import Callable

from ringback.ids import CommandId
from ringback.media.control.commands import JoinRoom, LeaveRoom, SetMember
from ringback.media.control.events import AnyEvent, FloorChanged, RoomJoined, RoomLeft
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RejectCode, RoomEnd
from ringback.media.room import Member, Room
from ringback.media.worker.leg import Leg
from ringback.media.worker.refusal import Refusal
from ringback.media.worker.relay import RelayHub

_ROOM_ID_MAX = 128
_NO_CAUSE = CommandId("")


class Rooms:
    """All rooms that have a member here.

    State: `execute` for commands of open legs, `close` before a leg is closed.
    """

    def __init__(self, settings: WorkerSettings, report: Callable[[AnyEvent], None], relays: RelayHub) -> None:
        self._settings = settings
        self._relays = relays
        self._report = report
        self._rooms: dict[str, Room] = {}
        self._places: dict[Leg, tuple[Room, Member]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def execute(self, leg: Leg, command: JoinRoom | SetMember | LeaveRoom) -> Refusal | None:
        """Carry out a command; returns why not."""
        match command:
            case JoinRoom():
                return self._join(leg, command)
            case SetMember():
                return self._set(leg, command)
            case LeaveRoom():
                place = self._places.get(leg)
                if place is not None and place[0].room_id == command.room_id:
                    self._leave(leg, RoomEnd.LEFT, command.command_id)
                return None

    def close(self, leg: Leg) -> None:
        """Take a leg that is being closed out of its room."""
        if leg in self._places:
            self._leave(leg, RoomEnd.CLOSED, _NO_CAUSE)

    def _join(self, leg: Leg, command: JoinRoom) -> Refusal | None:
        if not 0 < len(command.room_id) <= _ROOM_ID_MAX:
            return Refusal(RejectCode.INVALID, found="room id", allowed=f"1 to {_ROOM_ID_MAX} characters")
        place = self._places.get(leg)
        if place is not None:
            return Refusal(RejectCode.DUPLICATE, found=f"in room {place[0].room_id}", allowed="LeaveRoom first")
        room = self._rooms.get(command.room_id)
        if room is not None and len(room) >= self._settings.room_members_max:
            return Refusal(RejectCode.LIMIT, found=f"{len(room)} members", allowed=str(self._settings.room_members_max))
        if room is None:
            room = self._rooms[command.room_id] = Room(command.room_id)
            room.on_floor = lambda key: self._floor_taken(command.room_id, key)
            self._relays.room_opened(room)
        member = room.join(
            leg.session_id,
            leg.law,
            is_muted=command.is_muted,
            is_deaf=command.is_deaf,
            relays_digits=command.relays_digits,
            watches_floor=command.watches_floor,
        )
        member.on_digit = leg.pass_digit
        self._places[leg] = (room, member)
        leg.join_room(member)
        self._report(RoomJoined(session_id=leg.session_id, room_id=room.room_id, caused_by=command.command_id))
        return None

    def _set(self, leg: Leg, command: SetMember) -> Refusal | None:
        place = self._places.get(leg)
        if place is None or place[0].room_id != command.room_id:
            return Refusal(
                RejectCode.INVALID, found=f"not in room {command.room_id[:_ROOM_ID_MAX]}", allowed="JoinRoom"
            )
        member = place[1]
        member.voice.mute(command.is_muted)
        member.is_deaf = command.is_deaf
        return None

    def _leave(self, leg: Leg, reason: RoomEnd, caused_by: CommandId) -> None:
        room, member = self._places.pop(leg)
        leg.join_room(None)
        room.leave(member)
        if not len(room):
            del self._rooms[room.room_id]
            self._relays.room_closed(room)
        self._report(RoomLeft(session_id=leg.session_id, room_id=room.room_id, reason=reason, caused_by=caused_by))

    def _floor_taken(self, room_id: str, key: str) -> None:
        for leg, (room, member) in self._places.items():
            if member.key == key and room.room_id == room_id:
                self._report(FloorChanged(session_id=leg.session_id, room_id=room_id))
                return
