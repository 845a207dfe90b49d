"""The documents of calls that the API adds, found at URLs that no customer's server has."""

from __future__ import annotations

from typing import Protocol

from ringback import ids
from ringback.calls.hangup import Code
from ringback.webhooks.fetcher import Callback, FetchedDocument, UnreachableUrl

SCHEME = "ringback-mpc:"
INVITATIONS_MAX = 10_000
"""More than requests can ring at once; the oldest is forgotten for the next one."""


class DocumentSource(Protocol):
    """Fetches documents; `webhooks.fetcher.WebhookFetcher` is one."""

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        """Return the document, or raise `UnreachableUrl` or `UnusableReply`."""


class Invitations:
    """Documents that wait for calls; a `DocumentSource` that asks the customer for all others.

    State: an invitation stands until it is withdrawn. They do not outlive the process: a queued call of an earlier
    server ends with 7011.
    """

    def __init__(self, origin: DocumentSource) -> None:
        self._origin = origin
        self._bodies: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, body: bytes) -> str:
        """Return the URL of a document."""
        while len(self._bodies) >= INVITATIONS_MAX:
            del self._bodies[next(iter(self._bodies))]
        url = f"{SCHEME}{ids.new_uuid()}"
        self._bodies[url] = body
        return url

    def withdraw(self, url: str) -> None:
        """Forget an invitation; repeating it is harmless."""
        self._bodies.pop(url, None)

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        """Return the document of an invitation, or what the customer's URL answers.

        Raises:
            UnreachableUrl: the invitation was withdrawn, or the URL cannot be fetched.
        """
        if not callback.url.startswith(SCHEME):
            return await self._origin.fetch(callback, fallback)
        body = self._bodies.get(callback.url)
        if body is None:
            raise UnreachableUrl("nobody is wanted as this participant any more", cause_code=Code.ANSWER_URL)
        return FetchedDocument(200, "application/xml", body, callback.url, 0, callback.kind)
