"""Phones in a conference, each with a tone of its own: who hears whom is a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone
from ringback.testing import tones
from ringback.testing.platform import Platform
from tests.support.customer import Customer, response
from tests.support.live_calls import answered
from tests.support.waiting import until

SAID_DBOV = -26.0
HEARD_DBOV = -32.0
SILENT_DBOV = -50.0
_JUDGED_SAMPLES = 8 * 300
_TONE_MS = 60_000


class Participant:
    """A call that hums one tone for a minute."""

    def __init__(self, call: PhoneCall, pitch_hz: float) -> None:
        self.call = call
        self.pitch_hz = pitch_hz
        call.play(tones.tone(pitch_hz, _TONE_MS, level_dbov=SAID_DBOV))

    @property
    def uuid(self) -> str:
        """Return the CallUUID."""
        return self.call.call_uuid

    def level_of(self, pitch_hz: float) -> float:
        """Return the level of a pitch in the last 300 ms that were heard."""
        return tones.goertzel_dbov(self.call.heard_samples()[-_JUDGED_SAMPLES:], pitch_hz)

    async def hears(self, *others: Participant) -> None:
        """Return when all of these are heard at once."""
        await until(
            lambda: all(self.level_of(other.pitch_hz) > HEARD_DBOV for other in others),
            f"{self.pitch_hz} Hz to hear {[other.pitch_hz for other in others]}",
        )

    async def hears_nothing_of(self, *others: Participant) -> None:
        """Return when none of these is heard, itself for instance."""
        await until(
            lambda: all(self.level_of(other.pitch_hz) < SILENT_DBOV for other in others),
            f"{self.pitch_hz} Hz to hear nothing of {[other.pitch_hz for other in others]}",
        )


def conference(name: str, **attributes: str) -> str:
    """Return the element."""
    text = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f"<Conference {text}>{name}</Conference>"


async def enter(
    customer: Customer, phone: Phone, platform: Platform, pitch_hz: float, *elements: str, hangs_up: bool = True
) -> Participant:
    """Return a phone's answered call to a number with this document."""
    path = f"/answer-{pitch_hz}-{len(customer.documents)}"
    options: dict[str, Any] = {"hangup_url": customer.url("/hangup")} if hangs_up else {}
    number = await customer.number(customer.serve(path, response(*elements)), **options)
    return Participant(await answered(phone, platform, number), pitch_hz)


def pitches(count: int) -> list[float]:
    """Return so many pitches that no other one's harmonics or sums touch within the telephone band."""
    return [330.0 + 290.0 * index for index in range(count)]


async def all_hear_each_other(members: Sequence[Participant]) -> None:
    """Return when each hears all others and not itself."""
    for member in members:
        await member.hears(*(other for other in members if other is not member))
    for member in members:
        await member.hears_nothing_of(member)
