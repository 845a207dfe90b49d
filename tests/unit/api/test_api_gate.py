"""Places at the gate, at N and N+1."""

from __future__ import annotations

from ringback.api.gate import Gate, GateSettings


def test_places_per_source() -> None:
    gate = Gate(GateSettings(per_source_max=2))
    assert [gate.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert gate.enter("192.0.2.2")
    gate.leave("192.0.2.1")
    assert gate.enter("192.0.2.1")
    assert (gate.refused, gate.open_connections) == (1, 3)


def test_places_in_all() -> None:
    gate = Gate(GateSettings(connections_max=2))
    assert [gate.enter(source) for source in ("192.0.2.1", "192.0.2.2", "192.0.2.3")] == [True, True, False]


def test_loopback_is_bounded_in_all_only() -> None:
    gate = Gate(GateSettings(per_source_max=1, connections_max=3))
    assert [gate.enter(source) for source in ("127.0.0.1", "127.0.0.1", "::1", "::1")] == [True, True, True, False]


def test_nothing_is_remembered_of_sources_that_left() -> None:
    gate = Gate(GateSettings())
    for source in ("192.0.2.1", "not-an-address", ""):
        assert gate.enter(source)
        gate.leave(source)
    assert gate.open_connections == 0
    assert not gate._sources
