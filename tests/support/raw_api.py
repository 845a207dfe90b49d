"""The REST API as plain requests: what no SDK would send, and answers as they stood on the wire."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ringback.testing.platform import Platform
from tests.support.openapi_judge import document_of

Body = Mapping[str, object] | bytes | None


@dataclass(frozen=True)
class RawReply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass(frozen=True)
class RawApi:
    """An account of a platform; every answer is checked to be documented, and neither a redirect nor a 5xx."""

    platform: Platform

    async def __call__(self, method: str, path: str, body: Body = None, **headers: str) -> RawReply:
        """Send one request; `path` stands below the account unless it begins with `/`; `_` in header names is `-`."""
        reply = await asyncio.to_thread(self._send, method, path, body, headers)
        assert not 300 <= reply.status < 400, f"{method} {path} was answered with a redirect: {reply}"
        assert reply.status < 500, f"{method} {path} was answered with {reply}"
        whole = path if path.startswith("/") else f"/v1/Account/{self.platform.auth_id}/{path}"
        content_type = reply.headers.get("content-type", "")
        documented = await asyncio.to_thread(document_of, self.platform.url)
        fault = documented.fault(method, urlsplit(whole).path, reply.status, content_type, reply.body)
        assert not fault, f"{method} {path} was answered {reply.status}: {fault}"
        return reply

    async def make_call(self, **parameters: object) -> str:
        """Make a call that must be accepted; return its id."""
        reply = await self("POST", "Call/", {"from": "15550001111", **parameters})
        assert reply.status == 201, reply
        return str(reply.json["request_uuid"])

    async def wire(self, number: str, **application: object) -> None:
        """Wire a number to a new application with these fields."""
        made = await self("POST", "Application/", {"app_name": f"app-{number}", **application})
        assert made.status == 201, made
        added = await self("POST", "Number/", {"numbers": number, "carrier": "test", "app_id": made.json["app_id"]})
        assert added.status == 202, added

    def _send(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> RawReply:
        if not path.startswith("/"):
            path = f"/v1/Account/{self.platform.auth_id}/{path}"
        login = f"{self.platform.auth_id}:{self.platform.auth_token}"
        fields = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            fields["Content-Type"] = "application/json"
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(urlsplit(self.platform.url).netloc, timeout=20)
        try:
            connection.request(method, path, data, {name: value for name, value in fields.items() if value})
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return RawReply(reply.status, found, reply.read())
        finally:
            connection.close()
