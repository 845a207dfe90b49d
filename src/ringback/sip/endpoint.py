"""The sans-IO SIP endpoint: messages and timers in; transmissions, events and traces out.

Loop contract (see `ringback.machine`): `handle_input` or a verb or `handle_timeout`, then `poll_output` until it
returns None, then `poll_timeout`. `transport.driver.SipDriver` is that loop; rooms above use its verbs, which are the
verbs here without `now`.

A verb returns whether it took effect: a call that has ended meanwhile is no error, its `InviteEnded` is on the way.
"""

from __future__ import annotations

from ringback.sip.address import NameAddr
from ringback.sip.digest import Credentials
from ringback.sip.flow import Flow, Listener, Target, Transport
from ringback.sip.invite.events import (
    Answered,
    CancelReceived,
    Confirmed,
    EndDetail,
    HungUp,
    InfoAnswered,
    InfoReceived,
    InviteEnded,
    InviteEvent,
    InviteReceived,
    Progressed,
    Refused,
    ReofferAnswered,
    ReofferConfirmed,
    Reoffered,
    ReofferRefused,
)
from ringback.sip.invite.values import HeaderLines, InviteId, OutboundInvite

__all__ = [
    "Answered", "CancelReceived", "Confirmed", "Credentials", "EndDetail", "Endpoint", "Flow", "HeaderLines", "HungUp",
    "InfoAnswered", "InfoReceived", "InviteEnded", "InviteEvent", "InviteId", "InviteReceived", "Listener", "NameAddr",
    "OutboundInvite", "Progressed", "Refused", "ReofferAnswered", "ReofferConfirmed", "ReofferRefused", "Reoffered",
    "SipTrace", "Target", "Transport",
]  # fmt: skip - one public face: rooms above import SIP names from here
