"""The rooms of a worker: who is in which, and what they ask of legs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringback.ids import CommandId
from ringback.media.control.commands import JoinRoom, LeaveRoom, SetMember
from ringback.media.control.events import AnyEvent, FloorChanged, RoomJoined, RoomLeft, SpeakingChanged
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RejectCode, RoomEnd
from ringback.media.place import PlaceWithSide
from ringback.media.room import Member, Room
from ringback.media.worker.leg import Leg
from ringback.media.worker.refusal import Refusal
from ringback.media.worker.relay import RelayHub

_ROOM_ID_MAX = 128
_NO_CAUSE = CommandId("")


@dataclass(slots=True)
class _Place:
    """Where a leg is."""

    room: Room
    member: Member
    side_room: Room | None = None
    side: Member | None = None


class Rooms:
    """All rooms that have a member here.

    State: `execute` for commands of open legs, `close` before a leg is closed.
    """

    def __init__(self, settings: WorkerSettings, report: Callable[[AnyEvent], None], relays: RelayHub) -> None:
        self._settings = settings
        self._relays = relays
        self._report = report
        self._rooms: dict[str, Room] = {}
        self._places: dict[Leg, _Place] = {}

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
                if place is not None and place.room.room_id == command.room_id:
                    self._leave(leg, RoomEnd.LEFT, command.command_id)
                return None

    def close(self, leg: Leg) -> None:
        """Take a leg that is being closed out of its room."""
        if leg in self._places:
            self._leave(leg, RoomEnd.CLOSED, _NO_CAUSE)

    def _join(self, leg: Leg, command: JoinRoom) -> Refusal | None:
        wanted = [command.room_id, *([command.side_room_id] if command.side_room_id else [])]
        if not all(0 < len(room_id) <= _ROOM_ID_MAX for room_id in wanted) or command.side_room_id == command.room_id:
            return Refusal(
                RejectCode.INVALID, found="room id", allowed=f"1 to {_ROOM_ID_MAX} characters, all different"
            )
        place = self._places.get(leg)
        if place is not None:
            return Refusal(RejectCode.DUPLICATE, found=f"in room {place.room.room_id}", allowed="LeaveRoom first")
        for room_id in wanted:
            members = len(self._rooms.get(room_id, ()))
            if members >= self._settings.room_members_max:
                return Refusal(
                    RejectCode.LIMIT, found=f"{members} members", allowed=str(self._settings.room_members_max)
                )
        room = self._room(command.room_id)
        member = room.join(
            leg.session_id,
            leg.law,
            is_muted=command.is_muted,
            is_deaf=command.is_deaf,
            relays_digits=command.relays_digits,
            watches_floor=command.watches_floor,
        )
        member.on_digit = leg.pass_digit
        self._places[leg] = place = _Place(room, member)
        if command.side_room_id:
            place.side_room = self._room(command.side_room_id)
            place.side = place.side_room.join(
                leg.session_id, leg.law, is_muted=command.is_side_muted, is_deaf=command.is_deaf
            )
            leg.join_room(PlaceWithSide(member, place.side, leg.law))
        else:
            leg.join_room(member)
        if command.reports_speech:
            self._watch_speech(leg, place)
        self._report(RoomJoined(session_id=leg.session_id, room_id=room.room_id, caused_by=command.command_id))
        return None

    def _watch_speech(self, leg: Leg, place: _Place) -> None:
        """Report when the leg speaks; one that coaches is muted in the room and speaks in the side room."""
        speaking: set[str] = set()

        def hear(where: str) -> Callable[[bool], None]:
            def told(is_speaking: bool) -> None:
                was_speaking = bool(speaking)
                (speaking.add if is_speaking else speaking.discard)(where)
                if bool(speaking) is not was_speaking:
                    self._report(
                        SpeakingChanged(
                            session_id=leg.session_id, room_id=place.room.room_id, is_speaking=bool(speaking)
                        )
                    )

            return told

        place.member.on_speech = hear("room")
        if place.side is not None:
            place.side.on_speech = hear("side")

    def _room(self, room_id: str) -> Room:
        room = self._rooms.get(room_id)
        if room is None:
            room = self._rooms[room_id] = Room(room_id)
            room.on_floor = lambda key: self._floor_taken(room_id, key)
            self._relays.room_opened(room)
        return room

    def _set(self, leg: Leg, command: SetMember) -> Refusal | None:
        place = self._places.get(leg)
        if place is None or place.room.room_id != command.room_id:
            return Refusal(
                RejectCode.INVALID, found=f"not in room {command.room_id[:_ROOM_ID_MAX]}", allowed="JoinRoom"
            )
        place.member.voice.mute(command.is_muted)
        place.member.is_deaf = command.is_deaf
        if place.side is not None:
            place.side.voice.mute(command.is_side_muted)
            place.side.is_deaf = command.is_deaf
        return None

    def _leave(self, leg: Leg, reason: RoomEnd, caused_by: CommandId) -> None:
        place = self._places.pop(leg)
        leg.join_room(None)
        self._part(place.room, place.member)
        if place.side_room is not None and place.side is not None:
            self._part(place.side_room, place.side)
        room_id = place.room.room_id
        self._report(RoomLeft(session_id=leg.session_id, room_id=room_id, reason=reason, caused_by=caused_by))

    def _part(self, room: Room, member: Member) -> None:
        room.leave(member)
        if not len(room):
            del self._rooms[room.room_id]
            self._relays.room_closed(room)

    def _floor_taken(self, room_id: str, key: str) -> None:
        for leg, place in self._places.items():
            if place.member.key == key and place.room.room_id == room_id:
                self._report(FloorChanged(session_id=leg.session_id, room_id=room_id))
                return
