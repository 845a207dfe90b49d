"""docs/protocol/switches.md: each switch exists with the default that is printed, and refuses what does not exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ringback.config.sources import ConfigFaults, load

PAGE = (Path(__file__).parents[3] / "docs" / "protocol" / "switches.md").read_text(encoding="utf-8")
SWITCHES = re.findall(r"^\| [^|]+ \| [^|]+ \| `([a-z_]+)\.([a-z_]+) = ([^`]+)` \| ([^|]+) \|$", PAGE, re.MULTILINE)
NAMED = re.findall(r"`((?:stream|webhooks|recording|billing)\.[a-z_]+)`", PAGE)


def value_of(name: str, **flags: Any) -> Any:
    config = load(flags=flags or None, environment={}, default_env="production").config
    section, _, key = name.partition(".")
    return getattr(getattr(config, section), key)


def test_the_page_has_all_switches() -> None:
    assert len(SWITCHES) == 12
    rows = [line for line in PAGE.partition("## Answers")[0].splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(SWITCHES), "each row could be read"


@pytest.mark.parametrize(("section", "key", "default", "others"), SWITCHES)
def test_the_default_is_the_printed_one_and_the_others_exist(section: str, key: str, default: str, others: str) -> None:
    assert value_of(f"{section}.{key}") == tomllib.loads(f"v = {default}")["v"]
    for other in re.findall(r'`("[a-z0-9-]*"|true|false)`', others):
        wanted = tomllib.loads(f"v = {other}")["v"]
        assert value_of(f"{section}.{key}", **{section: {key: wanted}}) == wanted


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_is_a_setting(name: str) -> None:
    value_of(name)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("RINGBACK_STREAM__FORMATS", "loose", "stream.formats: input should be 'any', 'strict' or 'strict-20ms'"),
        ("RINGBACK_STREAM__EXTRA_HEADERS", "xml", "stream.extra_headers: input should be 'verbatim' or 'json'"),
        ("RINGBACK_STREAM__HANDSHAKE_HEADERS", "some", "stream.handshake_headers: input should be a valid boolean"),
        ("RINGBACK_STREAM__STATUS_EVENTS", "B", "stream.status_events: input should be 'StartStream' or 'started'"),
        ("RINGBACK_STREAM__STATUS_BODY", "xml", "stream.status_body: input should be 'form' or 'json'"),
        ("RINGBACK_STREAM__TRANSFER", "later", "stream.transfer: input should be 'at-once' or 'after-stream'"),
        ("RINGBACK_WEBHOOKS__NUMBER_PLUS", "+", "webhooks.number_plus: input should be a valid boolean"),
        ("RINGBACK_BILLING__CALL_PER_MINUTE", "-1", "billing.call_per_minute: input should be greater than or equal"),
        ("RINGBACK_STREAM__STRICT", "true", "unknown setting stream.strict"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(variable: str, value: str, told: str) -> None:
    with pytest.raises(ConfigFaults) as caught:
        load(environment={variable: value})
    assert told in str(caught.value)
    assert variable in str(caught.value)
