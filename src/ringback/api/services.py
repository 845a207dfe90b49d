"""What the REST layer is built with, and how a request reaches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from ringback.api.limits import FailureLimit, RequestLimit
from ringback.api.methods import KnownMethods
from ringback.api.ports import (
    CallbacksPort,
    CallsPort,
    ConferencesPort,
    EventsPort,
    InCallPort,
    MetricsPort,
    MultipartyPort,
    ReadinessPort,
    RecordingsPort,
    StreamsPort,
)
from ringback.api.replies import AsyncReplies
from ringback.billing.rating import RateTable
from ringback.numbers.stock import Stock
from ringback.storage.database import Database


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Bounds and names of the REST layer."""

    requests_per_window: int = 300
    """Requests of one account in one window; 0 is no bound."""
    window_ms: int = 5_000
    auth_failures_per_minute: int = 10
    """Failed logins of one source before it is answered 429; 0 is no bound."""
    body_max_bytes: int = 1_048_576
    events_wait_max_ms: int = 25_000
    events_page_max: int = 1_000
    async_replies_max: int = 1_000
    """Asynchronous requests that may be under way."""
    recordings_need_credentials: bool = False
    """Whether a recording's file is given to its own account only."""
    sip_domain: str = "localhost"
    """Domain of an application's `sip_uri`."""
    operator_id: str = ""
    """The account of the settings, which may read why calls were refused that are no account's."""
    version: str = "0"
    rates: RateTable = field(default_factory=RateTable)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that requests need; made once by the composition root."""

    database: Database
    calls: CallsPort
    streams: StreamsPort
    conferences: ConferencesPort
    multiparty: MultipartyPort
    recordings: RecordingsPort
    in_call: InCallPort
    events: EventsPort
    callbacks: CallbacksPort
    readiness: ReadinessPort
    metrics: MetricsPort
    stock: Stock = field(default_factory=Stock)
    """Numbers that accounts may take."""
    settings: ApiSettings = field(default_factory=ApiSettings)


@dataclass(frozen=True, slots=True)
class Context:
    """One application's services and counters, kept for its life."""

    services: Services
    request_limit: RequestLimit
    failure_limit: FailureLimit
    replies: AsyncReplies
    methods: KnownMethods


def context_of(request: Request) -> Context:
    """Return what `build_api` put into the application."""
    context: Context = request.app.state.context
    return context


def services_of(request: Request) -> Services:
    """Return the services of the request's application."""
    return context_of(request).services


ServicesOf = Annotated[Services, Depends(services_of)]
"""Parameter type of a handler that uses services."""
