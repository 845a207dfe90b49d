"""`media.worker.ports`: even, random, rested, never twice."""

from __future__ import annotations

import random

from ringback.machine import SECOND, Instant, after_ms
from ringback.media.worker.ports import PortRange

T0 = Instant(10 * SECOND)


def test_ports_are_even_and_inside_and_given_once() -> None:
    ports = PortRange(20_001, 20_011, 30_000, 5_000)
    dice = random.Random(1)
    taken = [ports.take(T0, dice.random) for _ in range(5)]
    assert sorted(port for port in taken if port is not None) == [20_002, 20_004, 20_006, 20_008, 20_010]
    assert ports.take(T0, dice.random) is None
    assert ports.taken == 5


def test_the_order_follows_chance() -> None:
    orders = set()
    for seed in range(5):
        ports = PortRange(20_000, 20_099, 30_000, 5_000)
        dice = random.Random(seed)
        orders.add(tuple(ports.take(T0, dice.random) for _ in range(5)))
    assert len(orders) == 5


def test_a_released_port_rests_while_others_are_free() -> None:
    ports = PortRange(20_000, 20_003, 30_000, 5_000)
    first = ports.take(T0, lambda: 0.0)
    assert first is not None
    ports.release(T0, first)
    assert ports.taken == 0
    other = ports.take(after_ms(T0, 29_999), lambda: 0.0)
    assert other not in (None, first)


def test_the_last_port_comes_back_after_the_short_rest_and_not_before() -> None:
    ports = PortRange(20_000, 20_001, 30_000, 5_000)
    assert ports.take(T0, lambda: 0.9) == 20_000
    ports.release(T0, 20_000)
    assert ports.take(after_ms(T0, 4_999), lambda: 0.9) is None
    assert ports.take(after_ms(T0, 5_000), lambda: 0.9) == 20_000


def test_a_port_is_free_again_after_the_full_rest() -> None:
    ports = PortRange(20_000, 20_003, 30_000, 5_000)
    first = ports.take(T0, lambda: 0.0)
    assert first is not None
    ports.release(T0, first)
    later = after_ms(T0, 30_000)
    assert {ports.take(later, lambda: 0.0), ports.take(later, lambda: 0.0)} == {20_000, 20_002}


def test_releasing_twice_changes_nothing() -> None:
    ports = PortRange(20_000, 20_003, 30_000, 5_000)
    first = ports.take(T0, lambda: 0.0)
    assert first is not None
    ports.release(T0, first)
    ports.release(T0, first)
    ports.release(T0, 19_998)
    later = after_ms(T0, 30_000)
    assert ports.take(later, lambda: 0.0) is not None
    assert ports.take(later, lambda: 0.0) is not None
    assert ports.take(later, lambda: 0.0) is None
