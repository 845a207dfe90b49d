"""Which methods a path knows: the `Allow` header of a 405 names all of them, not those of one route."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import compile_path


class KnownMethods:
    """The methods of every path of some routers."""

    def __init__(self, routers: Iterable[tuple[str, APIRouter]]) -> None:
        """Learn the routes; each router comes with the prefix it is served under."""
        self._known: dict[str, tuple[re.Pattern[str], set[str]]] = {}
        for prefix, router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    path = prefix + route.path
                    _, methods = self._known.setdefault(path, (compile_path(path)[0], set()))
                    methods |= route.methods or set()

    def of(self, path: str) -> tuple[str, ...]:
        """Return the methods of a path in alphabetical order, empty for an unknown path (RFC 9110 §15.5.6)."""
        found: set[str] = set()
        for pattern, methods in self._known.values():
            if pattern.match(path):
                found |= methods
        return tuple(sorted(found))
