"""Slots and bodies."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.egress.body import RATIO_MAX, BodyReader
from ringback.egress.errors import ConnectFailed, EgressFailed, ExchangeFailed, ResponseTooLarge
from ringback.egress.slots import Slots


async def test_slot_is_given_in_turn_and_nothing_is_left() -> None:
    slots = Slots(wait_ms=1_000)
    order: list[int] = []

    async def use(number: int) -> None:
        async with slots.hold(("a", 1), ("total", 2)):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*[use(number) for number in range(5)])
    assert order == [0, 1, 2, 3, 4]
    assert slots.names_in_use == 0


async def test_limit_holds_and_one_more_waits_in_vain() -> None:
    slots = Slots(wait_ms=20)
    async with slots.hold(("a", 2)), slots.hold(("a", 2)):
        with pytest.raises(ConnectFailed):
            async with slots.hold(("a", 2)):
                raise AssertionError("a third slot")
        async with slots.hold(("b", 2)):
            pass
    assert slots.names_in_use == 0


async def test_slot_taken_before_a_vain_wait_is_given_back() -> None:
    slots = Slots(wait_ms=20)
    async with slots.hold(("total", 1)):
        with pytest.raises(ConnectFailed):
            async with slots.hold(("a", 1), ("total", 1)):
                raise AssertionError("no slot was free")
        async with slots.hold(("a", 1)):
            pass


async def test_cancelled_waiter_leaves_nothing() -> None:
    slots = Slots(wait_ms=5_000)

    async def use() -> None:
        async with slots.hold(("a", 1)):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(use()) for _ in range(3)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert slots.names_in_use == 0


def read(body: BodyReader, data: bytes, step: int = 7) -> bytes:
    found = b"".join(body.feed(data[at : at + step]) for at in range(0, len(data), step))
    body.finish()
    return found


@given(st.binary(max_size=300), st.integers(1, 50), st.booleans())
def test_body_comes_out_as_it_went_in(data: bytes, step: int, is_packed: bool) -> None:
    packed = gzip.compress(data) if is_packed else data
    assert read(BodyReader("gzip" if is_packed else "", 300), packed, step) == data


@given(st.binary(max_size=200))
def test_any_gzip_bytes_give_a_body_or_our_error(data: bytes) -> None:
    for body in (data, gzip.compress(b"x" * 50)[:-8] + data):
        try:
            read(BodyReader("gzip", 1_000), body)
        except EgressFailed:
            pass


@pytest.mark.parametrize("encoding", ["", "identity", "gzip"])
def test_bound_passes_and_one_more_is_refused(encoding: str) -> None:
    def packed(size: int) -> bytes:
        return gzip.compress(b"x" * size) if encoding == "gzip" else b"x" * size

    assert len(read(BodyReader(encoding, 100), packed(100))) == 100
    with pytest.raises(ResponseTooLarge):
        read(BodyReader(encoding, 100), packed(101))
    cut = BodyReader(encoding, 100, is_cut=True)
    assert len(read(cut, packed(101))) == 100
    assert cut.is_full


def test_inflating_more_than_a_hundredfold_is_refused() -> None:
    data = gzip.compress(b"\0" * 1_000_000)
    assert len(data) * RATIO_MAX < 1_000_000
    with pytest.raises(ResponseTooLarge, match="inflates"):
        read(BodyReader("gzip", 10_000_000), data, step=len(data))


def test_small_repetitive_bodies_pass() -> None:
    assert len(read(BodyReader("gzip", 20_000), gzip.compress(b" " * 16_000))) == 16_000


def test_other_encodings_are_refused() -> None:
    for encoding in ("br", "deflate", "gzip, gzip", "zstd"):
        with pytest.raises(ExchangeFailed):
            BodyReader(encoding, 100)


def test_incomplete_gzip_is_refused() -> None:
    body = BodyReader("gzip", 100)
    body.feed(gzip.compress(b"abc")[:-4])
    with pytest.raises(ExchangeFailed):
        body.finish()
    raw = zlib.compress(b"abc")
    with pytest.raises(ExchangeFailed):
        BodyReader("gzip", 100).feed(raw)
