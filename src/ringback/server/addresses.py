"""Under which addresses and names this server is reached, as the settings say it."""

from __future__ import annotations

from ringback.config.sections import Config
from ringback.egress.own_addresses import own_addresses
from ringback.signalling.admission import is_loopback
from ringback.signalling.domains import OwnDomains, own_domains
from ringback.sip.transport.driver import interface_host

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What to dial on this machine for a listener on every address."""


def own_sip_host(config: Config) -> str:
    """Return the address by which we reach our own SIP listener."""
    return _WILDCARDS.get(config.sip.host, config.sip.host)


def own_sip_address(config: Config) -> str:
    """Return host and port by which we reach our own SIP listener."""
    return f"{_in_uri(own_sip_host(config))}:{config.sip.port}"


def sip_domain(config: Config) -> str:
    """Return the host of our SIP addresses, with a port if it is not 5060."""
    address, port = _in_uri(_visible_sip_address(config)), config.sip.port
    return config.sip.domain or (address if port == 5060 else f"{address}:{port}")


def endpoint_domains(config: Config) -> OwnDomains:
    """Return under which names and addresses our endpoints are called."""
    sip = config.sip
    is_wildcard = sip.host in _WILDCARDS
    local = own_addresses() if is_wildcard else (sip.host,)
    names = (sip.domain, *sip.domains, *(("localhost",) if is_wildcard or is_loopback(sip.host) else ()))
    return own_domains(names, (_visible_sip_address(config), *map(str, local)), sip.port)


def base_url(config: Config, http_port: int) -> str:
    """Return how customers reach the API, which listens on `http_port`."""
    host = _WILDCARDS.get(config.http.host, config.http.host)
    return config.http.public_url or f"http://{_in_uri(host)}:{http_port}"


def _visible_sip_address(config: Config) -> str:
    """Return the address that peers see of our SIP listener."""
    return config.sip.advertised_address or interface_host(config.sip.host)


def _in_uri(host: str) -> str:
    return f"[{host}]" if ":" in host else host
