"""The registry of legs: incoming INVITEs become legs here, outbound legs are made here, and none is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from ringback import clock, ids
from ringback.endpoints.endpoint import Login
from ringback.errors import RingbackError
from ringback.ids import LegId, SessionId
from ringback.machine import SECOND, Instant
from ringback.media.control.port import MediaPort
from ringback.numbers.trunks import Gateway, NatMode, Trunk
from ringback.sdp.errors import MalformedSdp, NoCommonCodec
from ringback.sdp.negotiate import check_offer
from ringback.sdp.parser import parse_sdp
from ringback.sdp.session import SessionDescription
from ringback.signalling.admission import Load, Verdict, admit_inbound, admit_outbound
from ringback.signalling.custom_headers import outgoing_headers
from ringback.signalling.errors import TooManyLegs
from ringback.signalling.events import DialRequest, LegEndKind
from ringback.signalling.identity import clean_name, identity_of, party
from ringback.signalling.journal import read
from ringback.signalling.leg_audio import LegAudio
from ringback.signalling.leg_ends import warning_header
from ringback.signalling.leg_parts import InboundPart, OutboundPart, Parties
from ringback.signalling.leg_targets import PhoneFinder, TargetJudge, any_target, no_phones
from ringback.signalling.negotiate import bind_host
from ringback.signalling.settings import SignallingSettings
from ringback.signalling.sip_leg import LegServices, SipLeg
from ringback.signalling.sip_port import SipPort
from ringback.signalling.sip_timeline import SipTimeline, without_keys
from ringback.sip.address import name_addr
from ringback.sip.digest import Credentials
from ringback.sip.endpoint import (
    CancelReceived,
    HeaderLines,
    InviteEnded,
    InviteEvent,
    InviteId,
    InviteReceived,
    OutboundInvite,
)
from ringback.sip.flow import Transport
from ringback.sip.header_fields import application_header
from ringback.sip.trace import SipTrace
from ringback.sip.uri import escape_user, parse_uri
from ringback.telemetry.events import EventSink
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_SDP_ID_DIGITS: Final = 12
_RESTARTED: Final = 'Q.850;cause=41;text="Server restarted"'
_REFUSED_FULL: Final = frozenset({Verdict.DRAINING, Verdict.FULL, Verdict.TRUNK_FULL})
_STRANGER: Final = frozenset({Verdict.DROP, Verdict.FORBID})


def _nobody(leg: SipLeg) -> None:
    """Refuse a call that nobody is there to take."""
    leg.turn_away(480)


class Door(Protocol):
    """Finds out which calls come from endpoints; `signalling.endpoint_door.EndpointDoor`."""

    def takes(self, event: InviteReceived, *, is_stranger: bool, is_trunk: bool) -> bool:
        """Return whether the door answers this INVITE, or lets it in later by `Legs.receive`."""

    def forget(self, invite_id: InviteId) -> None:
        """Learn that a caller gave up."""


class Legs:
    """All legs of the node, keyed by their INVITE usage.

    Attributes:
        on_incoming: Called once with every admitted inbound leg; it sets `leg.listener` before it returns.
        door: Asks callers that may be endpoints who they are; `None`: there are no endpoints.
        trunks: Who may call in; replaced as a whole when the configuration changes.
        refusals: How many new legs were turned away, by reason.
    """

    def __init__(
        self,
        sip: SipPort,
        media: MediaPort,
        timeline: EventSink,
        settings: SignallingSettings,
        trunks: Iterable[Trunk] = (),
        *,
        now: Callable[[], Instant] = clock.now,
        judge_target: TargetJudge = any_target,
        find_phones: PhoneFinder = no_phones,
    ) -> None:
        self.on_incoming: Callable[[SipLeg], None] = _nobody
        self.door: Door | None = None
        self.trunks = tuple(trunks)
        self.refusals: Counter[str] = Counter()
        self._sip = sip
        self._media = media
        self._timeline = timeline
        self._settings = settings
        self._services = LegServices(
            sip, media, timeline, settings, self._place, self._forget, now, judge_target, find_phones
        )
        self._live: dict[LegId, SipLeg] = {}
        self._by_invite: dict[InviteId, SipLeg] = {}
        self._sip_timeline = SipTimeline(timeline, settings.maximum_waiting_traces)
        self._legs_of_trunk: Counter[str] = Counter()
        self._is_draining = False
        self._unplaced: set[SessionId] = set()
        """Sessions that legs will open: the workers' figures know nothing of them yet."""
        self._refusals_told = (0, 0)
        """The second, and how many refused calls got an event log in it."""
        self._learned: dict[str, frozenset[str]] = {}
        self._placed_early: list[InviteEvent] | None = None

    @property
    def live_count(self) -> int:
        """Return how many legs have not ended."""
        return len(self._live)

    @property
    def is_draining(self) -> bool:
        """Return whether new legs are refused."""
        return self._is_draining

    def live(self) -> tuple[SipLeg, ...]:
        """Return the legs that have not ended."""
        return tuple(self._live.values())

    def live_of_trunk(self) -> Mapping[str, int]:
        """Return how many live legs each trunk carries."""
        return self._legs_of_trunk

    def call_uuid_of(self, invite_id: str) -> str | None:
        """Return the call that an INVITE usage belongs to, until its `InviteEnded`."""
        return self._sip_timeline.call_uuid_of(invite_id)

    def may_call(self, source_host: str) -> bool:
        """Return whether a source may call in at all: on loopback, on a trunk, or because we are it."""
        own = self._settings.own_address
        is_own = own is not None and own[0] == source_host
        verdict = admit_inbound(
            self._settings, self.trunks, source_host, Load(0, {}), self._learned, is_own=is_own
        ).verdict
        return verdict not in (Verdict.DROP, Verdict.FORBID)

    async def learn_gateways(self) -> None:
        """Look up the gateways that trunks name, so that calls from their addresses are admitted.

        State: to be repeated now and then; a name that cannot be looked up keeps the addresses it had.
        """
        for trunk in self.trunks:
            found: set[str] = set()
            for gateway in trunk.gateways:
                try:
                    found.update(target.host for target in await self._sip.resolve(_gateway_uri(gateway)))
                except RingbackError as error:
                    _log.warning("gateway not found", trunk=trunk.name, code=error.code)
                    found.update(self._learned.get(trunk.name, ()))
            self._learned[trunk.name] = frozenset(found)

    def drain(self) -> None:
        """Refuse new legs in both directions from now on; live ones go on."""
        self._is_draining = True

    async def close(self) -> None:
        """Drain, hang up every leg and return when all have ended."""
        self.drain()
        await asyncio.gather(*(leg.hangup() for leg in self.live()))

    def leave(self, dialog_texts: Iterable[str]) -> int:
        """Hang up at the far parties of legs that an earlier server had; return how many are told.

        The answers to it are not waited for. A party that speaks over a connection is called at its Contact.
        """
        told = 0
        for text in dialog_texts:
            dialog = read(text)
            try:
                told += dialog is not None and self._sip.leave(dialog, _RESTARTED)
            except RingbackError as error:
                _log.warning("leg of an earlier server not left", code=error.code, error=str(error))
        return told

    def handle_sip_event(self, event: InviteEvent) -> None:
        """Take one event of the SIP endpoint: `SipDriver(on_event=legs.handle_sip_event)`."""
        if isinstance(event, InviteReceived):
            self.receive(event)
            return
        leg = self._by_invite.get(event.invite_id)
        if leg is not None:
            leg.handle_sip(event)
        elif self.door is not None and isinstance(event, CancelReceived | InviteEnded):
            self.door.forget(event.invite_id)
        elif self._placed_early is not None:
            self._placed_early.append(event)
        if isinstance(event, InviteEnded):
            self._by_invite.pop(event.invite_id, None)
            self._sip_timeline.forget(event.invite_id)

    def handle_sip_trace(self, trace: SipTrace) -> None:
        """Put one SIP message on its call's timeline: `SipDriver(on_trace=legs.handle_sip_trace)`."""
        if trace.summary.startswith("REGISTER ") or trace.summary.endswith("(REGISTER)"):
            # Of no call: it would only push INVITEs out that wait for the name of theirs.
            return
        leg = self._by_invite.get(InviteId(trace.invite_id)) if trace.invite_id is not None else None
        if leg is not None and leg.hides_digits:
            trace = without_keys(trace)
        self._sip_timeline.take(trace)

    def is_overloaded(self, coming: int = 0) -> bool:
        """Return whether the media workers have no capacity for a new call besides the `coming` ones.

        Legs of calls that have begun are not asked for: they go before new calls.
        """
        self._unplaced = {each for each in self._unplaced if self._media.worker_of(each) is None}
        return self._media.spare_sessions() <= len(self._unplaced) + coming

    def has_room(self, trunk_name: str, coming: int = 0) -> bool:
        """Return whether a leg more than the `coming` ones may be dialled by a trunk; no name is for no trunk."""
        of_trunk = self._legs_of_trunk.get(trunk_name, 0) + coming
        load = Load(self.live_count + coming, {trunk_name: of_trunk}, self._is_draining)
        return admit_outbound(self._settings, self._trunk(trunk_name), load) is Verdict.ADMIT

    def dial(self, request: DialRequest) -> SipLeg:
        """Return a new outbound leg that starts by itself; set its `listener` before yielding to the loop.

        Raises:
            TooManyLegs: The node is full or drains, or the trunk is full.
            InvalidParameter: A URI or header cannot go on the wire.
        """
        verdict = admit_outbound(self._settings, self._trunk(request.trunk_name), self._load())
        if verdict is not Verdict.ADMIT:
            self.refusals[verdict.value] += 1
            raise TooManyLegs(
                f"found {self.live_count} live legs ({verdict.value}), expected fewer than "
                f"{self._settings.maximum_legs}",
                reason=verdict.value,
            )
        from_uri = self._complete(request.from_uri)
        to_uri = request.to_uri or request.request_uri
        part = OutboundPart(
            OutboundInvite(
                request_uri=request.request_uri,
                from_=name_addr(from_uri, clean_name(request.from_display)),
                to=name_addr(self._complete(to_uri)),
                targets=(),
                headers=tuple(
                    application_header(name, value)
                    for name, value in (*request.headers, *outgoing_headers(request.custom_headers))
                ),
                credentials=tuple(
                    Credentials(each.username, each.password, each.realm or None) for each in request.credentials
                ),
                max_forwards=request.max_forwards,
            ),
            tuple(_gateway_uri(gateway) for gateway in request.targets) or (request.request_uri,),
            request.ring_timeout_ms,
            request.is_customers_uri,
            request.endpoint,
        )
        parties = Parties(
            caller=party(parse_uri(from_uri)),
            callee=party(parse_uri(self._complete(to_uri))),
            caller_name=clean_name(request.from_display),
            trunk_name=request.trunk_name,
        )
        leg = self._make(
            part, parties, request.call_uuid, codecs=request.codecs, nat=request.nat, affinity=request.affinity
        )
        asyncio.get_running_loop().call_soon(leg.start)
        return leg

    def receive(self, event: InviteReceived, login: Login | None = None, *, is_judged: bool = False) -> None:
        """Make a leg of a new INVITE, or turn it away.

        Args:
            login: The endpoint that has proved to be its caller: then it needs no trunk and counts on none.
            is_judged: The door has nothing to say about it, or has said it.
        """
        invite_id, source_host = event.invite_id, event.flow.remote[0]
        is_own = event.flow.transport is Transport.UDP and event.flow.remote == self._settings.own_address
        trunks = self.trunks if login is None else ()
        load = self._load(is_overloaded=not is_own and self.is_overloaded())
        admission = admit_inbound(
            self._settings, trunks, source_host, load, self._learned, is_own=is_own or login is not None
        )
        if admission.verdict is Verdict.OVERLOADED:
            # Before anybody is asked for credentials: a refusal must be cheap now.
            self._refuse_for_load(event)
            return
        if self.door is not None and not is_judged and not is_own:
            is_stranger, is_trunk = admission.verdict in _STRANGER, admission.trunk is not None
            if self.door.takes(event, is_stranger=is_stranger, is_trunk=is_trunk):
                return
        if admission.verdict is not Verdict.ADMIT:
            self._turn_away(invite_id, admission.verdict)
            return
        trunk = admission.trunk
        codecs = trunk.codecs if trunk is not None else ()
        call_uuid = ids.new_uuid()
        try:
            offer = self._read_offer(event.offer, codecs or self._settings.codecs)
        except (MalformedSdp, NoCommonCodec) as error:
            status = error.sip_status if isinstance(error, NoCommonCodec) else 400
            self.refusals[error.code] += 1
            self._sip_timeline.name(invite_id, call_uuid, event.request.call_id)
            self._timeline.record(
                call_uuid,
                "leg",
                {
                    "event": "refused",
                    "direction": "inbound",
                    "kind": LegEndKind.NO_COMMON_CODEC.value,
                    "status": status,
                    "detail": str(error),
                },
            )
            self._sip.reject(invite_id, status, "", (warning_header(str(error)), ("X-CallUUID", call_uuid)))
            return
        identity = identity_of(event.request, trusts_peer=trunk is not None)
        parties = Parties(
            caller=identity.caller if login is None else self._complete(login.username),
            callee=identity.callee,
            caller_name=identity.caller_name,
            is_anonymous=identity.is_anonymous and login is None,
            diverted_from=identity.diverted_from,
            source_host=source_host,
            trunk_name=trunk.name if trunk is not None else "",
            sip_headers=tuple(event.request.headers.spelled_pairs()),
            endpoint_id=login.endpoint_id if login is not None else "",
        )
        nat = trunk.nat if trunk is not None else NatMode.AUTO
        leg = self._make(InboundPart(invite_id, offer), parties, call_uuid, codecs=codecs, nat=nat)
        self._by_invite[invite_id] = leg
        try:
            self.on_incoming(leg)
        except Exception as error:
            _log.error("incoming leg not taken", call_uuid=call_uuid, leg_id=leg.leg_id, exc_info=error)
            leg.turn_away(500)
        # After the owner, who may have given the call another name.
        self._sip_timeline.name(invite_id, leg.call_uuid, event.request.call_id)

    def _read_offer(self, body: bytes | None, codecs: tuple[str, ...]) -> SessionDescription | None:
        """Return the offer if it can be answered: a caller learns at once what is wrong with it."""
        if body is None:
            return None
        offer = parse_sdp(body)
        bind_host(self._settings, check_offer(codecs, offer))
        return offer

    def _turn_away(self, invite_id: InviteId, verdict: Verdict) -> None:
        self.refusals[verdict.value] += 1
        if verdict in _REFUSED_FULL:
            self._sip.reject(invite_id, 503, "", (("Retry-After", str(self._settings.retry_after_s)),))
        elif verdict is Verdict.DROP:
            self._sip.drop(invite_id)
        else:
            self._sip.reject(invite_id, 403)

    def _refuse_for_load(self, event: InviteReceived) -> None:
        self.refusals[Verdict.OVERLOADED.value] += 1
        low, high = self._settings.retry_after_s, self._settings.retry_after_overload_max_s
        headers: HeaderLines = (("Retry-After", str(low + int(ids.chance() * (high - low + 1)))),)
        second, told = self._services.now() // SECOND, 0
        if self._refusals_told[0] == second:
            told = self._refusals_told[1]
        if told < self._settings.refusals_told_per_s:
            self._refusals_told = (second, told + 1)
            call_uuid = ids.new_uuid()
            self._sip_timeline.name(event.invite_id, call_uuid, event.request.call_id)
            self._timeline.record(
                call_uuid,
                "leg",
                {
                    "event": "refused",
                    "direction": "inbound",
                    "kind": Verdict.OVERLOADED.value,
                    "status": 503,
                    "detail": f"the media workers have no capacity beyond {self.live_count} live legs",
                    "fix": "more cores, or another node behind the trunk: docs/overload.md",
                },
            )
            headers = (*headers, ("X-CallUUID", call_uuid))
        self._sip.reject(event.invite_id, 503, "", headers)

    def _make(
        self,
        part: InboundPart | OutboundPart,
        parties: Parties,
        call_uuid: str,
        *,
        codecs: tuple[str, ...],
        nat: NatMode,
        affinity: str = "",
    ) -> SipLeg:
        session_id = SessionId(ids.new_uuid())
        audio = LegAudio(
            self._media,
            self._settings,
            session_id,
            sdp_id=ids.new_digits(_SDP_ID_DIGITS),
            codecs=codecs,
            nat=nat,
            affinity=affinity or session_id,
        )
        leg = SipLeg(
            self._services,
            part,
            parties,
            audio,
            leg_id=LegId(ids.new_uuid()),
            session_id=session_id,
            call_uuid=call_uuid,
        )
        self._live[leg.leg_id] = leg
        self._unplaced.add(session_id)
        if leg.trunk_name:
            self._legs_of_trunk[leg.trunk_name] += 1
        return leg

    def _place(self, leg: SipLeg, outbound: OutboundInvite) -> InviteId:
        # The endpoint may report on the new INVITE before `invite` has returned its id.
        early = self._placed_early = []
        try:
            invite_id = self._sip.invite(outbound)
        finally:
            self._placed_early = None
        leg.invite_id = invite_id
        self._by_invite[invite_id] = leg
        self._sip_timeline.name(invite_id, leg.call_uuid)
        for event in early:
            if event.invite_id == invite_id:
                self.handle_sip_event(event)
        return invite_id

    def _forget(self, leg: SipLeg) -> None:
        self._live.pop(leg.leg_id, None)
        self._unplaced.discard(leg.session_id)
        self._by_invite.pop(leg.invite_id, None)
        if leg.trunk_name:
            self._legs_of_trunk[leg.trunk_name] -= 1
            if self._legs_of_trunk[leg.trunk_name] <= 0:
                del self._legs_of_trunk[leg.trunk_name]

    def _trunk(self, name: str) -> Trunk | None:
        return next((trunk for trunk in self.trunks if trunk.name == name), None)

    def _load(self, *, is_overloaded: bool = False) -> Load:
        return Load(self.live_count, self._legs_of_trunk, self._is_draining, is_overloaded)

    def _complete(self, uri: str) -> str:
        """Return a URI as it is, and a bare user part at our domain."""
        if ":" in uri:
            return uri
        return f"sip:{escape_user(uri) or 'anonymous'}@{self._settings.domain}"


def _gateway_uri(gateway: Gateway) -> str:
    host = f"[{gateway.host}]" if ":" in gateway.host else gateway.host
    port = f":{gateway.port}" if gateway.port else ""
    return f"sip:{host}{port};transport={gateway.transport.lower()}"
