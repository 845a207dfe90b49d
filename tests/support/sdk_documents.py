"""Documents as the official SDK's builder writes them, and which of its classes wrote them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from plivo import plivoxml

CLASSES: frozenset[type] = frozenset(
    found for found in vars(plivoxml).values() if inspect.isclass(found) and found is not plivoxml.PlivoXMLElement
)
"""Every element that the builder has."""


class Builder:
    """Writes documents and remembers by which classes."""

    def __init__(self) -> None:
        self.used: set[type] = set()

    def document(self, *elements: Any) -> str:
        """Return a document of these elements as the builder spells it."""
        response = plivoxml.ResponseElement()
        for element in elements:
            response.add(element)
        self.used |= {type(element) for element in _all_of(response)}
        text: str = response.to_string()
        return text


def _all_of(element: Any) -> Iterator[Any]:
    yield element
    for child in element.children:
        yield from _all_of(child)
