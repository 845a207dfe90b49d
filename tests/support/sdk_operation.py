"""What one call through the official SDKs is, and a server that holds something of everything for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ringback.calls.views import LiveStatus
from ringback.recordings.views import TextState, Transcript
from tests.support.api_server import AUTH_ID, ApiServer

URL = "https://h.example.com/x"
ROOM = "My Room"
MPC = "My MPC"
Values = Mapping[str, Any]


class World:
    """A server in which there is something of everything; each method brings forth a new one."""

    _count = itertools.count(1)
    """Numbers and names are unique on a server, whichever world they are of."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api

    def call(self, status: LiveStatus = LiveStatus.IN_PROGRESS) -> str:
        """Return a live call that is bridged with another one."""
        call_uuid = self.api.calls.add(status=status)
        self.api.calls.owners[call_uuid] = AUTH_ID
        self.api.calls.bridged.add(call_uuid)  # type: ignore[arg-type]  # an id all the same
        return call_uuid

    def ringing(self) -> str:
        """Return a call that has not been answered."""
        return self.call(LiveStatus.RINGING)

    def queued(self) -> str:
        """Return a call that waits for its turn."""
        return self.call(LiveStatus.QUEUED)

    def ended(self) -> str:
        """Return a call that has its record."""
        return self._in_call(self.call(), "DELETE", "")

    def streaming(self) -> dict[str, str]:
        """Return a call with a stream."""
        call_uuid = self.call()
        reply = self._asked("POST", f"Call/{call_uuid}/Stream/", {"service_url": "wss://h.example/"})
        return {"call_uuid": call_uuid, "stream_id": reply["stream_id"]}

    def recording(self) -> str:
        """Return a recording that can be had."""
        return str(self.api.recordings.add().recording_id)

    def transcript(self) -> str:
        """Return a recording that has been transcribed."""
        view = self.api.recordings.add()
        self.api.recordings.transcripts[view.recording_id] = Transcript(view, TextState.SUCCESS, "hello")
        return str(view.recording_id)

    def room(self) -> str:
        """Return a conference with the members 17 and 18."""
        self.api.conferences.add(ROOM, "17", "18")
        return ROOM

    def party(self) -> str:
        """Return a multiparty call with the participants 48 and 49."""
        self.api.multiparty.add_live(MPC, "48", "49")
        return MPC

    def application(self, owner: str = AUTH_ID) -> str:
        """Return an application."""
        body = {"app_name": f"app {self._next()}", "subaccount": owner}
        return str(self._asked("POST", "Application/", body)["app_id"])

    def with_subaccount(self) -> dict[str, str]:
        """Return a subaccount and an application of its own."""
        subaccount = self.subaccount()
        return {"subaccount": subaccount, "app_id": self.application(subaccount)}

    def number(self) -> str:
        """Return a number of the account."""
        number = self.new_number()
        self._asked("POST", "Number/", {"numbers": number})
        return number

    def new_number(self) -> str:
        """Return a number that nobody has."""
        return f"1415555{self._next():04d}"

    def free_number(self) -> str:
        """Return a number of the stock that nobody has."""
        return f"1415888{self._next():04d}"

    def endpoint(self) -> str:
        """Return an endpoint."""
        body = {"username": "alice", "password": "password", "alias": "Alice"}
        return str(self._asked("POST", "Endpoint/", body)["endpoint_id"])

    def subaccount(self) -> str:
        """Return a subaccount."""
        body = {"name": f"customer {self._next()}", "enabled": True}
        return str(self._asked("POST", "Subaccount/", body)["auth_id"])

    def _next(self) -> int:
        return next(World._count)

    def _in_call(self, call_uuid: str, method: str, action: str) -> str:
        self.api.request(method, f"Call/{call_uuid}/{action}")
        return call_uuid

    def _asked(self, method: str, path: str, body: object) -> dict[str, Any]:
        reply = self.api.request(method, path, body)
        assert reply.status < 300, reply
        found: dict[str, Any] = reply.json
        return found


@dataclass(frozen=True)
class Operation:
    """One thing that both SDKs can do."""

    python: str
    """`resource.method` of the Python client."""
    node: str
    """`resource.method` of the Node client; empty: it has none, and `why` says so."""
    values: Callable[[World], Values]
    """Arguments by their names in Python: every one that the method has."""
    positional: tuple[str, ...] = ()
    """Arguments that Node takes by position; the others go into an object in camel case."""
    status: int = 202
    """Of the answer."""
    gives: Values | None = None
    """Fields of the answer, as the wire spells them."""
    why: str = ""
    node_options: Values | None = None
    """Options that Node wants besides; `None` as a value leaves one out that its checks refuse whatever it is."""

    def __str__(self) -> str:
        return self.python


def fixed(**values: Any) -> Callable[[World], Values]:
    """Return arguments that are the same on every server."""
    return lambda _world: values


def of_call(**values: Any) -> Callable[[World], Values]:
    """Return arguments with the id of a live call."""
    return lambda world: {"call_uuid": world.call(), **values}


def of_room(**values: Any) -> Callable[[World], Values]:
    """Return arguments with the name of a conference that has members."""
    return lambda world: {"conference_name": world.room(), **values}


def of_member(**values: Any) -> Callable[[World], Values]:
    """Return arguments with a conference and one of its members."""
    return of_room(member_id="17", **values)


def by_name(**values: Any) -> Callable[[World], Values]:
    """Return arguments with the name of a multiparty call."""
    return lambda world: {"friendly_name": world.party(), **values}


PAGE = {"limit": 5, "offset": 1}
