"""Bodies and queries become mappings, or an error that says why not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.bodies import FIELDS_MAX, read_body, read_query
from ringback.api.errors import BodyTooLarge, UnsupportedBody
from ringback.api.forms import Form
from ringback.api.paging import Page, read_page
from ringback.errors import InvalidParameter, RequestError

LIMIT = 100
VECTORS = Path(__file__).parents[2] / "vectors" / "json"


def request(
    body: bytes = b"", content_type: str = "", query: bytes = b"", chunk: int = 7, limit: int = LIMIT
) -> Request:
    settings = SimpleNamespace(body_max_bytes=limit)
    state = SimpleNamespace(context=SimpleNamespace(services=SimpleNamespace(settings=settings)))
    parts = [body[start : start + chunk] for start in range(0, len(body), chunk)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/Account/MA/Number/",
        "headers": [(b"content-type", content_type.encode())],
        "query_string": query,
        "app": SimpleNamespace(state=state),
    }
    return Request(scope, receive)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "application/json", {}),
        (b" \n", "", {}),
        (b"null", "application/json", {}),
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', "application/vnd.api+json", {"a": 1}),
        (b'{"a": 1}', "", {"a": 1}),
        (b"a=1&b=%20x&c=", "application/x-www-form-urlencoded", {"a": "1", "b": " x", "c": ""}),
        (b"a=1&a=2", "text/plain", {"a": "2"}),
        (b"a", "", {"a": ""}),
        ("ä=ö".encode(), "", {"ä": "ö"}),
    ],
)
async def test_bodies(body: bytes, content_type: str, expected: dict[str, object]) -> None:
    assert await read_body(request(body, content_type)) == expected


async def test_body_bound_includes_its_end() -> None:
    assert await read_body(request(b"a=" + b"x" * (LIMIT - 2))) == {"a": "x" * (LIMIT - 2)}
    with pytest.raises(BodyTooLarge):
        await read_body(request(b"a=" + b"x" * (LIMIT - 1)))


async def test_endless_body_is_given_up() -> None:
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * LIMIT, "more_body": True}

    endless = Request(request().scope, receive)
    with pytest.raises(BodyTooLarge):
        await read_body(endless)
    assert asked == 5


async def test_multipart_is_refused() -> None:
    with pytest.raises(UnsupportedBody):
        await read_body(request(b"--x", "Multipart/Form-Data; boundary=x"))


@given(st.binary(max_size=90), st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""]))
async def test_any_body_is_read_or_refused(body: bytes, content_type: str) -> None:
    try:
        found = await read_body(request(body, content_type))
    except RequestError:
        return
    assert all(isinstance(name, str) for name in found)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.name)
def test_json_corpus(path: Path) -> None:
    """`y_` is valid JSON, `n_` is not, `i_` is left to the parser; only objects are parameters."""
    asked = request(path.read_bytes(), "application/json", chunk=65_536, limit=1_000_000)
    found, refusal = None, ""
    try:
        found = asyncio.run(read_body(asked))
    except InvalidParameter as error:
        refusal = str(error)
    match path.name[:2]:
        case "y_":
            assert isinstance(found, dict) or "expected an object" in refusal or found == {}
        case "n_":
            # An empty file and white space are an empty body, not broken JSON.
            assert refusal.startswith("request body is not JSON") or found == {}
        case _:
            assert isinstance(found, dict) or refusal.startswith("request body is ")


def test_fields_are_bounded() -> None:
    fits = b"&".join(b"a%d=1" % index for index in range(FIELDS_MAX))
    assert len(read_query(request(query=fits))) == FIELDS_MAX
    with pytest.raises(InvalidParameter, match="expected at most 200"):
        read_query(request(query=fits + b"&b=1"))


def test_pages() -> None:
    assert read_page(Form({})) == Page(20, 0)
    assert read_page(Form({"limit": "20", "offset": "100000"})) == Page(20, 100_000)
    for wrong in ({"limit": 0}, {"limit": 21}, {"offset": -1}, {"offset": 100_001}):
        with pytest.raises(InvalidParameter):
            read_page(Form(wrong))


def test_links_of_a_page() -> None:
    asked = request(query=b"alias=a+b&limit=2&offset=3")
    base = "/v1/Account/MA/Number/?alias=a+b&limit=2&offset="
    assert Page(2, 3).meta(asked, 6) == {
        "limit": 2,
        "next": f"{base}5",
        "offset": 3,
        "previous": f"{base}1",
        "total_count": 6,
    }
    assert Page(2, 3).meta(asked, 5)["next"] is None
    assert Page(2, 1).meta(asked, 5)["previous"] == f"{base}0"
    assert Page(2, 0).meta(asked, 2) == {"limit": 2, "next": None, "offset": 0, "previous": None, "total_count": 2}
