"""One signed HTTP request to a customer, and the record of how it went."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote_plus

import msgspec

from ringback import clock
from ringback.egress.errors import EgressFailed, FailureClass
from ringback.egress.http import HttpClient, HttpReply, HttpRequest
from ringback.egress.policy import without_credentials
from ringback.webhooks.retry import Failure
from ringback.webhooks.signature import (
    Params,
    SigningKeys,
    event_headers,
    signature_headers,
    signed_text_v3,
    without_fragment,
)

_is_unreserved = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
METHODS = frozenset({"GET", "POST"})
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
EXCERPT_BYTES = 1_024
_PARAMS_RECORDED_MAX = 64
_NONCE_DIGITS = 20
PRIVATE_PARAMS = frozenset({"Digits", "Speech", "StableSpeech", "UnstableSpeech", "transcription"})
"""What callers have pressed and said."""
HIDDEN = "***"
"""Stands for what is not shown."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A callback ready to be sent: where, with which parameters, and signed by whom."""

    method: str
    """`GET` or `POST`."""
    url: str
    """As configured, with or without fragment and user information."""
    pairs: tuple[tuple[str, str], ...]
    signing: SigningKeys
    event_id: str
    """The same for every attempt, so that a receiver recognises a repetition."""
    is_private: bool = False
    """Whether the values of `PRIVATE_PARAMS` are sent and signed, but not recorded."""
    is_json: bool = False
    """Whether a POST carries a JSON object of texts: then V3 signs the URL alone, as validators see no form."""

    @property
    def body(self) -> bytes:
        """Return the form or JSON body; empty for GET."""
        if self.method != "POST":
            return b""
        return msgspec.json.encode(dict(self.pairs)) if self.is_json else form_of(self.pairs).encode("ascii")

    @property
    def wire_url(self) -> str:
        """Return the URL as requested: GET carries the parameters in its query."""
        url = self.url.partition("#")[0]
        if self.method != "GET" or not self.pairs:
            return url
        joint = "&" if "?" in url else "?"
        return f"{url}{joint}{form_of(self.pairs)}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long one attempt may take and how much it may return."""

    connect_ms: int
    read_ms: int
    total_ms: int
    body_max_bytes: int
    is_body_cut: bool
    lane: str
    account_id: str


def form_of(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the pairs as `urlencode` does, at a third of its CPU where there is little to quote."""
    return "&".join(f"{_form_quoted(name)}={_form_quoted(value)}" for name, value in pairs)


def _form_quoted(text: str) -> str:
    return text if _is_unreserved(text) else quote_plus(text)


def encodable(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the parameters with what UTF-8 cannot carry replaced, so that what is signed is what is sent."""
    return tuple(
        (name.encode("utf-8", "replace").decode(), value.encode("utf-8", "replace").decode()) for name, value in pairs
    )


class Signer:
    """Makes the headers of each hop of one attempt, with one pair of nonces, and remembers what was signed.

    The nonces follow from the event and the number of the attempt: a replay carries the signatures of the first one.
    """

    def __init__(self, request: SignedRequest, number: int = 1) -> None:
        self._request = request
        self.body = request.body
        """The form body of the attempt; empty for GET."""
        self._nonce_v2 = _nonce(f"v2:{number}:{request.event_id}")
        self._nonce_v3 = _nonce(f"v3:{number}:{request.event_id}")
        self.signed_text = ""

    def headers_for(self, method: str, url: str) -> Iterable[tuple[str, str]]:
        """Return the headers of a hop: the request itself, or a redirect of it."""
        request = self._request
        is_post = method == "POST"
        params: Params = request.pairs if is_post and not request.is_json else ()
        url = without_fragment(url)
        self.signed_text = signed_text_v3(method, url, self._nonce_v3, params)
        body = self.body if is_post else b""
        return (
            *signature_headers(method, url, params, self._nonce_v2, self._nonce_v3, request.signing),
            *event_headers(request.event_id, clock.wall_ms() // 1000, body, request.signing),
        )


def _nonce(seed: str) -> str:
    """Return 20 digits; they need not be secret, only different for every attempt of every event."""
    return f"{int.from_bytes(sha256(seed.encode()).digest()) % 10**_NONCE_DIGITS:0{_NONCE_DIGITS}}"


async def attempt(http: HttpClient, request: SignedRequest, signer: Signer, bounds: Bounds) -> HttpReply:
    """Return the reply to one attempt.

    Raises:
        EgressFailed: there was none.
    """
    return await http.send(
        HttpRequest(
            method=request.method,
            url=request.wire_url,
            headers_for=signer.headers_for,
            body=signer.body,
            content_type=JSON if request.is_json else FORM,
            connect_ms=bounds.connect_ms,
            read_ms=bounds.read_ms,
            total_ms=bounds.total_ms,
            body_max_bytes=bounds.body_max_bytes,
            is_body_cut=bounds.is_body_cut,
            lane=bounds.lane,
            account_id=bounds.account_id,
        )
    )


def _without_private(signed_text: str, request: SignedRequest) -> str:
    """Return what was signed with the values of private parameters hidden."""
    for name, value in request.pairs:
        if request.is_private and name in PRIVATE_PARAMS:
            signed_text = signed_text.replace(f"{name}{value}", f"{name}{HIDDEN}")
            signed_text = signed_text.replace(f"{name}={value}", f"{name}={HIDDEN}")
    return signed_text


def failure_of(error: EgressFailed) -> Failure:
    """Return what an egress failure means for retrying."""
    match error.failure:
        case FailureClass.FORBIDDEN:
            return Failure.FORBIDDEN
        case FailureClass.TOO_LARGE | FailureClass.ENCODING:
            return Failure.UNUSABLE
        case FailureClass.REDIRECTS:
            return Failure.STATUS_OTHER
        case FailureClass.DNS | FailureClass.REFUSED | FailureClass.TIMEOUT | FailureClass.TLS | FailureClass.BROKEN:
            return Failure.READ if error.is_connected else Failure.CONNECT


def record_of(
    kind: str,
    request: SignedRequest,
    signer: Signer,
    number: int,
    outcome: str,
    elapsed_ms: int,
    reply: HttpReply | None = None,
    detail: str = "",
) -> Mapping[str, object]:
    """Return the fields of the `webhook` event that reports one attempt.

    Shape: `outcome` is `ok`, `status`, `cancelled`, or a failure class; `body` is an excerpt of at most 1 KiB.
    """
    fields: dict[str, object] = {
        "target": kind,
        "method": request.method,
        "url": without_credentials(request.url)[0],
        "params": {
            name: HIDDEN if request.is_private and name in PRIVATE_PARAMS else value
            for name, value in request.pairs[:_PARAMS_RECORDED_MAX]
        },
        "event_id": request.event_id,
        "attempt": number,
        "outcome": outcome,
        "total_ms": elapsed_ms,
        "signed": _without_private(signer.signed_text, request),
    }
    if reply is not None:
        fields["status"] = reply.status
        fields["connect_ms"] = reply.connect_ms
        fields["content_type"] = reply.content_type
        fields["redirects"] = reply.redirects
        fields["body"] = reply.body[:EXCERPT_BYTES].decode("utf-8", "replace")
        fields["body_bytes"] = len(reply.body)
    if detail:
        fields["detail"] = detail
    return fields
