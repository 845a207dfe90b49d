"""`media.pool.supervisor`: the cutting of the RTP range."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import ConfigError
from ringback.media.pool.supervisor import slice_ports


@given(st.integers(1_024, 60_000), st.integers(0, 5_000), st.integers(1, 16))
def test_slices_are_disjoint_even_and_inside(low: int, size: int, workers: int) -> None:
    high = low + size
    try:
        slices = slice_ports(low, high, workers)
    except ConfigError:
        assert size < 2 * workers + 2
        return
    assert len(slices) == workers
    assert slices[0][0] >= low
    assert slices[-1][1] <= high
    for first, last in slices:
        assert first % 2 == 0
        assert last - first >= 1
    for (_, last), (first, _) in itertools.pairwise(slices):
        assert last < first


def test_the_smallest_range_and_one_port_less() -> None:
    assert slice_ports(20_000, 20_003, 2) == [(20_000, 20_001), (20_002, 20_003)]
    with pytest.raises(ConfigError, match="RTP range"):
        slice_ports(20_000, 20_002, 2)
