"""The REST API on a free port, with fakes behind it, and ways to talk to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plivo
import plivo.rest.client as plivo_client

from ringback.accounts.account import Account
from ringback.accounts.store import ensure_account
from ringback.api.app import build_api
from ringback.api.gate import Gate, GateSettings
from ringback.api.listener import HttpListener
from ringback.api.services import ApiSettings, Services
from ringback.numbers.stock import Block, Stock
from ringback.storage.database import Database
from ringback.storage.event_log import EventLog, EventLogSettings
from tests.support.fake_multiparty import FakeMultiparty
from tests.support.fake_ports import (
    FakeCallbacks,
    FakeCalls,
    FakeConferences,
    FakeInCall,
    FakeMetrics,
    FakeReadiness,
    FakeRecordings,
    FakeStreams,
)
from tests.support.openapi_judge import OpenapiJudge
from tests.support.request_log import RequestLog

AUTH_ID = "MATESTTESTTESTTEST01"
OTHER_ID = "MATESTTESTTESTTEST02"
TOKEN = "token-of-the-test-account-0123456789ab"
STOCK = Stock(
    [
        Block(
            *("14158880000", "14158889999", "US"),
            region="California",
            city="San Francisco",
            carrier="acme",
            prefix="415",
            lata="722",
            rate_center="SNFC CNTRL",
        ),
        Block("18558880000", "18558880004", "US", kind="tollfree"),
        Block("493012345600", "493012345609", "DE", region="Berlin", city="Berlin", prefix="30"),
    ]
)
"""Numbers that the server's accounts may take."""
_PATIENCE_S = 60
"""Far above what any answer takes; it is spent only when there is none."""
SDK_HOSTS = (
    "PLIVO_API_BASE_URI",
    "API_VOICE_BASE_URI",
    "API_VOICE_BASE_URI_FALLBACK_1",
    "API_VOICE_BASE_URI_FALLBACK_2",
)


@functools.cache
def migrated_file() -> bytes:
    """Return an empty SQLite database with the current schema; migrating one for each test would take too long."""
    with tempfile.TemporaryDirectory(prefix="ringback-schema-") as folder:

        async def make() -> None:
            await (await Database.open(f"sqlite+aiosqlite:///{folder}/ringback.db")).close()

        # In a thread of its own, because the caller may stand inside a running loop.
        maker = threading.Thread(target=lambda: asyncio.run(make()))
        maker.start()
        maker.join()
        return (Path(folder) / "ringback.db").read_bytes()


@dataclass(frozen=True)
class HttpReply:
    """An HTTP answer; redirects are not followed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


class ApiServer:
    """A running server; its loop turns in a thread of its own, because the official SDK blocks."""

    def __init__(self, settings: ApiSettings, gate: GateSettings | None = None, database_url: str = "") -> None:
        self.calls = FakeCalls()
        self.in_call = FakeInCall(self.calls)
        self.streams = FakeStreams(self.calls)
        self.conferences = FakeConferences()
        self.multiparty = FakeMultiparty()
        self.recordings = FakeRecordings(self.calls)
        self.callbacks = FakeCallbacks()
        self.readiness = FakeReadiness()
        self.database: Database
        self.events: EventLog
        self.gate: Gate
        self._settings = settings
        self._gate_settings = gate
        self._database_url = database_url
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="api-server")
        self._thread.start()
        assert self._started.wait(60), "the server has not started"
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._started.set()
            self._loop.close()

    async def _main(self) -> None:
        with tempfile.TemporaryDirectory(prefix="ringback-api-") as folder:
            await self._serve(Path(folder))

    async def _serve(self, folder: Path) -> None:
        if not self._database_url:
            (folder / "ringback.db").write_bytes(migrated_file())
        self.database = await Database.open(self._database_url or f"sqlite+aiosqlite:///{folder}/ringback.db")
        self.events = EventLog(self.database, EventLogSettings(batch_ms=5))
        self.events.start()
        for auth_id in (AUTH_ID, OTHER_ID):
            await self.database.write(
                lambda session, auth_id=auth_id: ensure_account(session, auth_id, TOKEN, "Test", "Asia/Kolkata")
            )
        services = Services(
            database=self.database,
            calls=self.calls,
            streams=self.streams,
            conferences=self.conferences,
            multiparty=self.multiparty,
            recordings=self.recordings,
            in_call=self.in_call,
            events=self.events,
            callbacks=self.callbacks,
            readiness=self.readiness,
            metrics=FakeMetrics(),
            stock=STOCK,
            settings=self._settings,
        )
        self.app = build_api(services)
        self.judge = OpenapiJudge(self.app, self.app.openapi())
        self.log = RequestLog(self.judge)
        listener = HttpListener(self.log, "127.0.0.1", 0, self._gate_settings)
        self.gate = listener.gate
        await listener.start()
        self.url = f"http://127.0.0.1:{listener.port}"
        self._started.set()
        await self._stop.wait()
        await listener.close()
        await self.events.close()
        await self.database.close()

    def close(self) -> None:
        """Stop the server and wait until everything is released."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive(), "the server has not stopped"
        if self._failure:
            raise self._failure

    def in_loop(self, work: Callable[[], Any]) -> Any:
        """Return the result of the coroutine that `work` makes in the server's loop."""

        async def run() -> Any:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE_S)

    def account(self) -> Account:
        """Return the test account."""
        return Account(AUTH_ID, TOKEN)  # type: ignore[arg-type]  # a literal id

    def client(self, token: str = TOKEN, auth_id: str = AUTH_ID) -> plivo.RestClient:
        """Return the official SDK pointed at this server."""
        for name in SDK_HOSTS:
            setattr(plivo_client, name, f"{self.url}/v1/Account")
        plivo_client.CALLINSIGHTS_BASE_URL = self.url
        return plivo.RestClient(auth_id, token, timeout=_PATIENCE_S)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | object | None = None,
        headers: Mapping[str, str] | None = None,
        credentials: str | None = f"{AUTH_ID}:{TOKEN}",
    ) -> HttpReply:
        """Send one request; a body that is not bytes goes as JSON, `path` may begin at the account."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if credentials is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = self.url + (path if path.startswith("/") else f"/v1/Account/{AUTH_ID}/{path}")
        request = urllib.request.Request(url, data, {k: v for k, v in sent.items() if v}, method=method)
        try:
            with _opener.open(request, timeout=_PATIENCE_S) as reply:
                return HttpReply(reply.status, dict(reply.headers), reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return HttpReply(error.code, dict(error.headers), error.read())


@contextlib.contextmanager
def running(
    settings: ApiSettings | None = None, gate: GateSettings | None = None, database_url: str = ""
) -> Iterator[ApiServer]:
    """Yield a running server; its database is a fresh SQLite file unless `database_url` names another."""
    settings = settings or ApiSettings(requests_per_window=0, auth_failures_per_minute=0, version="1.2.3")
    server = ApiServer(settings, gate, database_url)
    hosts = {name: getattr(plivo_client, name) for name in (*SDK_HOSTS, "CALLINSIGHTS_BASE_URL")}
    try:
        yield server
    finally:
        server.close()
        # The SDK keeps its hosts in globals, which `client` redirects: the next test must find them as they were.
        for name, host in hosts.items():
            setattr(plivo_client, name, host)
    # After the end, because an answer is judged when it is on its way.
    assert not server.judge.faults, "\n".join(server.judge.faults[:5])
