"""Target ordering by RFC 3263 with injected DNS answers."""

from __future__ import annotations

import pytest

from ringback.machine import MS, Instant
from ringback.sip.flow import Target, Transport
from ringback.sip.resolve import (
    MAX_TARGETS,
    AnswerCache,
    DnsAnswer,
    DnsKind,
    DnsQuestion,
    NaptrRecord,
    SrvRecord,
    TargetNotFound,
    is_failover_status,
    locate,
    order_naptr,
    order_srv,
)
from ringback.sip.uri import parse_uri

UDP, TCP = Transport.UDP, Transport.TCP


class Zone:
    """Answers questions from a table and notes the rounds in which they were asked."""

    def __init__(self, **records: DnsAnswer) -> None:
        self.records = records
        self.rounds: list[list[str]] = []

    def targets(
        self, uri: str, transports: tuple[Transport, ...] = (UDP, TCP), chance: float = 0.0
    ) -> tuple[Target, ...]:
        """Return the targets of `uri` in this zone."""
        steps = locate(parse_uri(uri), transports, lambda: chance)
        try:
            questions = next(steps)
            while True:
                keys = [f"{question.kind.value} {question.name}" for question in questions]
                self.rounds.append(keys)
                questions = steps.send(tuple(self.records.get(key, DnsAnswer()) for key in keys))
        except StopIteration as done:
            found: tuple[Target, ...] = done.value
            return found


def zone(**records: DnsAnswer) -> Zone:
    """Return an empty zone plus `records`."""
    return Zone(**records)


def addresses(*hosts: str) -> DnsAnswer:
    """Return an answer of addresses."""
    return DnsAnswer(addresses=hosts)


def srv(*records: tuple[int, int, int, str]) -> DnsAnswer:
    """Return an answer of SRV records."""
    return DnsAnswer(srv=tuple(SrvRecord(*record) for record in records))


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:a@192.0.2.1", Target(UDP, "192.0.2.1", 5060)),
        ("sip:a@192.0.2.1:5080", Target(UDP, "192.0.2.1", 5080)),
        ("sip:a@192.0.2.1;transport=TCP", Target(TCP, "192.0.2.1", 5060)),
        ("sip:a@[2001:db8::1]:5070", Target(UDP, "2001:db8::1", 5070)),
        ("sip:a@example.com;maddr=192.0.2.9", Target(UDP, "192.0.2.9", 5060)),
    ],
)
def test_numeric_hosts_need_no_dns(uri: str, target: Target) -> None:
    empty = zone()
    assert empty.targets(uri) == (target,)
    assert empty.rounds == []


def test_a_port_means_addresses_only() -> None:
    names = zone(**{"A pbx1": addresses("192.0.2.1", "192.0.2.2"), "AAAA pbx1": addresses("2001:db8::1")})
    assert names.targets("sip:a@PBX1:5080") == (
        Target(UDP, "192.0.2.1", 5080),
        Target(UDP, "192.0.2.2", 5080),
        Target(UDP, "2001:db8::1", 5080),
    )
    assert names.rounds == [["A pbx1", "AAAA pbx1"]]


def test_a_transport_means_its_srv_records() -> None:
    names = zone(
        **{
            "SRV _sip._tcp.example.com": srv((20, 0, 5062, "b.example.com."), (10, 0, 5061, "a.example.com")),
            "A a.example.com": addresses("192.0.2.1"),
            "A b.example.com": addresses("192.0.2.2"),
        }
    )
    assert names.targets("sip:a@example.com;transport=tcp") == (
        Target(TCP, "192.0.2.1", 5061),
        Target(TCP, "192.0.2.2", 5062),
    )


def test_a_transport_without_srv_records_falls_back_to_addresses() -> None:
    names = zone(**{"A example.com": addresses("192.0.2.1")})
    assert names.targets("sip:a@example.com.;transport=tcp") == (Target(TCP, "192.0.2.1", 5060),)


def test_naptr_decides_the_transport() -> None:
    names = zone(
        **{
            "NAPTR example.com": DnsAnswer(
                naptr=(
                    NaptrRecord(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
                    NaptrRecord(100, 50, "S", "SIP+D2U", "_sip._udp.example.com"),
                    NaptrRecord(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com."),
                )
            ),
            "SRV _sip._tcp.example.com": srv((0, 1, 5060, "s1.example.com")),
            "SRV _sip._udp.example.com": srv((0, 1, 5060, "s2.example.com")),
            "A s1.example.com": addresses("192.0.2.1"),
            "A s2.example.com": addresses("192.0.2.2"),
        }
    )
    assert names.targets("sip:a@example.com") == (Target(TCP, "192.0.2.1", 5060), Target(UDP, "192.0.2.2", 5060))
    assert [len(asked) for asked in names.rounds] == [1, 2, 4]


def test_without_naptr_srv_is_asked_for_every_transport() -> None:
    names = zone(
        **{
            "SRV _sip._udp.example.com": srv((0, 1, 5060, "s.example.com")),
            "SRV _sip._tcp.example.com": srv((0, 1, 5061, "s.example.com")),
            "A s.example.com": addresses("192.0.2.1"),
        }
    )
    assert names.targets("sip:a@example.com") == (Target(UDP, "192.0.2.1", 5060), Target(TCP, "192.0.2.1", 5061))
    assert names.rounds[2] == ["A s.example.com", "AAAA s.example.com"]


def test_without_any_record_udp_and_the_default_port() -> None:
    names = zone(**{"A example.com": addresses("192.0.2.1")})
    assert names.targets("sip:a@example.com") == (Target(UDP, "192.0.2.1", 5060),)
    assert names.targets("sip:a@example.com", (TCP,)) == (Target(TCP, "192.0.2.1", 5060),)


def test_srv_targets_may_be_numeric_and_absent_services_are_skipped() -> None:
    names = zone(**{"SRV _sip._udp.x": srv((0, 0, 5060, "192.0.2.5"), (1, 0, 5060, "."), (2, 0, 0, "y"))})
    assert names.targets("sip:x;transport=udp") == (Target(UDP, "192.0.2.5", 5060),)
    assert names.rounds == [["SRV _sip._udp.x"]]


def test_addresses_come_in_their_shortest_form() -> None:
    names = zone(**{"AAAA x": addresses("2001:DB8:0:0::1", "2001:db8::1")})
    assert names.targets("sip:x:5060") == (Target(UDP, "2001:db8::1", 5060),)


def test_same_target_stands_once() -> None:
    names = zone(
        **{
            "SRV _sip._udp.x": srv((0, 0, 5060, "a"), (1, 0, 5060, "b")),
            "A a": addresses("192.0.2.1"),
            "A b": addresses("192.0.2.1"),
        }
    )
    assert names.targets("sip:x;transport=udp") == (Target(UDP, "192.0.2.1", 5060),)


def test_targets_are_bounded() -> None:
    many = addresses(*(f"192.0.2.{number}" for number in range(1, 60)))
    assert len(zone(**{"A x": many}).targets("sip:x:5060")) == MAX_TARGETS
    names = zone(**{"SRV _sip._udp.x": srv(*((0, 0, 5060, f"h{number}") for number in range(60)))})
    with pytest.raises(TargetNotFound):
        names.targets("sip:x;transport=udp")
    assert len(names.rounds[-1]) == 2 * MAX_TARGETS


@pytest.mark.parametrize("uri", ["tel:+1555", "urn:x:y", "sips:a@192.0.2.1", "sip:a@192.0.2.1;transport=ws"])
def test_what_cannot_be_sent_to(uri: str) -> None:
    with pytest.raises(TargetNotFound):
        zone().targets(uri)


def test_no_address_tells_whether_dns_failed() -> None:
    with pytest.raises(TargetNotFound) as caught:
        zone().targets("sip:x:5060")
    assert caught.value.fields["has_dns_failed"] is False
    with pytest.raises(TargetNotFound) as caught:
        zone(**{"A x": DnsAnswer(has_failed=True)}).targets("sip:x:5060")
    assert caught.value.fields["has_dns_failed"] is True
    assert caught.value.code == "host-not-found"


def test_unreadable_addresses_are_left_out() -> None:
    assert zone(**{"A x": addresses("nonsense", "192.0.2.1")}).targets("sip:x:5060") == (
        Target(UDP, "192.0.2.1", 5060),
    )


def test_srv_weight_is_a_lot() -> None:
    light, heavy = SrvRecord(0, 10, 1, "light"), SrvRecord(0, 90, 1, "heavy")
    assert [record.target for record in order_srv([heavy, light], lambda: 0.0)] == ["light", "heavy"]
    assert [record.target for record in order_srv([heavy, light], lambda: 0.5)] == ["heavy", "light"]
    draws = [number / 1_000 for number in range(1_000)]
    firsts = [order_srv([heavy, light], lambda draw=draw: draw)[0].target for draw in draws]  # type: ignore[misc]
    assert 850 < firsts.count("heavy") < 930


def test_srv_of_weight_zero_is_last_but_not_never() -> None:
    zero, one = SrvRecord(0, 0, 1, "zero"), SrvRecord(0, 1, 1, "one")
    assert order_srv([one, zero], lambda: 0.99)[0] is one
    assert order_srv([one, zero], lambda: 0.0)[0] is zero


def test_a_draw_of_one_ends_too() -> None:
    assert len(order_srv([SrvRecord(0, 1, 1, "a"), SrvRecord(0, 2, 1, "b")], lambda: 1.0)) == 2


def test_srv_priority_comes_before_weight() -> None:
    records = [SrvRecord(2, 100, 1, "c"), SrvRecord(1, 0, 1, "a"), SrvRecord(1, 0, 1, "b")]
    assert [record.target for record in order_srv(records, lambda: 0.9)] == ["a", "b", "c"]
    assert order_srv([], lambda: 0.5) == []


def test_naptr_order_before_preference_and_unusable_left_out() -> None:
    records = [
        NaptrRecord(2, 1, "s", "sip+d2u", "u2"),
        NaptrRecord(1, 2, "s", "sip+d2t", "t"),
        NaptrRecord(1, 1, "s", "sip+d2u", "u1"),
        NaptrRecord(0, 0, "u", "sip+d2u", "regex"),
        NaptrRecord(0, 0, "s", "sip+d2s", "sctp"),
        NaptrRecord(0, 0, "s", "sip+d2u", "."),
    ]
    assert order_naptr(records, (UDP, TCP)) == [(UDP, "u1"), (TCP, "t"), (UDP, "u2")]
    assert order_naptr(records, (TCP,)) == [(TCP, "t")]


def test_only_503_moves_on() -> None:
    assert [
        status for status in (200, 302, 401, 404, 408, 480, 486, 500, 503, 504, 603) if is_failover_status(status)
    ] == [503]


# The cache.

NOW = Instant(1_000 * MS)
QUESTION = DnsQuestion(DnsKind.A, "x")


def test_answers_are_fresh_for_their_time_to_live() -> None:
    cache = AnswerCache()
    good = DnsAnswer(addresses=("192.0.2.1",), ttl_ms=5_000)
    assert cache.fresh(NOW, QUESTION) is None
    assert cache.settle(NOW, QUESTION, good) is good
    assert cache.fresh(Instant(NOW + 5_000 * MS - 1), QUESTION) is good
    assert cache.fresh(Instant(NOW + 5_000 * MS), QUESTION) is None


def test_time_to_live_has_bounds() -> None:
    cache = AnswerCache(min_ttl_ms=1_000, max_ttl_ms=2_000)
    cache.settle(NOW, QUESTION, DnsAnswer(ttl_ms=0))
    assert cache.fresh(Instant(NOW + 999 * MS), QUESTION) is not None
    cache.settle(NOW, QUESTION, DnsAnswer(ttl_ms=86_400_000))
    assert cache.fresh(Instant(NOW + 2_000 * MS), QUESTION) is None


def test_last_good_answer_serves_when_dns_fails() -> None:
    cache = AnswerCache()
    good, bad = DnsAnswer(addresses=("192.0.2.1",), ttl_ms=1_000), DnsAnswer(has_failed=True)
    assert cache.settle(NOW, QUESTION, bad) is bad
    cache.settle(NOW, QUESTION, good)
    later = Instant(NOW + 3_600_000 * MS)
    assert cache.fresh(later, QUESTION) is None
    assert cache.settle(later, QUESTION, bad) is good


def test_cache_is_bounded_and_forgets_the_longest_unused() -> None:
    cache = AnswerCache(max_entries=2)
    names = [DnsQuestion(DnsKind.A, name) for name in "abc"]
    cache.settle(NOW, names[0], DnsAnswer(ttl_ms=9_000))
    cache.settle(NOW, names[1], DnsAnswer(ttl_ms=9_000))
    assert cache.fresh(NOW, names[0]) is not None
    assert len(cache) == 2
    cache.settle(NOW, names[2], DnsAnswer(ttl_ms=9_000))
    assert len(cache) == 2
    assert cache.fresh(NOW, names[1]) is None
    assert cache.fresh(NOW, names[0]) is not None
