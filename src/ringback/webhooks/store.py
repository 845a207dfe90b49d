"""The outbox: callbacks written in the transaction of the fact they report.

`enqueue` runs inside the caller's transaction; `outbox.OutboxSender` delivers.
Spec: reference reliability.md section 6 item 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutboundCallback:
    """A callback that must reach the customer, whatever happens to this process.

    `event_id` is stable for the fact it reports; empty lets `enqueue` mint one.
    """

    kind: str
    """Value of `fetcher.CallbackKind`: `ring`, `hangup`, `stream-status`."""
    account_id: str
    call_uuid: str
    url: str
    method: str
    params: Mapping[str, str]
    event_id: str = ""
