"""More than one try for what is judged by audio in real time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

TRIES = 5


async def in_some_try(attempt: Callable[[int], Awaitable[None]], tries: int = TRIES) -> None:
    """Return when `attempt`, which is told the number of the try, passes once.

    Phones, workers and agents keep time only as far as the machine lets them: audio of one that was made to wait has a
    hole, which is no fault. What the product breaks it breaks each time.

    Raises:
        AssertionError: of the last try.
    """
    for number in range(tries - 1):
        try:
            await attempt(number)
        except AssertionError:
            continue
        return
    await attempt(tries - 1)
