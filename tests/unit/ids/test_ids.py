"""Names are well-formed, of the size asked for, and never given twice, whoever asks."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback import ids


def test_uuids_are_random_ones_and_differ() -> None:
    names = {ids.new_uuid() for _ in range(1_000)}
    assert len(names) == 1_000
    assert all(uuid.UUID(name).version == 4 and str(uuid.UUID(name)) == name for name in names)


@pytest.mark.parametrize("size_bytes", [1, 8, 16, 17, 5_000])
def test_tokens_have_the_size_asked_for(size_bytes: int) -> None:
    assert len(ids.new_token(size_bytes)) == 2 * size_bytes


def test_threads_never_get_the_same_name() -> None:
    with ThreadPoolExecutor(8) as pool:
        names = [
            name for mine in pool.map(lambda _: [ids.new_token(16) for _ in range(2_000)], range(8)) for name in mine
        ]
    assert len(set(names)) == len(names)
