"""Under which addresses a server says that it is reached."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.config.sections import Config
from ringback.server.addresses import base_url, endpoint_domains, own_sip_address, own_sip_host, sip_domain


def config(**sections: Any) -> Config:
    return Config.model_validate(sections)


@pytest.mark.parametrize(
    ("host", "own_host", "own_address"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7:5070"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1:5070"),
        ("::", "::1", "[::1]:5070"),
    ],
)
def test_a_listener_on_every_address_is_reached_by_loopback(host: str, own_host: str, own_address: str) -> None:
    settings = config(sip={"host": host, "port": 5070})
    assert (own_sip_host(settings), own_sip_address(settings)) == (own_host, own_address)


@pytest.mark.parametrize(
    ("sip", "domain"),
    [
        ({"host": "192.0.2.7", "port": 5060}, "192.0.2.7"),
        ({"host": "192.0.2.7", "port": 5070}, "192.0.2.7:5070"),
        ({"host": "192.0.2.7", "port": 5070, "advertised_address": "198.51.100.1"}, "198.51.100.1:5070"),
        ({"host": "2001:db8::7", "port": 5070}, "[2001:db8::7]:5070"),
        ({"host": "192.0.2.7", "port": 5070, "domain": "sip.example.org"}, "sip.example.org"),
    ],
)
def test_sip_addresses_name_the_port_unless_it_is_the_usual_one(sip: dict[str, Any], domain: str) -> None:
    assert sip_domain(config(sip=sip)) == domain


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8080"),
        ({"host": "::1"}, "http://[::1]:8080"),
        ({"host": "0.0.0.0", "public_url": "https://voice.example.org"}, "https://voice.example.org"),
    ],
)
def test_the_api_has_the_public_url_or_its_own(http: dict[str, Any], url: str) -> None:
    assert base_url(config(http=http), 8080) == url


def test_endpoints_are_called_by_every_name_of_ours() -> None:
    sip = {"host": "127.0.0.1", "port": 5070, "domain": "sip.example.org", "domains": ["Old.example.org"]}
    domains = endpoint_domains(config(sip=sip))
    assert domains.hosts >= {"sip.example.org", "old.example.org", "localhost", "127.0.0.1"}
    assert domains.user_of("sip:ann@old.example.org") == "ann"
    assert domains.user_of("sip:ann@127.0.0.1:5070") == "ann"
    assert domains.user_of("sip:ann@elsewhere.example.org") == ""
