"""Who may call, and how many legs may live."""

from __future__ import annotations

import pytest

from ringback.numbers.trunks import Trunk
from ringback.signalling.admission import Load, Verdict, admit_inbound, admit_outbound, is_loopback
from ringback.signalling.settings import SignallingSettings, StrangerPolicy

TRUNK = Trunk("acme", allowed_addresses=("203.0.113.0/24",), max_calls=2)
SETTINGS = SignallingSettings(maximum_legs=5)


def verdict(host: str, settings: SignallingSettings = SETTINGS, load: Load | None = None) -> Verdict:
    """Return the verdict on a caller."""
    return admit_inbound(settings, (TRUNK,), host, load or Load(0, {})).verdict


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_trusted_when_the_setting_says_so(host: str) -> None:
    assert is_loopback(host)
    assert verdict(host) is Verdict.ADMIT
    assert verdict(host, SignallingSettings(trust_loopback=False)) is Verdict.DROP


def test_trunk_addresses_are_admitted_with_their_trunk() -> None:
    admission = admit_inbound(SETTINGS, (TRUNK,), "203.0.113.5", Load(0, {}))
    assert (admission.verdict, admission.trunk) == (Verdict.ADMIT, TRUNK)


@pytest.mark.parametrize("host", ["198.51.100.1", "2001:db8::1", "not an address"])
def test_strangers_are_dropped_or_forbidden(host: str) -> None:
    assert verdict(host) is Verdict.DROP
    assert verdict(host, SignallingSettings(strangers=StrangerPolicy.FORBID)) is Verdict.FORBID


def test_legs_are_bounded() -> None:
    assert verdict("127.0.0.1", load=Load(4, {})) is Verdict.ADMIT
    assert verdict("127.0.0.1", load=Load(5, {})) is Verdict.FULL
    assert verdict("198.51.100.1", load=Load(5, {})) is Verdict.DROP


def test_trunks_are_bounded() -> None:
    assert verdict("203.0.113.5", load=Load(1, {"acme": 1, "other": 9})) is Verdict.ADMIT
    assert verdict("203.0.113.5", load=Load(2, {"acme": 2})) is Verdict.TRUNK_FULL
    assert admit_outbound(SETTINGS, TRUNK, Load(2, {"acme": 2})) is Verdict.TRUNK_FULL
    assert admit_outbound(SETTINGS, Trunk("open"), Load(2, {"open": 2})) is Verdict.ADMIT
    assert admit_outbound(SETTINGS, None, Load(4, {})) is Verdict.ADMIT
    assert admit_outbound(SETTINGS, None, Load(5, {})) is Verdict.FULL


def test_draining_comes_first() -> None:
    load = Load(9, {}, is_draining=True)
    assert verdict("127.0.0.1", load=load) is Verdict.DRAINING
    assert admit_outbound(SETTINGS, None, load) is Verdict.DRAINING


def test_overload_refuses_whoever_may_call_and_strangers_learn_nothing() -> None:
    load = Load(0, {}, is_overloaded=True)
    assert verdict("127.0.0.1", load=load) is Verdict.OVERLOADED
    assert verdict("203.0.113.5", load=load) is Verdict.OVERLOADED
    assert verdict("198.51.100.1", load=load) is Verdict.DROP
    assert verdict("127.0.0.1", load=Load(5, {}, is_overloaded=True)) is Verdict.FULL
