"""Checks every answer of the REST API against its OpenAPI document, whoever asked, of fakes and of whole platforms."""

from __future__ import annotations

import functools
import json
import re
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import requests
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.api.app import OPENAPI_PATH

_PARAMETER = re.compile(r"{\w+}")
_validators: dict[int, jsonschema_rs.Draft202012Validator] = {}


class Document:
    """An OpenAPI document; paths that it does not know, and methods that a path does not know, are told by the error
    shape alone.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._paths = [
            (re.compile(_PARAMETER.sub("[^/]+", path.rstrip("/")) + "/?"), operations)
            for path, operations in document["paths"].items()
        ]
        # What paths and methods may answer that the document does not know.
        responses = document["paths"]["/v1/Account/{auth_id}/"]["get"]["responses"]
        self._error, self._spawned = responses["4XX"], responses["202"]

    def fault(self, method: str, path: str, status: int, content_type: str, body: bytes) -> str:
        """Return what of an answer the document does not allow, empty when it does."""
        # The Node SDK asks for the account with two slashes; the application takes that for one.
        path = path.rstrip("/") + "/"
        if path.startswith(OPENAPI_PATH) or not status:
            return ""
        operation = next((known for pattern, known in self._paths if pattern.fullmatch(path)), {}).get(method.lower())
        if operation is None:
            if path.endswith((".mp3/", ".wav/")):
                return ""
            allowed = {202: self._spawned, 404: self._error, 405: self._error}.get(status)
        else:
            responses = operation["responses"]
            allowed = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        if allowed is None:
            return "no such status is documented"
        content = allowed.get("content")
        if content is None:
            return "it has a body" if body else ""
        media_type = content_type.partition(";")[0]
        if media_type not in content:
            return f"{media_type!r} is not among {list(content)}"
        schema = content[media_type].get("schema")
        if not schema or media_type != "application/json":
            return ""
        validator = _validators.get(id(schema))
        if validator is None:
            # The schema is kept by the validator's entry: ids of living objects are not used again.
            validator = _validators[id(schema)] = jsonschema_rs.Draft202012Validator(schema)
            _kept.append(schema)
        found = next(iter(validator.iter_errors(json.loads(body))), None)
        return "" if found is None else f"{found.message} at {list(found.instance_path)}"


class OpenapiJudge:
    """An ASGI layer in front of the application; `faults` says which answers the document does not allow."""

    def __init__(self, app: ASGIApp, document: Mapping[str, Any]) -> None:
        self.faults: list[str] = []
        self.judged = 0
        self._app = app
        self._document = Document(document)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and judge its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, content_type, parts = 0, "", []

        async def watch(message: Message) -> None:
            nonlocal status, content_type
            if message["type"] == "http.response.start":
                status = message["status"]
                content_type = next((v.decode() for k, v in message["headers"] if k == b"content-type"), "")
            else:
                parts.append(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, watch)
        self.judged += 1
        fault = self._document.fault(scope["method"], scope["path"], status, content_type, b"".join(parts))
        if fault:
            self.faults.append(f"{scope['method']} {scope['path']} was answered {status}: {fault}")


@functools.lru_cache(4)
def document_of(url: str) -> Document:
    """Return the document of the platform at a URL."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url + OPENAPI_PATH, timeout=20) as reply:
        return Document(json.load(reply))


def judge_sdk(client: Any, url: str) -> list[str]:
    """Judge every answer that an official SDK gets from the platform at `url`; return where the faults will stand."""
    faults: list[str] = []

    def judge(answer: requests.Response, *_: Any, **__: Any) -> None:
        request = answer.request
        method, path = str(request.method), urlsplit(str(request.url)).path
        content_type = answer.headers.get("content-type", "")
        fault = document_of(url).fault(method, path, answer.status_code, content_type, answer.content)
        if fault:
            faults.append(f"{method} {path} was answered {answer.status_code}: {fault}")

    client.session.hooks["response"].append(judge)
    return faults


_kept: list[Any] = []
