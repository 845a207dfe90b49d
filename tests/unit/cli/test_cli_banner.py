from dataclasses import replace

from ringback.cli.banner import BannerFacts, draw_banner

FACTS = BannerFacts(
    version="0.1.0",
    data_dir="./.ringback",
    database="SQLite",
    api_url="http://127.0.0.1:8080",
    sip="127.0.0.1:5060 udp+tcp",
    auth_id="MADEVDEVDEVDEVDEVDEV",
    auth_token="abcdefghijklmnopqrstuvwxyz",
    numbers=[("15550001000", "echo agent")],
)


def test_banner_says_where_everything_is_and_what_to_do_next():
    banner = draw_banner(FACTS)
    for part in (
        "ringback 0.1.0",
        "./.ringback",
        "http://127.0.0.1:8080/v1/Account/MADEVDEVDEVDEVDEVDEV/",
        "127.0.0.1:5060 udp+tcp",
        "15550001000   echo agent",
        "ringback call 15550001000",
        "none: calls to the public network are off",
    ):
        assert part in banner


def test_banner_shows_only_the_beginning_of_the_token():
    banner = draw_banner(FACTS)
    assert "abcdef…" in banner
    assert "abcdefg" not in banner
    assert "abc…" not in draw_banner(replace(FACTS, auth_token="abc"))


def test_banner_promises_nothing_that_is_not_there():
    banner = draw_banner(FACTS)
    assert "15550002000" not in banner
    assert "Console" not in banner


def test_banner_names_the_url_behind_other_numbers_and_every_remark():
    banner = draw_banner(replace(FACTS, every_other_number="http://app/answer", remarks=["port 8080 is in use"]))
    assert "http://app/answer" in banner
    assert "port 8080 is in use" in banner
