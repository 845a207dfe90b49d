import os
import socket

import pytest

from ringback.cli.failure import Failure
from ringback.cli.ports import choose_port, is_free, owner_of

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


@pytest.fixture
def taken():
    with socket.socket(socket.AF_INET, TCP) as listener:
        listener.bind(("127.0.0.1", choose_port("127.0.0.1", 0, [UDP, TCP], explicit=True, flag="")))
        listener.listen()
        yield listener.getsockname()[1]


def test_taken_port_is_seen_for_its_own_kind_only(taken):
    assert not is_free("127.0.0.1", taken, [TCP])
    assert is_free("127.0.0.1", taken, [UDP])
    assert not is_free("127.0.0.1", taken, [UDP, TCP])


def test_taken_default_moves_to_the_next_free_port(taken):
    chosen = choose_port("127.0.0.1", taken, [TCP], explicit=False, flag="--http")
    assert taken < chosen <= taken + 100
    assert is_free("127.0.0.1", chosen, [TCP])


def test_taken_explicit_port_fails_and_names_its_owner(taken):
    with pytest.raises(Failure) as caught:
        choose_port("127.0.0.1", taken, [TCP], explicit=True, flag="--http")
    assert caught.value.code == "RB5003"
    assert caught.value.exit_code == 2
    assert f"pid {os.getpid()}" in caught.value.what
    assert "--http" in caught.value.fix


def test_port_zero_takes_one_that_is_free_for_every_kind():
    chosen = choose_port("127.0.0.1", 0, [UDP, TCP], explicit=True, flag="--sip")
    assert is_free("127.0.0.1", chosen, [UDP, TCP])


def test_port_zero_avoids_ports_that_the_system_hands_out_meanwhile():
    chosen = {choose_port("127.0.0.1", 0, [UDP, TCP], explicit=True, flag="--sip") for _ in range(20)}
    assert len(chosen) == 20, "each is kept for whoever chose it, also before it listens"
    assert all(29_999 < port < 32_768 for port in chosen)


def test_foreign_address_is_refused_with_a_fix():
    with pytest.raises(Failure, match="RB5003"):
        is_free("203.0.113.1", 5060, [UDP])


def test_owner_of_a_free_port_is_nobody():
    chosen = choose_port("127.0.0.1", 0, [UDP, TCP], explicit=True, flag="--sip")
    assert owner_of(chosen) == ""
