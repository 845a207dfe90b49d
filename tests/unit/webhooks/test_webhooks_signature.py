"""Signatures against captured vectors and against the validators of the official SDK."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo.utils import validate_signature, validate_v3_signature

from ringback.webhooks.signature import (
    SigningKeys,
    event_headers,
    sign_v2,
    sign_v3,
    signature_headers,
    signed_text_v3,
    stream_signature_headers,
    without_fragment,
)

TOKEN = "Y2Q2ZDgxZmY5YWRiOTI5YmQ1Njg0MTAxZWIyOTc4"
NONCE = "31627761595286130198"
U = "https://plivobin.non-prod.plivops.com/api/v1/validate_signature03.xml"
CALL = "3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36"
CAPTURED = {
    "Direction": "outbound",
    "From": "19792014278",
    "ALegUUID": CALL,
    "CallStatus": "in-progress",
    "BillRate": "0.002",
    "ParentAuthID": "MANWVLYTK4ZWU1YTY4QA",
    "To": "sip:PlivoSignature382029104058171078704104@phone-qa.voice.plivodev.com",
    "ALegRequestUUID": CALL,
    "CallUUID": CALL,
    "RequestUUID": CALL,
    "SIP-H-To": "<sip:PlivoSignature382029104058171078704104@52.9.11.55;transport=udp>;tag=1",
    "SessionStart": "2020-04-08 11:34:33.238707",
    "Event": "StartApp",
}


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("POST", f"{U}/?a=b&c=d", "k7Pusd4OxCIjR5IfA9iedDNu/h/gbdYqdzG/MiYtd1c="),
        ("GET", f"{U}/?a=b&c=d", "UBq8jAtd32wR8EK9VgxbBn4n5rpI/l1H9iN4WfSEHFQ="),
        ("POST", U, "iAjE5QqI37mbkYe4w3jTMudqEzbDufdqi7sYwTu64e0="),
        ("GET", U, "i/MQsaQSAd6fiKhOh2qeeeLHZ9faldADSb3/7+Akfbc="),
    ],
)
def test_captured_v3_vectors_are_reproduced(method: str, url: str, expected: str) -> None:
    assert sign_v3(method, url, NONCE, TOKEN, CAPTURED) == expected


def test_published_v2_vector_is_reproduced() -> None:
    signature = sign_v2("https://answer.url", "12345", "my_auth_token")
    assert signature == "ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc="
    assert sign_v2("https://answer.url?a=b#ct=100", "12345", "my_auth_token") == signature


@pytest.mark.parametrize(
    ("method", "url", "params", "text"),
    [
        ("GET", "https://h/p", {"b": "2", "a": "1"}, "https://h/p?a=1&b=2.N"),
        ("GET", "https://h/p?c=3", {"b": "2", "a": "1"}, "https://h/p?a=1&b=2&c=3.N"),
        ("GET", "https://h/p", {}, "https://h/p.N"),
        ("POST", "https://h/p?c=d&a=b", {"K2": "V2", "K1": "V1"}, "https://h/p?a=b&c=d.K1V1K2V2.N"),
        ("POST", "https://h/p", {"K2": "V2", "K1": "V1"}, "https://h/p?K1V1K2V2.N"),
        ("POST", "https://h/p?a=b", {}, "https://h/p?a=b.N"),
        ("POST", "https://h/p", {}, "https://h/p.N"),
        ("POST", "https://h/p?b=a+b/%3D=", {}, "https://h/p?b=a b/==.N"),
        ("POST", "https://h/p?x=2&x=1", [("K", "z"), ("K", "a")], "https://h/p?x=1&x=2.KaKz.N"),
        ("GET", "https://h/p?B=1&a=2", {}, "https://h/p?B=1&a=2.N"),
        ("POST", "https://u:p@h:8443/p#rc=2", {}, "https://h:8443/p.N"),
    ],
)
def test_signed_text_has_the_documented_shapes(method: str, url: str, params: object, text: str) -> None:
    assert signed_text_v3(method, url, "N", params) == text  # type: ignore[arg-type]


def sdk_accepts(method: str, url: str, header: str, params: dict[str, object] | None = None) -> bool:
    return bool(validate_v3_signature(method, url, NONCE, TOKEN, header, params))


QUERIES = ["", "?a=b&c=d", "?x=2&x=1&x=3", "?q=a+b", "?q=a%20b%2Bc", "?body=eyJhIjoxfQ==", "?t=a+/=", "?empty="]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("params", [{}, CAPTURED, {"Speech": "héllo wörld + more", "Empty": ""}])
def test_sdk_validator_accepts_our_webhooks(query: str, params: dict[str, str]) -> None:
    keys = SigningKeys((TOKEN,))
    url = f"https://agent.example.com:8443/answer{query}"
    post = dict(signature_headers("POST", url, params, "1", NONCE, keys))
    assert sdk_accepts("POST", url, post["X-Plivo-Signature-V3"], dict(params))
    assert sdk_accepts("POST", url, post["X-Plivo-Signature-Ma-V3"], dict(params))
    assert validate_signature(url, "1", post["X-Plivo-Signature-V2"], TOKEN)
    if any(not value.isascii() for value in params.values()):
        # The SDK's own parser raises on other characters in a query; bodies are fine.
        return
    joint = "&" if query else "?"
    wire = f"{url}{joint}{urlencode(params)}" if params else url
    get = dict(signature_headers("GET", wire, (), "1", NONCE, keys))
    assert sdk_accepts("GET", wire, get["X-Plivo-Signature-V3"])
    assert validate_signature(wire, "1", get["X-Plivo-Signature-V2"], TOKEN)


@given(
    st.lists(st.tuples(st.text("abAB01", min_size=1, max_size=3), st.text("ab +=&/%", max_size=5)), max_size=5),
    st.dictionaries(st.text("kK1", min_size=1, max_size=3), st.text("vV2 .+é", max_size=4), max_size=4),
)
def test_sdk_validator_accepts_any_query_and_parameters(query: list[tuple[str, str]], params: dict[str, str]) -> None:
    url = "https://agent.example.com/answer" + (f"?{urlencode(query)}" if query else "")
    assert sdk_accepts("POST", url, sign_v3("POST", url, NONCE, TOKEN, params), dict(params))
    assert sdk_accepts("GET", url, sign_v3("GET", url, NONCE, TOKEN))


def test_sdk_validator_refuses_what_was_tampered_with() -> None:
    signature = sign_v3("POST", U, NONCE, TOKEN, CAPTURED)
    assert not sdk_accepts("POST", U, signature, {**CAPTURED, "From": "1"})
    assert not sdk_accepts("POST", f"{U}?a=1", signature, dict(CAPTURED))


def test_every_live_token_signs_and_lists_have_no_spaces() -> None:
    keys = SigningKeys(("new", "old"), ("main",))
    headers = dict(signature_headers("POST", U, CAPTURED, "1", NONCE, keys))
    listed = headers["X-Plivo-Signature-V3"].split(",")
    assert sign_v3("POST", U, NONCE, "new", CAPTURED) in listed
    assert sign_v3("POST", U, NONCE, "old", CAPTURED) in listed
    assert " " not in headers["X-Plivo-Signature-V3"]
    assert sign_v3("POST", U, NONCE, "main", CAPTURED) == headers["X-Plivo-Signature-Ma-V3"].split(",")[0]
    assert headers["X-Plivo-Signature-V2"] == sign_v2(U, "1", "new"), "V2 validators know no lists"
    assert headers["X-Plivo-Signature-Ma-V2"] == sign_v2(U, "1", "main")
    assert headers["X-Plivo-Signature-V3-Nonce"] == NONCE


def test_list_contains_the_variant_with_encoded_parameters() -> None:
    url = "https://h/p?z=1&a=2"
    keys = SigningKeys((TOKEN,))
    listed = dict(signature_headers("POST", url, {"K": "a b"}, "1", "N", keys))["X-Plivo-Signature-V3"].split(",")
    text = b"https://h/p?z=1&a=2.K=a%20b.N"
    expected = base64.b64encode(hmac.new(TOKEN.encode(), text, hashlib.sha256).digest()).decode()
    assert expected in listed


def test_url_without_a_path_is_signed_as_its_receiver_sees_it() -> None:
    keys = SigningKeys((TOKEN,))
    headers = dict(signature_headers("POST", "https://h.example.com?x=1", {"K": "V"}, "1", NONCE, keys))
    assert sdk_accepts("POST", "https://h.example.com?x=1", headers["X-Plivo-Signature-V3"], {"K": "V"})
    assert sdk_accepts("POST", "https://h.example.com/?x=1", headers["X-Plivo-Signature-V3"], {"K": "V"})


def test_stream_upgrade_is_signed_for_every_spelling() -> None:
    url = "wss://agent.example.com/ws?body=eyJ9+/=&t=1"
    headers = dict(stream_signature_headers(url, NONCE, SigningKeys((TOKEN,))))
    listed = headers["X-Plivo-Signature-V3"].split(",")
    rest = url.removeprefix("wss://")
    for scheme in ("wss", "https", "http", "ws"):
        assert sign_v3("GET", f"{scheme}://{rest}", NONCE, TOKEN) in listed
    assert sign_v3("GET", "http://agent.example.com/ws/websocket?body=eyJ9+/=&t=1", NONCE, TOKEN) in listed
    assert sdk_accepts("GET", f"https://{rest}", headers["X-Plivo-Signature-V3"])
    assert sdk_accepts("GET", f"http://{rest}", headers["X-Plivo-Signature-V3"])
    assert headers["X-Plivo-Signature-Ma-V3"] == headers["X-Plivo-Signature-V3"]
    assert len(listed) == 6
    assert " " not in headers["X-Plivo-Signature-V3"]


@pytest.mark.parametrize(
    "url", ["ws://h.example:9/ws", "ws://h.example:9/ws/", "ws://h.example:9/ws?a=b%2B&c", "ws://h.example:9"]
)
def test_stream_upgrade_satisfies_the_python_stream_sdk(url: str) -> None:
    """It checks the URL as the web framework knows it, `http`, with `/websocket` behind everything."""
    headers = dict(stream_signature_headers(url, NONCE, SigningKeys((TOKEN,))))
    known = url if url.count("/") > 2 else url + "/"
    assert sdk_accepts("GET", known.replace("ws://", "http://") + "/websocket", headers["X-Plivo-Signature-V3"])


def test_event_headers_cover_time_and_body() -> None:
    headers = dict(event_headers("e1", 1_700_000_000, b"a=1", SigningKeys(("t",))))
    expected = hmac.new(b"t", b"1700000000.a=1", hashlib.sha256).hexdigest()
    assert headers == {
        "X-Ringback-Event-Id": "e1",
        "X-Ringback-Timestamp": "1700000000",
        "X-Ringback-Signature": expected,
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p@h/p?a=@b#f", "https://h/p?a=@b"),
        ("https://h?x=a@b", "https://h?x=a@b"),
        ("https://h/p@q", "https://h/p@q"),
        ("not a url", "not a url"),
    ],
)
def test_fragment_and_credentials_are_not_signed(url: str, expected: str) -> None:
    assert without_fragment(url) == expected


def test_lone_surrogate_does_not_raise() -> None:
    assert sign_v3("POST", U, NONCE, TOKEN, {"X-PH-A": "\ud800"})


def test_tokens_do_not_show_in_text() -> None:
    assert "secret" not in repr(SigningKeys(("secret",), ("secret",)))
