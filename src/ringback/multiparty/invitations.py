"""Calls that the API adds: each runs a document of ours, found at a URL that no customer's server has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ringback import ids
from ringback.calls.hangup import Code
from ringback.ids import CallUuid
from ringback.webhooks.fetcher import Callback, FetchedDocument, UnreachableUrl

SCHEME = "ringback-mpc:"
INVITATIONS_MAX = 10_000
"""More than calls can ring and wait; the oldest is forgotten for the next one."""


class DocumentSource(Protocol):
    """Fetches documents; `webhooks.fetcher.WebhookFetcher` is one."""

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        """Return the document, or raise `UnreachableUrl` or `UnusableReply`."""


@dataclass(frozen=True, slots=True)
class _Invitation:
    body: bytes
    on_taken: Callable[[CallUuid], None]


class Invitations:
    """Documents that wait for a call; a `DocumentSource` that asks the customer for all others.

    State: an invitation is taken once, by the first call that asks for it. They do not outlive the process: a queued
    call of an earlier server ends with 7011.
    """

    def __init__(self, origin: DocumentSource) -> None:
        self._origin = origin
        self._waiting: dict[str, _Invitation] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, body: bytes, on_taken: Callable[[CallUuid], None]) -> str:
        """Return the URL of a document; `on_taken` is called with the call that takes it."""
        while len(self._waiting) >= INVITATIONS_MAX:
            del self._waiting[next(iter(self._waiting))]
        url = f"{SCHEME}{ids.new_uuid()}"
        self._waiting[url] = _Invitation(body, on_taken)
        return url

    def withdraw(self, url: str) -> None:
        """Forget an invitation; does nothing when it was taken."""
        self._waiting.pop(url, None)

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        """Return the document of an invitation, or what the customer's URL answers.

        Raises:
            UnreachableUrl: the invitation was taken or withdrawn, or the URL cannot be fetched.
        """
        if not callback.url.startswith(SCHEME):
            return await self._origin.fetch(callback, fallback)
        invitation = self._waiting.pop(callback.url, None)
        if invitation is None:
            raise UnreachableUrl("another call has become this participant", cause_code=Code.ANSWER_URL)
        invitation.on_taken(CallUuid(callback.call_uuid))
        return FetchedDocument(200, "application/xml", invitation.body, callback.url, 0, callback.kind)
