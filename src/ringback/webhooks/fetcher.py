"""Fetching documents: answer, redirect, transfer and action URLs, with retries, fallback, and a record of every try.

Spec: wire spec 5.1 (transport), 5.5 (time-outs, retries, hang-up codes), 5.6 (signatures).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from ringback import clock, ids
from ringback.egress.errors import EgressFailed, InvalidUrl
from ringback.egress.http import HttpClient, HttpReply
from ringback.errors import DocumentError
from ringback.machine import MS, Instant
from ringback.telemetry.events import EventSink
from ringback.webhooks.request import METHODS, Bounds, SignedRequest, Signer, attempt, encodable, failure_of, record_of
from ringback.webhooks.retry import DEFAULT_RULES, Failure, RetryRules, failure_of_status, rules_of
from ringback.webhooks.signature import Params, SigningKeys


class CallbackKind(Enum):
    """What a callback is for; the value stands in the timeline."""

    ANSWER = "answer"
    FALLBACK = "fallback"
    ACTION = "action"
    TRANSFER = "transfer"
    REDIRECT = "redirect"
    RING = "ring"
    HANGUP = "hangup"
    STREAM_STATUS = "stream-status"
    MACHINE = "machine-detection"
    RECORDING = "recording"
    INTERIM_SPEECH = "interim-speech"
    DIAL = "dial"
    PROMPT = "prompt"
    """Music and sounds of `<Dial>` and `<Conference>`."""
    CONFERENCE = "conference"
    MULTIPARTY = "multiparty"
    TRANSCRIPTION = "transcription"


@dataclass(frozen=True, slots=True)
class Callback:
    """One request to a customer's URL."""

    kind: CallbackKind
    url: str
    """As configured: query kept, fragment taken for retry settings, user information sent as Basic credentials."""
    method: str
    params: Params
    call_uuid: str
    signing: SigningKeys
    account_id: str = ""
    is_private: bool = False
    """Whether what the caller has pressed or said is not recorded."""


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """What a customer's URL answered with a 2xx status."""

    status: int
    content_type: str
    body: bytes
    url: str
    """Where it was found, after redirects."""
    elapsed_ms: int
    kind: CallbackKind


class UnreachableUrl(DocumentError):
    """A document could not be fetched; `cause_code` is the hang-up code (7011-7014, 7022-7024, 7032-7034)."""

    default_code = "unreachable-url"

    def __init__(self, message: str, *, cause_code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint, cause_code=cause_code)
        self.cause_code = cause_code


class UnusableReply(DocumentError):
    """A document was answered but cannot be read: too large, or a broken encoding. It counts as invalid XML."""

    default_code = "unusable-reply"


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Bounds of document requests (reference: reliability.md section 4)."""

    rules: RetryRules = field(default_factory=lambda: DEFAULT_RULES)
    """What holds where a URL's fragment says nothing."""
    retry_pause_ms: int = 200
    """Between two attempts: a restarting application gets a moment, a caller hardly notices."""
    body_max_bytes: int = 131_072


_UNREACHABLE: Mapping[CallbackKind, int] = MappingProxyType(
    {CallbackKind.ACTION: 7012, CallbackKind.TRANSFER: 7013, CallbackKind.REDIRECT: 7014}
)
_INVALID_URL: Mapping[CallbackKind, int] = MappingProxyType(
    {CallbackKind.ACTION: 7022, CallbackKind.TRANSFER: 7023, CallbackKind.REDIRECT: 7024}
)
_INVALID_METHOD: Mapping[CallbackKind, int] = MappingProxyType(
    {CallbackKind.ACTION: 7032, CallbackKind.TRANSFER: 7033, CallbackKind.REDIRECT: 7034}
)
_ANSWER_CODE = 7011
"""An answer or fallback URL has one code for everything (wire spec 5.8)."""


def code_of_unreachable(kind: CallbackKind) -> int:
    """Return the hang-up code of a document that cannot be fetched."""
    return _UNREACHABLE.get(kind, _ANSWER_CODE)


def code_of_invalid_url(kind: CallbackKind) -> int:
    """Return the hang-up code of a malformed URL."""
    return _INVALID_URL.get(kind, _ANSWER_CODE)


def code_of_invalid_method(kind: CallbackKind) -> int:
    """Return the hang-up code of a method other than GET and POST."""
    return _INVALID_METHOD.get(kind, _ANSWER_CODE)


class WebhookFetcher:
    """Fetches documents; every attempt is recorded as a `webhook` event of its call."""

    def __init__(self, http: HttpClient, timeline: EventSink, settings: FetchSettings | None = None) -> None:
        self._http = http
        self._timeline = timeline
        self._settings = settings or FetchSettings()

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        """Return the document at `callback`, else the one at `fallback`.

        The first URL is tried 3 times when there is a fallback, else twice, unless its fragment says otherwise; the
        fallback is tried once. A reply that was had but cannot be used does not lead to the fallback.

        Raises:
            UnreachableUrl: neither could be had; the code is the first URL's.
            UnusableReply: a reply is too large or broken.
        """
        try:
            return await self._fetch_one(callback, has_fallback=fallback is not None)
        except UnreachableUrl as error:
            if fallback is None:
                raise
            try:
                return await self._fetch_one(fallback, has_fallback=False, attempts=1)
            except UnreachableUrl as second:
                message = f"{error.message}; fallback: {second.message}"
                raise UnreachableUrl(message, cause_code=error.cause_code, hint=error.hint) from None

    async def _fetch_one(
        self, callback: Callback, *, has_fallback: bool, attempts: int | None = None
    ) -> FetchedDocument:
        method = callback.method.strip().upper()
        name = f"{callback.kind.value}_url"
        if method not in METHODS:
            code = code_of_invalid_method(callback.kind)
            raise UnreachableUrl(f"{name} has method {method[:20]!r}", cause_code=code, hint="use GET or POST")
        rules = rules_of(callback.url, self._settings.rules)
        if attempts is None:
            attempts = rules.attempts(has_fallback=has_fallback)
        params = callback.params.items() if isinstance(callback.params, Mapping) else callback.params
        request = SignedRequest(
            method, callback.url.strip(), encodable(params), callback.signing, ids.new_uuid(), callback.is_private
        )
        started = clock.now()
        failed = ""
        for number in range(1, attempts + 1):
            remaining_ms = rules.total_ms - _since_ms(started)
            if remaining_ms <= 0:
                break
            try:
                return await self._attempt(callback, request, rules, remaining_ms, number)
            except InvalidUrl as error:
                code = code_of_invalid_url(callback.kind)
                raise UnreachableUrl(f"{name} is invalid: {error.message}", cause_code=code, hint=error.hint) from None
            except _AttemptFailed as error:
                failed, hint = error.message, error.hint
                if error.failure is Failure.UNUSABLE:
                    raise UnusableReply(f"{name}: {failed}", hint=hint) from None
                if not rules.is_retried(error.failure) or number == attempts:
                    code = code_of_unreachable(callback.kind)
                    raise UnreachableUrl(f"{name}: {failed}", cause_code=code, hint=hint) from None
            await asyncio.sleep(self._settings.retry_pause_ms / 1000)
        message = f"{name}: no success within {rules.total_ms} ms: {failed}"
        raise UnreachableUrl(message, cause_code=code_of_unreachable(callback.kind))

    async def _attempt(
        self, callback: Callback, request: SignedRequest, rules: RetryRules, remaining_ms: int, number: int
    ) -> FetchedDocument:
        signer = Signer(request, number)
        bounds = Bounds(
            connect_ms=rules.connect_ms,
            read_ms=rules.read_ms,
            total_ms=remaining_ms,
            body_max_bytes=self._settings.body_max_bytes,
            is_body_cut=False,
            lane="document",
            account_id=callback.account_id,
        )
        started = clock.now()

        def record(outcome: str, reply: HttpReply | None = None, detail: str = "") -> None:
            elapsed_ms = _since_ms(started)
            fields = record_of(callback.kind.value, request, signer, number, outcome, elapsed_ms, reply, detail)
            if rules.ignored and number == 1:
                fields = {**fields, "ignored_settings": list(rules.ignored)}
            self._timeline.record(callback.call_uuid, "webhook", fields)

        try:
            reply = await attempt(self._http, request, signer, bounds)
        except asyncio.CancelledError:
            record("cancelled")
            raise
        except EgressFailed as error:
            record(error.failure.value, detail=str(error))
            if isinstance(error, InvalidUrl):
                raise
            raise _AttemptFailed(error.message, failure_of(error), error.hint) from error
        failure = failure_of_status(reply.status)
        record("ok" if failure is None else "status", reply)
        if failure is not None:
            raise _AttemptFailed(f"answered with status {reply.status}", failure, _hint_of_status(reply.status))
        return FetchedDocument(
            status=reply.status,
            content_type=reply.content_type,
            body=reply.body,
            url=reply.url,
            elapsed_ms=_since_ms(started),
            kind=callback.kind,
        )


class _AttemptFailed(DocumentError):
    """One attempt brought no document."""

    def __init__(self, message: str, failure: Failure, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.failure = failure


def _hint_of_status(status: int) -> str:
    match status:
        case 401 | 403:
            return "the application refuses us; check its signature validation and the auth token"
        case 404:
            return "no such path; check the URL of the application"
        case 405:
            return "the application does not take this method; check answer_method"
        case _ if status >= 500:
            return "the application failed; look at its log"
        case _:
            return ""


def _since_ms(started: Instant) -> int:
    return (clock.now() - started) // MS
