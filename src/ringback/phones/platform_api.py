"""The platform's HTTP API as phones and the command line use it: plain requests, JSON, the event log of a call.

Blocking: shells with a loop call it in a thread.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ringback.errors import EgressError

_REPLY_MAX_BYTES = 16 * 1_048_576


class PlatformUnreachable(EgressError):
    """Nothing answers at the platform's address."""

    default_code = "platform-unreachable"


class PlatformRefused(EgressError):
    """The platform answered with an error; `status` says which."""

    default_code = "platform-refused"

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, status=status)
        self.status = status


@dataclass(frozen=True, slots=True)
class PlatformApi:
    """One account on one platform. Every method raises `PlatformUnreachable` or `PlatformRefused` on failure."""

    url: str
    auth_id: str
    auth_token: str

    def account(self, path: str, **query: object) -> Any:
        """Return the JSON of `GET /v1/Account/{auth_id}/{path}`."""
        return json.loads(self._fetch(f"/v1/Account/{self.auth_id}/{path}", query, timeout_s=10))

    def events(self, call_uuid: str, after: int = 0, wait_ms: int = 0) -> list[dict[str, Any]]:
        """Return facts of a call with ids above `after`; waits up to `wait_ms` for the first of them."""
        path = f"/ringback/v1/calls/{quote(call_uuid, safe='')}/events"
        body = self._fetch(path, {"after": after, "wait_ms": wait_ms}, timeout_s=10 + wait_ms / 1000)
        return [json.loads(line) for line in body.splitlines() if line.strip()]

    def webhooks(self, call_uuid: str = "", state: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Return callbacks in the outbox, newest first, of one call or in one state if named."""
        query: dict[str, object] = {"limit": limit}
        query |= {name: value for name, value in (("call_uuid", call_uuid), ("state", state)) if value}
        return list(json.loads(self._fetch("/ringback/v1/webhooks", query, timeout_s=10))["objects"])

    def webhook(self, event_id: str) -> dict[str, Any]:
        """Return one callback of the outbox."""
        return dict(json.loads(self._fetch(f"/ringback/v1/webhooks/{quote(event_id, safe='')}", {}, timeout_s=10)))

    def replay_webhook(self, event_id: str) -> str:
        """Send a callback again; returns what the server says."""
        path = f"/ringback/v1/webhooks/{quote(event_id, safe='')}/replay"
        return str(json.loads(self._fetch(path, {}, timeout_s=10, method="POST"))["message"])

    def _fetch(self, path: str, query: dict[str, object], timeout_s: float, method: str = "GET") -> bytes:
        target = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        credentials = base64.b64encode(f"{self.auth_id}:{self.auth_token}".encode()).decode()
        try:
            request = urllib.request.Request(target, headers={"Authorization": f"Basic {credentials}"}, method=method)
            # Proxies of the environment are for the outside; the platform is addressed as it is written.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=timeout_s) as reply:
                return bytes(reply.read(_REPLY_MAX_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read(2_000).decode("utf-8", "replace").strip()
            raise PlatformRefused(f"HTTP {error.code}: {detail[:200]}", status=error.code) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise PlatformUnreachable(f"{self.url}: {reason}") from None
