"""The one owner of an endpoint's sockets, resolver and timer handle; verbs of `sip.endpoint.Endpoint` without `now`.

Signatures (every verb but `invite` returns whether it took effect; an unknown or ended id is no error):

    SipDriver(settings, *, on_event, on_trace=None, is_trusted=None)
    async start()                                   binds all listeners; raises SipBindFailed
    async close()                                   closes every socket; calls are not hung up
    listeners -> tuple[Listener, ...]               with the real ports
    async resolve(uri: str) -> tuple[Target, ...]   RFC 3263; raises TargetNotFound
    set_draining(draining: bool)                    503 to new INVITE and OPTIONS
    idle -> bool                                    no call, transaction or connection left

    invite(outbound: OutboundInvite) -> InviteId
    progress(invite_id, status, sdp=None, headers=()) -> bool
    answer(invite_id, sdp: bytes, headers=()) -> bool
    reject(invite_id, status, reason="", headers=()) -> bool
    hangup(invite_id, reason_header="", headers=()) -> bool
    ack_with(invite_id, sdp: bytes) -> bool
    reoffer(invite_id, sdp: bytes | None) -> bool
    accept_reoffer(invite_id, sdp: bytes) -> bool
    refuse_reoffer(invite_id, status, reason="") -> bool
    send_info(invite_id, content_type, body: bytes) -> bool

    on_event(event: InviteEvent) and on_trace(trace: SipTrace) are called on the loop and must not block;
    verbs may be called from inside them.
"""
