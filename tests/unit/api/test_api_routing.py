"""How handlers get their arguments, what a path answers to a method it does not know, what the document says."""

import asyncio
from typing import Annotated

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.openapi import describe
from ringback.api.routing import From, Router, build_routes


async def owner_of(request: Request, account: str) -> str:
    return f"{account} by {request.method}"


def length_of(item: str) -> int:
    return len(item)


Owner = Annotated[str, From(owner_of)]
Length = Annotated[int, From(length_of)]

router = Router(tags=["Things"])


@router.get("/{account}/{item}/", summary="One thing", openapi_extra={"parameters": [{"name": "q", "in": "query"}]})
async def one_thing(request: Request, owner: Owner, length: Length, item: str) -> Response:
    """Return the thing."""
    return Response(f"{request.url.path}|{owner}|{length}|{item}")


@router.delete("/{account}/{item}/", summary="Remove it", status_code=204)
async def remove(item: str) -> Response:
    return Response(status_code=204)


@router.post("/plain", summary="Without parameters")
async def plain() -> Response:
    return Response("plain")


def ask(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    app = Starlette(routes=list(build_routes(router.operations)))

    def caught(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return Response(error.detail, error.status_code, error.headers)

    app.add_exception_handler(HTTPException, caught)
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(app({**scope, "scheme": "http", "server": ("h", 80)}, receive, send))
    start, *parts = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(part["body"] for part in parts)


def test_handler_gets_request_path_texts_and_what_functions_make() -> None:
    status, _, body = ask("GET", "/a1/bcd/")
    assert (status, body) == (200, b"/a1/bcd/|a1 by GET|3|bcd")
    assert ask("POST", "/plain")[2] == b"plain"


@pytest.mark.parametrize(("method", "path", "allowed"), [("PUT", "/a/b/", "DELETE, GET"), ("GET", "/plain", "POST")])
def test_unknown_method_is_refused_with_the_known_ones(method: str, path: str, allowed: str) -> None:
    status, headers, _ = ask(method, path)
    assert (status, headers["allow"]) == (405, allowed)


def test_unknown_path_is_not_found() -> None:
    assert ask("GET", "/a/b/c/")[0] == 404


def test_parameter_without_a_source_is_refused_when_routes_are_built() -> None:
    wrong = Router(tags=[])

    @wrong.get("/{known}/", summary="")
    async def handler(known: str, unknown: int) -> Response:
        return Response()

    with pytest.raises(TypeError, match="nothing gives a value to 'unknown'"):
        build_routes(wrong.operations)


def test_document_joins_path_and_further_parameters() -> None:
    errors = {"401": {"description": "who?"}}
    document = describe(router.operations, title="T", summary="S", version="1", errors=errors)
    assert document["info"] == {"title": "T", "summary": "S", "version": "1"}
    found = document["paths"]["/{account}/{item}/"]
    assert [entry["name"] for entry in found["get"]["parameters"]] == ["account", "item", "q"]
    assert found["get"]["description"] == "Return the thing."
    assert found["get"]["operationId"] == "one_thing"
    assert found["delete"]["responses"] == {"204": {"description": "Success"}}
    assert "parameters" not in document["paths"]["/plain"]["post"]
