"""Routes of the REST face: what a resource declares, and the Starlette routes that serve it.

A resource makes a `Router` and decorates its handlers. A handler's parameters are filled by their names and types:
`request`, any name in curly brackets of the path (a text), and types marked with `From`. The declarations are also the
source of the OpenAPI document (`openapi`). A larger framework would take 10 MB and a quarter of a second of each start
for this.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

_REQUEST = "request"
_PATH_PARAMETER = re.compile(r"{(\w+)}")
Handler = Callable[..., Awaitable[Response]]
DecoratedHandler = TypeVar("DecoratedHandler", bound=Handler)


@dataclass(frozen=True, slots=True)
class From:
    """Marks a parameter type: its value is what `function` makes of the request and the path parameters it names.

    Use: `CurrentAccount = Annotated[Account, From(account_of_path)]`. An exception of `function` is the answer.
    """

    function: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    handler: Handler
    summary: str
    status_code: int
    """What the OpenAPI document names as success; the handler itself decides about the answer."""
    openapi_extra: Mapping[str, Any]
    tags: Sequence[str]

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Return the names in curly brackets."""
        return tuple(_PATH_PARAMETER.findall(self.path))


class Router:
    """What one resource serves."""

    def __init__(self, *, tags: Sequence[str]) -> None:
        self.operations: list[Operation] = []
        self._tags = tags

    def get(
        self, path: str, *, summary: str, status_code: int = 200, openapi_extra: Mapping[str, Any] | None = None
    ) -> Callable[[DecoratedHandler], DecoratedHandler]:
        """Serve GET of `path` with the decorated handler."""
        return self._decorator("GET", path, summary, status_code, openapi_extra)

    def post(
        self, path: str, *, summary: str, status_code: int = 200, openapi_extra: Mapping[str, Any] | None = None
    ) -> Callable[[DecoratedHandler], DecoratedHandler]:
        """Serve POST of `path` with the decorated handler."""
        return self._decorator("POST", path, summary, status_code, openapi_extra)

    def delete(
        self, path: str, *, summary: str, status_code: int = 200, openapi_extra: Mapping[str, Any] | None = None
    ) -> Callable[[DecoratedHandler], DecoratedHandler]:
        """Serve DELETE of `path` with the decorated handler."""
        return self._decorator("DELETE", path, summary, status_code, openapi_extra)

    def _decorator(
        self, method: str, path: str, summary: str, status_code: int, openapi_extra: Mapping[str, Any] | None
    ) -> Callable[[DecoratedHandler], DecoratedHandler]:
        def add(handler: DecoratedHandler) -> DecoratedHandler:
            self.operations.append(
                Operation(method, path, handler, summary, status_code, openapi_extra or {}, self._tags)
            )
            return handler

        return add


def build_routes(operations: Sequence[Operation]) -> list[Route]:
    """Return one route for each path, in the order of their first operations.

    Raises:
        TypeError: a handler has a parameter that is neither in its path nor marked with `From`.
    """
    by_path: dict[str, dict[str, _Call]] = {}
    for operation in operations:
        call = _Call(operation.handler, operation.path_parameters)
        by_path.setdefault(operation.path, {})[operation.method] = call
    return [Route(path, PathEndpoint(path, calls)) for path, calls in by_path.items()]


class PathEndpoint:
    """The ASGI application behind one path."""

    def __init__(self, path: str, calls: Mapping[str, _Call]) -> None:
        self.path = path
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            HTTPException: 405, the path does not know the method.
        """
        request = Request(scope, receive, send)
        call = self._calls.get(request.method)
        if call is None:
            # RFC 9110 §15.5.6: all that the path knows.
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self._calls))})
        response: Response = await call(request)
        await response(scope, receive, send)


class _Call:
    """A function and where its arguments come from."""

    def __init__(self, function: Callable[..., Any], path_parameters: Sequence[str]) -> None:
        self._function = function
        self._is_awaited = inspect.iscoroutinefunction(function)
        self._wants_request = False
        self._texts: list[str] = []
        self._made: list[tuple[str, _Call]] = []
        hints = get_type_hints(function, include_extras=True)
        for name in inspect.signature(function).parameters:
            if name == _REQUEST:
                self._wants_request = True
            elif name in path_parameters:
                self._texts.append(name)
            elif marks := [mark for mark in getattr(hints[name], "__metadata__", ()) if isinstance(mark, From)]:
                self._made.append((name, _Call(marks[0].function, path_parameters)))
            else:
                raise TypeError(f"{function.__qualname__}: nothing gives a value to {name!r}")

    async def __call__(self, request: Request) -> Any:
        arguments: dict[str, Any] = {name: request.path_params[name] for name in self._texts}
        if self._wants_request:
            arguments[_REQUEST] = request
        for name, make in self._made:
            arguments[name] = await make(request)
        result = self._function(**arguments)
        return await result if self._is_awaited else result
