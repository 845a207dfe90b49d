"""A phone that answers whatever rings, so that many calls of the platform can be told apart by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone, PhoneSettings


class AnsweringPhone:
    """State: answers between the ends of `answering_phone`."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._calls: dict[str, PhoneCall] = {}
        self._arrived = asyncio.Condition()

    @property
    def uri(self) -> str:
        """Return where to call it."""
        return self.phone.uri

    async def call_of(self, call_uuid: str, timeout_s: float = 20) -> PhoneCall:
        """Return the answered call of this id as soon as it came."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: call_uuid in self._calls)
            return self._calls[call_uuid]

    async def run(self) -> None:
        """Answer for ever."""
        while True:
            call = await self.phone.next_call(timeout_s=3_600)
            call.ring()
            call.answer()
            async with self._arrived:
                self._calls[call.call_uuid] = call
                self._arrived.notify_all()


@asynccontextmanager
async def answering_phone(user: str = "15550003333") -> AsyncIterator[AnsweringPhone]:
    """Run one; calls that are left are hung up."""
    phone = Phone(PhoneSettings(user=user))
    await phone.start()
    answering = AnsweringPhone(phone)
    task = asyncio.create_task(answering.run())
    try:
        yield answering
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await phone.hang_up_all()
        await phone.close()
