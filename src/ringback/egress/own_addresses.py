"""The machine's own addresses, which customers' URLs may not name."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, ip_address

from ringback.egress.policy import IpAddress

_IPV4_TABLE = "/proc/net/fib_trie"
_IPV6_TABLE = "/proc/net/if_inet6"


def own_addresses() -> frozenset[IpAddress]:
    """Return every address of this machine that the system tells, loopback included."""
    found = _of_host_name()
    for path, parse in ((_IPV4_TABLE, local_ipv4), (_IPV6_TABLE, local_ipv6)):
        try:
            with open(path, encoding="ascii") as table:
                found |= parse(table.read())
        except OSError:
            # Not Linux, or the table is hidden: what the host name resolves to is all there is.
            continue
    return frozenset(found)


def local_ipv4(table: str) -> set[IpAddress]:
    """Return the host addresses in the text of the kernel's IPv4 routing trie."""
    found: set[IpAddress] = set()
    last = ""
    for line in table.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            last = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            found.add(ip_address(last))
    return found


def local_ipv6(table: str) -> set[IpAddress]:
    """Return the addresses in the text of the kernel's list of IPv6 interface addresses."""
    return {IPv6Address(bytes.fromhex(line.split()[0])) for line in table.splitlines() if line.strip()}


def _of_host_name() -> set[IpAddress]:
    try:
        entries = socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return set()
    return {ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries}
