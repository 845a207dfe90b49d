"""The way of a request: which listener speaks, over which flow, under which name of ours."""

from __future__ import annotations

from ringback.errors import Bug
from ringback.sip.dialog import Dialog
from ringback.sip.flow import Flow, Listener, Target, Transport, is_ipv6
from ringback.sip.invite.host import Path
from ringback.sip.policy import is_local, is_numeric, listener_for, listener_of, sent_by
from ringback.sip.settings import SipSettings
from ringback.sip.uri import SipUri


def path_to(listeners: tuple[Listener, ...], settings: SipSettings, target: Target) -> Path | None:
    """Return the way to a target, or None when no listener speaks its transport and address family."""
    listener = listener_for(listeners, target.transport, target.host)
    if listener is None:
        return None
    name = sent_by(listener, target.host, settings)
    if target.transport.is_reliable:
        return Path(target, name)
    return Path(Flow(Transport.UDP, (listener.host, listener.port), (target.host, target.port)), name)


def path_back(listeners: tuple[Listener, ...], settings: SipSettings, flow: Flow) -> Path:
    """Return the way back over a flow.

    Raises:
        Bug: the flow belongs to none of our listeners.
    """
    listener = listener_of(listeners, flow)
    if listener is None:
        raise Bug("a flow belongs to no listener", transport=flow.transport.value)
    return Path(flow, sent_by(listener, flow.remote[0], settings))


def path_of(listeners: tuple[Listener, ...], settings: SipSettings, dialog: Dialog) -> Path:
    """Return the way of requests inside a dialog.

    The next hop's numeric address is used, over the dialog's connection if that leads to the same host. Names, and
    private addresses of peers that speak from public ones (NAT), are reached over the dialog's flow.
    """
    flow, hop = dialog.flow, dialog.next_hop()
    back = path_back(listeners, settings, flow)
    if not isinstance(hop, SipUri) or not is_numeric(hop.host):
        return back
    host, port, remote = hop.host.strip("[]"), hop.port or 5060, flow.remote[0]
    networks = settings.local_networks
    is_behind_nat = host != remote and is_local(host, networks) and not is_local(remote, networks)
    if is_behind_nat or is_ipv6(host) != is_ipv6(remote):
        return back
    wanted = Transport.TCP if hop.transport == "tcp" else Transport.UDP
    if flow.transport.is_reliable and host == remote:
        return Path(flow, back.sent_by, Target(flow.transport, host, port))
    if wanted is Transport.UDP and not flow.transport.is_reliable:
        return Path(Flow(Transport.UDP, flow.local, (host, port)), back.sent_by)
    return path_to(listeners, settings, Target(wanted, host, port)) or back
