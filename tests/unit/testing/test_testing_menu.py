"""The menu behind 15550002000: every document of it runs, and every key leads somewhere."""

from __future__ import annotations

import pytest

from ringback.callflow.document import parse_document
from ringback.callflow.elements.registry import bind
from ringback.testing.menu import menu_document, spelled

BASE = "http://127.0.0.1:9"
ECHO = b"<Response><Stream>ws://127.0.0.1:9/echo</Stream></Response>"


def elements(path: str, **params: str) -> list[str]:
    document = menu_document(path, params, BASE, ECHO)
    assert document is not None
    program = bind(parse_document(document))
    assert not program.notes
    return [step.node.tag for step in program.steps]


def test_choices_are_collected() -> None:
    assert elements("/menu") == ["GetDigits", "Speak"]


@pytest.mark.parametrize(
    ("digits", "tags"),
    [
        ("1", ["Speak", "Redirect"]),
        ("3", ["GetDigits", "Redirect"]),
        ("9", ["Speak"]),
        ("7", ["Speak", "Redirect"]),
        ("", ["Speak", "Redirect"]),
    ],
)
def test_every_key_leads_somewhere(digits: str, tags: list[str]) -> None:
    assert elements("/menu/choice", Digits=digits, From="15550009999") == tags


def test_echo_is_another_application() -> None:
    assert menu_document("/menu/choice", {"Digits": "2"}, BASE, ECHO) == ECHO


def test_code_is_said_back() -> None:
    assert elements("/menu/code", Digits="1234") == ["Speak", "Redirect"]
    assert b"You entered 1, 2, 3, 4" in (menu_document("/menu/code", {"Digits": "1234"}, BASE, ECHO) or b"")


def test_other_paths_are_not_there() -> None:
    assert menu_document("/menu/x", {}, BASE, ECHO) is None


@pytest.mark.parametrize(
    ("text", "said"), [("15550", "1, 5, 5, 5, 0"), ("sip:alice@x", "alice"), ("", "nobody"), ("sip:<&>@x", "<&>")]
)
def test_callers_are_spelled(text: str, said: str) -> None:
    assert spelled(text) == said


def test_hostile_caller_breaks_no_document() -> None:
    assert elements("/menu/choice", Digits="1", From="sip:</Speak><Dial>@x") == ["Speak", "Redirect"]
