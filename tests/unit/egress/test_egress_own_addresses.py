from ipaddress import ip_address

from ringback.egress.own_addresses import local_ipv4, local_ipv6, own_addresses

_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
"""


def test_only_host_addresses_of_the_ipv4_trie_are_taken():
    assert local_ipv4(_TRIE) == {ip_address("192.0.2.7")}


def test_ipv6_addresses_are_read_from_hexadecimal():
    table = "20010db8000000000000000000000001 02 40 00 80 eth0\n00000000000000000000000000000001 01 80 10 80 lo\n"
    assert local_ipv6(table) == {ip_address("2001:db8::1"), ip_address("::1")}


def test_this_machine_has_addresses():
    assert own_addresses()
