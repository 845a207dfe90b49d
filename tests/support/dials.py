"""`<Dial>` in tests: documents with it, and whether two phones hear each other."""

from __future__ import annotations

import asyncio
from xml.sax.saxutils import escape, quoteattr

from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.tones import Samples
from tests.support.live_calls import say_until
from tests.support.waiting import until

A_HZ, B_HZ = 700, 1500
"""What the caller and the party that was dialled play to each other."""
RING_HZ = 440


def element(tag: str, inside: str, **attributes: object) -> str:
    """Return one XML element; `inside` is XML."""
    text = "".join(f" {name}={quoteattr(str(value))}" for name, value in attributes.items())
    return f"<{tag}{text}>{inside}</{tag}>"


def user(uri: str, **attributes: object) -> str:
    """Return a `<User>`."""
    return element("User", escape(uri), **attributes)


def dial(*parties: str, **attributes: object) -> str:
    """Return a `<Dial>` of these parties: SIP URIs, or complete elements."""
    return element("Dial", "".join(each if each.startswith("<") else user(each) for each in parties), **attributes)


def tone_ms(samples: Samples, pitch_hz: float) -> int:
    """Return how much of a pitch stands in 8 kHz samples, whatever sounds besides."""
    windows = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    return 40 * sum(tones.goertzel_dbov(window, pitch_hz) > -32 for window in windows)


async def until_tone(call: PhoneCall, pitch_hz: float, at_least_ms: int = 300, since: int = 0) -> None:
    """Return when the phone has heard so much of a pitch after sample `since`."""
    await until(lambda: hears(call, pitch_hz, at_least_ms, since), f"{pitch_hz} Hz at a phone")


def hears(call: PhoneCall, pitch_hz: float, at_least_ms: int = 300, since: int = 0) -> bool:
    """Return whether the phone has heard so much of a pitch after sample `since`."""
    return tone_ms(call.heard_samples()[since:], pitch_hz) >= at_least_ms


async def assert_joined(a_call: PhoneCall, b_call: PhoneCall) -> None:
    """Check that each of two phones hears the other's tone, and not its own."""
    calls = (a_call, b_call)
    before = [len(call.heard_samples()) for call in calls]
    await asyncio.gather(
        say_until(
            a_call, tones.tone(A_HZ, 600), lambda: hears(b_call, A_HZ, 280, before[1]), "the caller at the callee"
        ),
        say_until(
            b_call, tones.tone(B_HZ, 600), lambda: hears(a_call, B_HZ, 280, before[0]), "the callee at the caller"
        ),
    )
    assert tone_ms(a_call.heard_samples()[before[0] :], A_HZ) <= 80, "the caller hears itself"
    assert tone_ms(b_call.heard_samples()[before[1] :], B_HZ) <= 80, "the callee hears itself"
