"""Which target is next, and the requests of an attempt."""

from __future__ import annotations

from ringback.sip.address import name_addr
from ringback.sip.flow import Target, Transport
from ringback.sip.invite.attempts import Attempts, cancel_of, invite_of
from ringback.sip.invite.host import Path
from ringback.sip.invite.values import OutboundInvite


def entry(host: str, transport: Transport = Transport.UDP) -> tuple[Target, Path]:
    target = Target(transport, host, 5060)
    return target, Path(target, "192.0.2.1:5060")


def order(attempts: Attempts, is_large: bool) -> list[tuple[str, str]]:
    found = []
    while len(attempts):
        to = attempts.take(is_large).destination
        assert isinstance(to, Target)
        found.append((to.host, to.transport.value))
    return found


def test_targets_are_taken_in_order() -> None:
    entries = [entry("a"), entry("a", Transport.TCP), entry("b")]
    assert order(Attempts(entries), is_large=False) == [("a", "UDP"), ("a", "TCP"), ("b", "UDP")]


def test_large_requests_take_tcp_of_the_same_host_first() -> None:
    entries = [entry("a"), entry("b", Transport.TCP), entry("a", Transport.TCP)]
    assert order(Attempts(entries), is_large=True) == [("a", "TCP"), ("a", "UDP"), ("b", "TCP")]
    assert order(Attempts([entry("a"), entry("b", Transport.TCP)]), is_large=True) == [("a", "UDP"), ("b", "TCP")]


def test_invite_and_its_cancel_share_what_they_must() -> None:
    outbound = OutboundInvite(
        request_uri="sip:200@far.example",
        from_=name_addr("sip:me@192.0.2.1", "Me", {"tag": "theirs"}),
        to=name_addr("sip:200@far.example"),
        targets=(),
        route=("<sip:strict.example>", "<sip:next.example;lr>"),
    )
    path = entry("a", Transport.TCP)[1]
    invite = invite_of(
        outbound, path, call_id="c1", from_tag="ours", cseq=4, token="t1", user_agent="Ringback", authorization=()
    )
    assert invite.uri_text == "sip:strict.example"
    assert invite.headers.all("route") == ("<sip:next.example;lr>", "<sip:200@far.example>")
    assert invite.from_.tag == "ours"
    assert invite.via.transport == "TCP"
    assert "content-type" not in invite.headers
    cancel = cancel_of(invite, (("reason", "SIP;cause=200"),))
    for name in ("via", "route", "from", "to", "call-id"):
        assert cancel.headers.lines(name) == invite.headers.lines(name)
    assert (cancel.uri_text, str(cancel.cseq)) == (invite.uri_text, "4 CANCEL")
    assert cancel.headers.get("reason") == "SIP;cause=200"
