"""Fetching documents: answer, redirect, transfer and action URLs, with retries, fallback, and a record of every try.

Spec: wire spec 5.1 (transport), 5.5 (time-outs, retries, hang-up codes), 5.6 (signatures).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.errors import DocumentError
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

    def __init__(self, message: str, *, cause_code: int, hint: str = "", **fields: object) -> None:
        super().__init__(message, hint=hint, cause_code=cause_code, **fields)
        self.cause_code = cause_code


class UnusableReply(DocumentError):
    """A document was answered but cannot be read: too large, or a broken encoding. It counts as invalid XML."""

    default_code = "unusable-reply"
