"""Between `sdp` and the media boundary: which address to bind and to write, and what a worker is told. Pure."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final

import msgspec

from ringback.ids import CommandId, SessionId
from ringback.media.control.commands import SetRemote
from ringback.media.control.values import Address, Codec, LatchPolicy, MediaDirection
from ringback.numbers.trunks import NatMode
from ringback.sdp.errors import NoCommonProfile
from ringback.sdp.negotiate import LocalAudio, Negotiated, PayloadFormat
from ringback.sdp.session import Direction
from ringback.signalling.admission import is_loopback
from ringback.signalling.settings import SignallingSettings

_DIRECTIONS: Final = {
    Direction.SENDRECV: MediaDirection.SENDRECV,
    Direction.SENDONLY: MediaDirection.SENDONLY,
    Direction.RECVONLY: MediaDirection.RECVONLY,
    Direction.INACTIVE: MediaDirection.INACTIVE,
}
_NOWHERE: Final = Address("0.0.0.0", 9)
"""Stands for a peer that holds without ever having named an address; nothing is sent while it holds."""


_PRIVATE_NETWORKS: Final = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
)
"""Addresses behind NAT. `ipaddress` calls more ranges private, such as those for documentation and benchmarks."""


def bind_host(settings: SignallingSettings, peer_host: str) -> str:
    """Return where RTP is bound for a peer whose media or signalling is at `peer_host`.

    Raises:
        NoCommonProfile: The peer is on IPv6 and we have no such address.
    """
    if ":" not in peer_host:
        return settings.media_host
    if not settings.media_host_v6:
        raise NoCommonProfile(
            "found an IPv6 address in the SDP, expected IPv4", hint="set media_host_v6", found="IP6", allowed="IP4"
        )
    return settings.media_host_v6


def local_audio(
    settings: SignallingSettings, codecs: tuple[str, ...], bound: Address, signalling_host: str
) -> LocalAudio:
    """Return our side of an exchange with a peer that signals from `signalling_host`."""
    host = bound.host
    if ":" not in host:
        is_local = _is_within(signalling_host, settings.local_networks)
        if settings.advertised_media_host and not is_local:
            host = settings.advertised_media_host
        elif host == "0.0.0.0":
            host = "127.0.0.1" if is_loopback(signalling_host) else settings.visible_media_host
    return LocalAudio(host, bound.port, codecs, settings.ptime_ms)


def remote_of(
    negotiated: Negotiated,
    *,
    command_id: CommandId,
    session_id: SessionId,
    signalling_host: str,
    nat: NatMode = NatMode.AUTO,
    previous: SetRemote | None = None,
) -> SetRemote | None:
    """Return the command that puts an exchange into force, or `None` when nothing was ever set and nothing is left.

    A peer that holds by address 0.0.0.0, or that stops the stream by port 0, keeps its previous address.
    """
    if negotiated.send_codec is None:
        if previous is None:
            return None
        return msgspec.structs.replace(previous, command_id=command_id, direction=MediaDirection.INACTIVE)
    latch = LatchPolicy.SIGNALLED
    if negotiated.remote_address is None:
        address = previous.address if previous is not None else _NOWHERE
        latch = previous.latch if previous is not None else LatchPolicy.NAT
    else:
        host, port = negotiated.remote_address
        if _is_numeric(host):
            address = Address(host, port)
            if nat is NatMode.AUTO and host != signalling_host and _is_private(host):
                latch = LatchPolicy.NAT
        else:
            # A name in c= is legal; media of such peers nearly always comes from where they signal.
            address = Address(signalling_host, port)
            latch = LatchPolicy.NAT
    if nat is NatMode.ALWAYS:
        latch = LatchPolicy.NAT
    elif nat is NatMode.NEVER:
        latch = LatchPolicy.SIGNALLED
    return SetRemote(
        command_id=command_id,
        session_id=session_id,
        address=address,
        codec=_codec(negotiated.send_codec),
        receive_codecs=tuple(_codec(each) for each in negotiated.receive_codecs),
        dtmf_payload_type=-1 if negotiated.dtmf_payload_type is None else negotiated.dtmf_payload_type,
        ptime_ms=negotiated.ptime_ms,
        direction=_DIRECTIONS[negotiated.direction],
        latch=latch,
        signalling_host=signalling_host,
    )


def is_same_remote(one: SetRemote | None, other: SetRemote) -> bool:
    """Return whether two commands ask for the same."""
    return one is not None and msgspec.structs.replace(one, command_id=other.command_id) == other


def _codec(payload: PayloadFormat) -> Codec:
    return Codec(payload.name, payload.payload_type, payload.clock_hz)


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_private(host: str) -> bool:
    return _is_within(host, _PRIVATE_NETWORKS)


def _is_within(host: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in ip_network(text, strict=False) for text in networks)
