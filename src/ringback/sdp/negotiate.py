"""Offer/answer for one audio line (RFC 3264, RFC 6337), as pure functions on immutable state.

A dialog keeps one `SdpState`. Each exchange takes it and returns the next one; an exchange that fails leaves the
caller with the old state, which is the rollback that RFC 6141 asks for.

Our o= version grows by one exactly when our description differs from the last one we sent. A refresh needs no special
case: the same offer yields the same answer, hence the same version.

Deviation: RFC 3264 §8 says that an unchanged o= version means an unchanged offer. Some phones never raise it, so the
whole description is looked at, and only an equal one counts as a refresh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address
from typing import Final

from ringback.sdp.errors import MalformedSdp, NoCommonCodec, NoCommonProfile
from ringback.sdp.session import Attribute, Direction, Media, Origin, RtpMap, SessionDescription

PROFILES: Final = ("RTP/AVP", "RTP/AVPF")
"""Accepted RTP profiles. SRTP profiles are refused, never answered in clear text."""
TELEPHONE_EVENT: Final = "telephone-event"
MINIMUM_PTIME_MS: Final = 10
MAXIMUM_PTIME_MS: Final = 40
_PTIME_STEP_MS: Final = 10
_CLOCKS_HZ: Final = {"PCMU": 8000, "PCMA": 8000}
_STATIC_NUMBERS: Final = {"PCMU": 0, "PCMA": 8}
_OUR_DTMF_NUMBER: Final = 101


class Preference(Enum):
    """Whose order of codecs decides in an answer."""

    PEER = "peer"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """A codec under the payload number that this exchange gave it; `name` is PCMU, PCMA or telephone-event."""

    name: str
    payload_type: int
    clock_hz: int = 8000


@dataclass(frozen=True, slots=True)
class LocalAudio:
    """Where we receive audio and what we speak.

    Args:
        host: Numeric address for c=.
        port: Even RTP port.
        codecs: Names we speak, in our order; unknown ones are ignored.
        ptime_ms: Packet length when the peer names none.
        direction: What we are willing to do; sendrecv unless we hold.
    """

    host: str
    port: int
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    ptime_ms: int = 20
    preference: Preference = Preference.PEER
    direction: Direction = Direction.SENDRECV

    @property
    def spoken(self) -> tuple[str, ...]:
        """Return the codecs that really can be spoken, in our order."""
        return tuple(name for name in (codec.upper() for codec in self.codecs) if name in _CLOCKS_HZ)


@dataclass(frozen=True, slots=True)
class SdpState:
    """What both sides last sent in one dialog. `session_id` is a fresh decimal number for each dialog."""

    session_id: str
    version: int = 0
    local: SessionDescription | None = None
    remote: SessionDescription | None = None


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The outcome of an exchange.

    Attributes:
        state: For the next exchange.
        local_sdp: The answer to send; `None` when the peer answered.
        remote_address: Where to send RTP; `None` when the peer gave none (old-style hold, or the stream is gone).
        send_codec: What to send; `None` when the stream is gone.
        receive_codecs: All that the peer may send, telephone-event included.
        dtmf_payload_type: The peer's number for telephone-event, or `None`.
        direction: From our side.
        is_refresh: Nothing changed on either side.
    """

    state: SdpState
    local_sdp: SessionDescription | None
    remote_address: tuple[str, int] | None
    send_codec: PayloadFormat | None
    receive_codecs: tuple[PayloadFormat, ...]
    dtmf_payload_type: int | None
    ptime_ms: int
    direction: Direction
    is_refresh: bool = False


def make_offer(state: SdpState, local: LocalAudio) -> tuple[SdpState, SessionDescription]:
    """Return our offer, with all codecs we speak, and the state that waits for `apply_answer`.

    Lines of earlier exchanges keep their places (RFC 3264 §8); our number for telephone-event stays the same.
    """
    previous = state.local.media if state.local is not None else ()
    at = _audio_index(previous)
    current = previous[at] if at is not None else None
    formats = [PayloadFormat(name, _STATIC_NUMBERS[name]) for name in local.spoken]
    formats.append(PayloadFormat(TELEPHONE_EVENT, _dtmf_number(current)))
    line = _audio_line(
        local,
        protocol=current.protocol if current is not None and current.protocol.upper() in PROFILES else PROFILES[0],
        formats=formats,
        ptime_ms=_allowed_ptime(local.ptime_ms, None),
        direction=local.direction,
    )
    if at is None:
        return _describe(state, local, (*map(_refused, previous), line))
    return _describe(state, local, tuple(line if i == at else _refused(media) for i, media in enumerate(previous)))


def answer_offer(state: SdpState, local: LocalAudio, offer: SessionDescription) -> Negotiated:
    """Return our answer to `offer`, first or later, and what to do with RTP.

    Raises:
        NoCommonCodec: No audio line with a codec of ours.
        NoCommonProfile: Audio, but on transports we do not speak.
        MalformedSdp: Audio without an address.
    """
    at = _choose_line(state, local, offer)
    if at is None:
        next_state, answer = _describe(state, local, tuple(map(_refused, offer.media)))
        return Negotiated(
            state=replace(next_state, remote=offer),
            local_sdp=answer,
            remote_address=None,
            send_codec=None,
            receive_codecs=(),
            dtmf_payload_type=None,
            ptime_ms=_allowed_ptime(local.ptime_ms, None),
            direction=Direction.INACTIVE,
            is_refresh=offer == state.remote and answer == state.local,
        )
    line = offer.media[at]
    maps = line.maps()
    common = _common(local, line, maps)
    dtmf = _dtmf_of(line, maps)
    ptime_ms = _ptime_of(line, local)
    direction = _peer_direction(offer, line).reversed.within(local.direction)
    formats = common if dtmf is None else [*common, dtmf]
    audio = _audio_line(local, protocol=line.protocol, formats=formats, ptime_ms=ptime_ms, direction=direction)
    next_state, answer = _describe(
        state, local, tuple(audio if i == at else _refused(media) for i, media in enumerate(offer.media))
    )
    return Negotiated(
        state=replace(next_state, remote=offer),
        local_sdp=answer,
        remote_address=_remote_address(offer, line),
        send_codec=common[0],
        receive_codecs=_receivable(local, line, maps),
        dtmf_payload_type=None if dtmf is None else dtmf.payload_type,
        ptime_ms=ptime_ms,
        direction=direction,
        is_refresh=offer == state.remote and answer == state.local,
    )


def apply_answer(state: SdpState, local: LocalAudio, answer: SessionDescription) -> Negotiated:
    """Return what the peer's answer to our last `make_offer` means for RTP.

    Leniency: an answer with fewer or reordered lines is read if it has live audio; a dynamic number without rtpmap
    means what our offer said.

    Raises:
        NoCommonCodec: The peer refused our audio, or chose nothing that we offered.
        NoCommonProfile: The peer answered on another profile.
        MalformedSdp: Audio without an address, or an answer that nobody waits for.
    """
    if state.local is None:
        raise MalformedSdp("found an SDP answer without an offer of ours", code="sdp-unexpected-answer")
    at = _audio_index(state.local.media)
    offered = state.local.media[at if at is not None else 0]
    line = _answered_line(answer, at)
    if line.protocol.upper() not in PROFILES:
        raise NoCommonProfile(
            f"found profile {line.protocol} in the SDP answer, expected {' or '.join(PROFILES)}", found=line.protocol
        )
    if not _is_unicast(answer.host_of(line)):
        raise MalformedSdp("found no unicast c= line for the audio of an SDP answer", code="sdp-no-address")
    our_maps = offered.maps()
    maps = {**our_maps, **line.maps()}
    common = _common(local, line, maps)
    if not common:
        raise _no_codec(local, [line])
    dtmf = _dtmf_of(line, maps)
    receivable = dict.fromkeys((*_receivable(local, offered, our_maps), *_receivable(local, line, maps)))
    return Negotiated(
        state=replace(state, remote=answer),
        local_sdp=None,
        remote_address=_remote_address(answer, line),
        send_codec=common[0],
        receive_codecs=tuple(receivable),
        dtmf_payload_type=None if dtmf is None else dtmf.payload_type,
        ptime_ms=_ptime_of(line, local),
        direction=_peer_direction(answer, line).reversed.within(offered.direction or Direction.SENDRECV),
    )


def check_offer(local_codecs: tuple[str, ...], offer: SessionDescription) -> str:
    """Return the host where a first offer wants its audio, after checking that it can be answered.

    Raises:
        NoCommonCodec, NoCommonProfile, MalformedSdp: As `answer_offer`.
    """
    local = LocalAudio("0.0.0.0", 0, local_codecs)
    at = _choose_line(SdpState("0"), local, offer)
    # A first offer without live audio raises above: only a later one can stop the stream.
    return "" if at is None else offer.host_of(offer.media[at])


def _choose_line(state: SdpState, local: LocalAudio, offer: SessionDescription) -> int | None:
    """Return the index of the audio line to answer, or `None` when a running stream was stopped by port 0."""
    audio = [i for i, media in enumerate(offer.media) if media.is_audio]
    live = [i for i in audio if offer.media[i].port]
    if not live:
        if audio and state.local is not None:
            return None
        kinds = ", ".join(sorted({media.kind for media in offer.media})) or "nothing"
        raise NoCommonCodec(f"found {kinds} in the SDP offer, expected live audio", found=kinds, allowed=local.spoken)
    spoken = [i for i in live if offer.media[i].protocol.upper() in PROFILES]
    if not spoken:
        found = ", ".join(sorted({offer.media[i].protocol for i in live}))
        raise NoCommonProfile(
            f"found profile {found} in the SDP offer, expected {' or '.join(PROFILES)}",
            hint="turn SRTP off for this peer",
            found=found,
        )
    usable = [i for i in spoken if _common(local, offer.media[i], offer.media[i].maps())]
    if not usable:
        raise _no_codec(local, [offer.media[i] for i in spoken])
    addressed = [i for i in usable if _is_unicast(offer.host_of(offer.media[i]))]
    if not addressed:
        raise MalformedSdp("found no unicast c= line for the audio of an SDP offer", code="sdp-no-address")
    current = _audio_index(state.local.media) if state.local is not None else None
    return current if current in addressed else addressed[0]


def _answered_line(answer: SessionDescription, at: int | None) -> Media:
    live = [i for i, media in enumerate(answer.media) if media.is_audio and media.port]
    if not live:
        raise NoCommonCodec("found no live audio in the SDP answer: the peer refused ours", found="port 0")
    return answer.media[at if at is not None and at in live else live[0]]


def _no_codec(local: LocalAudio, lines: list[Media]) -> NoCommonCodec:
    names: dict[str, None] = {}
    for line in lines:
        maps = line.maps()
        for text in line.formats:
            known = maps.get(int(text)) if text.isascii() and text.isdigit() and len(text) <= 3 else None
            names[f"{known.encoding}/{known.clock_hz}" if known is not None else f"type {text}"] = None
    found = ", ".join(names) or "no format"
    allowed = ", ".join(local.spoken)
    return NoCommonCodec(f"found codecs {found}, expected one of {allowed}", found=found, allowed=allowed)


def _audio_index(lines: tuple[Media, ...]) -> int | None:
    """Return the audio line in use, else the first audio line, else `None`."""
    audio = [i for i, media in enumerate(lines) if media.is_audio]
    return next((i for i in audio if lines[i].port), audio[0] if audio else None)


def _common(local: LocalAudio, line: Media, maps: dict[int, RtpMap]) -> list[PayloadFormat]:
    """Return one format per codec that both speak, in the order of preference."""
    spoken = local.spoken
    chosen: dict[str, PayloadFormat] = {}
    for found in _receivable(local, line, maps):
        if found.name in spoken:
            chosen.setdefault(found.name, found)
    if local.preference is Preference.OURS:
        return [chosen[name] for name in spoken if name in chosen]
    return list(chosen.values())


def _receivable(local: LocalAudio, line: Media, maps: dict[int, RtpMap]) -> tuple[PayloadFormat, ...]:
    """Return every format of the line that we can decode, in its order."""
    spoken = local.spoken
    found: dict[int, PayloadFormat] = {}
    for text in line.formats:
        known = maps.get(int(text)) if text.isascii() and text.isdigit() and len(text) <= 3 else None
        if known is None or known.channels != 1:
            continue
        name = known.encoding.upper()
        if name in spoken and known.clock_hz == _CLOCKS_HZ[name]:
            found.setdefault(known.payload_type, PayloadFormat(name, known.payload_type, known.clock_hz))
        elif name == TELEPHONE_EVENT.upper() and known.clock_hz == 8000:
            found.setdefault(known.payload_type, PayloadFormat(TELEPHONE_EVENT, known.payload_type, known.clock_hz))
    return tuple(found.values())


def _dtmf_of(line: Media, maps: dict[int, RtpMap]) -> PayloadFormat | None:
    """Return the line's telephone-event at 8 kHz, the clock of our codecs (RFC 4733 §2.1)."""
    nobody = LocalAudio("", 0, ())
    return next(iter(_receivable(nobody, line, maps)), None)


def _dtmf_number(current: Media | None) -> int:
    """Return the number we used before: a mapping must not change in a dialog (RFC 3264 §8.3.2)."""
    if current is not None:
        used = _dtmf_of(current, current.maps())
        if used is not None:
            return used.payload_type
    return _OUR_DTMF_NUMBER


def _peer_direction(description: SessionDescription, line: Media) -> Direction:
    """Return the peer's direction; an unspecified address cannot receive (old-style hold, RFC 3264 §8.4)."""
    direction = description.direction_of(line)
    if _is_unspecified(description.host_of(line)):
        return direction.within(Direction.SENDONLY)
    return direction


def _remote_address(description: SessionDescription, line: Media) -> tuple[str, int] | None:
    host = description.host_of(line)
    return None if _is_unspecified(host) else (host, line.port)


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_unicast(host: str) -> bool:
    """Return whether RTP may go to `host`; a name counts, its address is looked at by whoever resolves it."""
    try:
        address = ip_address(host)
    except ValueError:
        return bool(host)
    return not address.is_multicast and str(address) != "255.255.255.255"


def _ptime_of(line: Media, local: LocalAudio) -> int:
    return _allowed_ptime(line.milliseconds("ptime") or local.ptime_ms, line.milliseconds("maxptime"))


def _allowed_ptime(wanted_ms: int, limit_ms: int | None) -> int:
    """Return the packet length nearest below `wanted_ms` that we and the peer's maxptime allow."""
    allowed = min(wanted_ms, limit_ms or MAXIMUM_PTIME_MS, MAXIMUM_PTIME_MS)
    return max(MINIMUM_PTIME_MS, allowed - allowed % _PTIME_STEP_MS)


def _audio_line(
    local: LocalAudio, *, protocol: str, formats: list[PayloadFormat], ptime_ms: int, direction: Direction
) -> Media:
    attributes = [Attribute("rtpmap", f"{each.payload_type} {each.name}/{each.clock_hz}") for each in formats]
    attributes += [Attribute("fmtp", f"{each.payload_type} 0-15") for each in formats if each.name == TELEPHONE_EVENT]
    attributes += [Attribute("ptime", str(ptime_ms)), Attribute(direction.value)]
    return Media(
        "audio", local.port, protocol, tuple(str(each.payload_type) for each in formats), "", tuple(attributes)
    )


def _refused(media: Media) -> Media:
    """Return the refusal of a line: port 0 and one format (RFC 3264 §6)."""
    return Media(media.kind, 0, media.protocol, media.formats[:1] or ("0",))


def _describe(state: SdpState, local: LocalAudio, media: tuple[Media, ...]) -> tuple[SdpState, SessionDescription]:
    """Return our next description, with the version grown only if it differs from the last one."""
    description = SessionDescription(
        Origin("-", state.session_id, str(state.version), local.host), media, local.host, "Ringback"
    )
    if description != state.local:
        version = state.version + 1
        description = replace(description, origin=replace(description.origin, version=str(version)))
        state = replace(state, version=version)
    return replace(state, local=description), description
