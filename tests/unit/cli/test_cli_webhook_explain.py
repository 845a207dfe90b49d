"""`ringback webhook explain` of callbacks whose values the document kept out of the record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ringback.cli import webhook_explain as verb
from ringback.webhooks.signature import signed_text_v3

NONCE = "1" * 20
URL = "https://app.example/keys"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the verb one call with one signed callback, whose digits are not recorded; collect what it prints."""
    fields: dict[str, Any] = {
        "event_id": "ab12",
        "target": "action",
        "method": "POST",
        "url": URL,
        "params": {"CallUUID": "c", "Digits": "***"},
        "signed": signed_text_v3("POST", URL, NONCE, (("CallUUID", "c"), ("Digits", "***"))),
    }
    lines: list[str] = []
    monkeypatch.setattr(verb, "platform_api", lambda _: SimpleNamespace(auth_token="secret"))
    monkeypatch.setattr(verb, "whole_uuid", lambda _, call: call)
    monkeypatch.setattr(verb, "all_events", lambda *_: [{"kind": "webhook", "fields": fields}])
    monkeypatch.setattr(verb, "write_result", lines.append)
    monkeypatch.setattr(verb, "write_json", lambda row: lines.append(repr(row)))
    return lines


def test_a_signature_is_not_computed_from_what_is_not_known(printed: list[str]) -> None:
    assert verb.webhook_explain("c") == 0
    assert "Digits: not recorded" in printed[-1]
    assert not [line for line in printed if "right" in line]
    verb.webhook_explain("c", json=True)
    assert "'hidden': ['Digits'], 'computations': []" in printed[-1]


def test_who_knows_the_value_gets_the_signature(printed: list[str]) -> None:
    verb.webhook_explain("c", value=("Digits=4711",))
    text = signed_text_v3("POST", URL, NONCE, (("CallUUID", "c"), ("Digits", "4711")))
    assert any(line.strip() == text for line in printed)
