"""What common mistakes compute, checked with the official SDK's own validator."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from plivo.utils import validate_v3_signature

from ringback.webhooks.explain import SignedCallback, computations, marked, nonce_of
from ringback.webhooks.signature import sign_v3

TOKEN = "my_auth_token"
NONCE = "31627761595286130198"
URL = "https://app.example.com/answer?b=2&a=1"
Pairs = tuple[tuple[str, str], ...]
PARAMS: Pairs = (("CallUUID", "c-1"), ("CallerName", ""), ("A", " x "))


def found(method: str = "POST", url: str = URL, params: Pairs = PARAMS, **more: str) -> dict[str, str]:
    """Return signatures by mistake."""
    rows = computations(SignedCallback(method, url, params, NONCE), TOKEN, **more)
    assert len({row.signature for row in rows}) == len(rows), "a mistake that changes nothing is none"
    return {row.mistake: row.signature for row in rows}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("url", [URL, "http://app.example.com:8080/x/", "https://app.example.com"])
def test_first_is_what_the_sdk_accepts(method: str, url: str) -> None:
    right = found(method, url)[""]
    if method == "POST":
        assert validate_v3_signature(method, url, NONCE, TOKEN, right, dict(PARAMS))
    else:
        asked = f"{url}{'&' if '?' in url else '?'}{urlencode(PARAMS)}"
        assert right == sign_v3("GET", asked, NONCE, TOKEN)


@pytest.mark.parametrize(
    ("mistake", "url", "params"),
    [
        ("scheme http", "http://app.example.com/answer?b=2&a=1", PARAMS),
        ("port 443 is added", "https://app.example.com:443/answer?b=2&a=1", PARAMS),
        ("the query is left out", "https://app.example.com/answer", PARAMS),
        ("a slash is added at the end", "https://app.example.com/answer/?b=2&a=1", PARAMS),
        ("empty parameters are dropped", URL, (PARAMS[0], PARAMS[2])),
        ("values are trimmed", URL, (PARAMS[0], PARAMS[1], ("A", "x"))),
        ("the parameters are left out", URL, ()),
    ],
)
def test_mistake_computes_what_an_application_with_it_would(mistake: str, url: str, params: Pairs) -> None:
    # A lone empty parameter is part of the text only by its name.
    assert found()[mistake] == sign_v3("POST", url, NONCE, TOKEN, params) != found()[""]


def test_url_with_a_port_and_a_final_slash() -> None:
    mistakes = found(url="http://app.example.com:8080/x/")
    assert mistakes["the port is left out"] == sign_v3("POST", "http://app.example.com/x/", NONCE, TOKEN, PARAMS)
    without_slash = sign_v3("POST", "http://app.example.com:8080/x", NONCE, TOKEN, PARAMS)
    assert mistakes["the slash at the end is left out"] == without_slash


def test_url_that_the_application_sees_and_another_token() -> None:
    seen = "http://localhost:3000/answer?b=2&a=1"
    mistakes = found(seen_url=seen, other_token="other")
    assert mistakes["the URL that your application sees"] == sign_v3("POST", seen, NONCE, TOKEN, PARAMS)
    assert mistakes["another token"] == sign_v3("POST", URL, NONCE, "other", PARAMS)


def test_nonce_is_read_from_what_was_signed() -> None:
    assert nonce_of(f"https://x/.{NONCE}") == NONCE
    assert nonce_of("") == nonce_of("https://x/") == ""


def test_invisible_signs_are_marked() -> None:
    assert marked("a b\u200b\n\u00e9") == "a·b\\u200b\\n\u00e9"
