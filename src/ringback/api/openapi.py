"""The OpenAPI document, made from what the resources declare."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from ringback.api.routing import Operation


def describe(
    operations: Sequence[Operation], *, title: str, summary: str, version: str, errors: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document of an API.

    Args:
        errors: Responses by status that every operation with an account in its path may give.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, errors)
    return {"openapi": "3.1.0", "info": {"title": title, "summary": summary, "version": version}, "paths": paths}


def _described(operation: Operation, errors: Mapping[str, Any]) -> dict[str, Any]:
    extra = dict(operation.openapi_extra)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in operation.path_parameters
    ] + list(extra.pop("parameters", ()))
    success: dict[str, Any] = {"description": "Success"}
    if operation.status_code != HTTPStatus.NO_CONTENT:
        success["content"] = {"application/json": {"schema": {}}}
    return {
        "tags": list(operation.tags),
        "summary": operation.summary,
        "description": inspect.getdoc(operation.handler) or "",
        "operationId": operation.handler.__name__,
        **({"parameters": parameters} if parameters else {}),
        "responses": {str(operation.status_code): success, **(errors if "{auth_id}" in operation.path else {})},
        **extra,
    }
