"""What `ringback doctor` says of a server for real callers."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.cli.doctor import Finding, _production
from ringback.config.sections import Config

ACCOUNT = {"id": "MAPRODPRODPRODPROD01", "token": "secret"}
TRUNK = {"name": "carrier", "gateways": [{"host": "192.0.2.7"}]}


def findings(**settings: Any) -> dict[str, Finding]:
    config = Config.model_validate({"env": "production", **settings})
    return {finding.subject: finding for finding in _production(config)}


def test_a_server_with_all_it_needs_is_good() -> None:
    found = findings(auth=ACCOUNT, trunk=[TRUNK], sip={"host": "192.0.2.1"}, data_dir="/var/lib/ringback")
    assert {subject: (finding.state, finding.fact) for subject, finding in found.items()} == {
        "account": ("good", "MAPRODPRODPRODPROD01"),
        "database": ("good", "/var/lib/ringback/ringback.db"),
        "trunks": ("good", "carrier"),
    }


@pytest.mark.parametrize(
    ("settings", "subject", "state", "fact", "fix"),
    [
        ({}, "account", "bad", "none: nobody can use the API", "set auth.id and auth.token_file"),
        ({}, "trunks", "note", "none: only registered phones can call", "[[trunk]] in the settings file"),
        ({}, "address", "note", "SIP listens on loopback only", "set sip.host to this machine's address"),
        (
            {"sip": {"host": "0.0.0.0"}},
            "address",
            "note",
            "SIP listens on every address and names one of this machine",
            "behind NAT set sip.advertised_address and media.advertised_address",
        ),
    ],
)
def test_what_is_missing_names_the_setting(
    settings: dict[str, Any], subject: str, state: str, fact: str, fix: str
) -> None:
    found = findings(**settings)[subject]
    assert (found.state, found.fact, found.fix) == (state, fact, fix)


def test_a_database_that_is_not_there_is_bad_and_its_password_is_not_told() -> None:
    found = findings(database={"url": "postgresql+asyncpg://ringback:s3cr3t@127.0.0.1:1/ringback"})["database"]
    assert found.state == "bad"
    assert found.fact.startswith("database postgresql+asyncpg://ringback:***@127.0.0.1:1/ringback cannot be used: ")
    assert "s3cr3t" not in repr(found)
