"""Signatures that let a customer's application check that a request is ours.

Spec: wire spec 5.6 (V2, V3), 1.1 (stream WebSocket upgrade).
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlsplit

_is_unreserved = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
Params = Mapping[str, str] | Iterable[tuple[str, str]]
"""Webhook parameters: a mapping, or pairs when a name is repeated."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The auth tokens that sign one account's callbacks.

    `tokens` belong to the (sub)account that owns the number or application, newest first (two while a token is
    rotated); `main_tokens` belong to its main account and are equal to `tokens` for a main account.
    """

    tokens: tuple[str, ...] = field(repr=False)
    main_tokens: tuple[str, ...] = field(default=(), repr=False)


def without_fragment(url: str) -> str:
    """Return `url` as it is signed and sent: no fragment, no user information, otherwise untouched."""
    url = url.partition("#")[0]
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    return f"{scheme}://{authority.rpartition('@')[2]}{tail}"


def sign_v2(url: str, nonce: str, token: str) -> str:
    """Return the V2 signature: it covers scheme, host and path, not the query and not the parameters."""
    return _mac(token, _base_of(url) + nonce)


def sign_v3(method: str, url: str, nonce: str, token: str, params: Params = ()) -> str:
    """Return the V3 signature of one request.

    Shape: base64, one line.
    Args:
        url: The URL exactly as configured, query included; a fragment is left out of account.
        params: The webhook parameters. With GET they are the same thing as the query.
    Spec: wire spec 5.6, checked against four captured vectors and the official SDK.
    """
    return _mac(token, signed_text_v3(method, url, nonce, params))


def signed_text_v3(method: str, url: str, nonce: str, params: Params = ()) -> str:
    """Return the text that `sign_v3` signs, for the event log and for `webhook verify`.

    Shape: GET `B?a=1&b=2.N` or `B.N`; POST `B?a=b.K1V1K2V2.N`, `B?K1V1.N` (no dot before the parameters), `B.N`.
    """
    base = _base_of(url)
    query = _query_of(url)
    pairs = _pairs(params)
    if method.upper() == "GET":
        joined = _joined(sorted(query + pairs))
        return f"{base}?{joined}.{nonce}" if joined else f"{base}.{nonce}"
    if not query and not pairs:
        return f"{base}.{nonce}"
    dot = "." if query and pairs else ""
    body = "".join(f"{name}{value}" for name, value in sorted(pairs))
    return f"{base}?{_joined(sorted(query))}{dot}{body}.{nonce}"


def signature_headers(
    method: str, url: str, params: Params, nonce_v2: str, nonce_v3: str, keys: SigningKeys
) -> tuple[tuple[str, str], ...]:
    """Return all signature headers of one webhook, V2 and V3.

    Shape: V3 values are lists joined by a bare comma: for each token the signature of the official SDKs and the one
    that `@plivo/agent` expects. V2 values hold one signature, of the newest token: its validators know no lists.
    Spec: wire spec 5.6.
    """
    texts_v3 = _v3_texts(method, url, nonce_v3, _pairs(params))
    v2, v3 = sign_v2(url, nonce_v2, keys.tokens[0]), _signatures(texts_v3, keys.tokens)
    ma_v2, ma_v3 = v2, v3
    if keys.main_tokens:
        ma_v2, ma_v3 = sign_v2(url, nonce_v2, keys.main_tokens[0]), _signatures(texts_v3, keys.main_tokens)
    return (
        ("X-Plivo-Signature-V2", v2),
        ("X-Plivo-Signature-Ma-V2", ma_v2),
        ("X-Plivo-Signature-V2-Nonce", nonce_v2),
        ("X-Plivo-Signature-V3", v3),
        ("X-Plivo-Signature-Ma-V3", ma_v3),
        ("X-Plivo-Signature-V3-Nonce", nonce_v3),
    )


def stream_signature_headers(url: str, nonce: str, keys: SigningKeys, dialled: str = "") -> tuple[tuple[str, str], ...]:
    """Return the signature headers of a stream's WebSocket upgrade.

    Shape: a bare-comma list over the `wss`, `https`, `http` and `ws` spellings of the URL and two of `http…/websocket`,
    one nonce for all: clients disagree about what was signed (wire spec 1.1).
    Args:
        url: As the customer wrote it.
        dialled: As it stands in the request, where that may differ: an application may rebuild it from there.
    """
    texts = _stream_texts(url, nonce) + (_stream_texts(dialled, nonce) if dialled else [])
    v3 = _signatures(texts, keys.tokens)
    return (
        ("X-Plivo-Signature-V3", v3),
        ("X-Plivo-Signature-Ma-V3", _signatures(texts, keys.main_tokens) if keys.main_tokens else v3),
        ("X-Plivo-Signature-V3-Nonce", nonce),
    )


def event_headers(event_id: str, wall_s: int, body: bytes, keys: SigningKeys) -> tuple[tuple[str, str], ...]:
    """Return our own headers, which make a repeated or replayed callback recognisable.

    Shape: `X-Ringback-Signature` is the hexadecimal HMAC-SHA256 of `timestamp.body` with the newest token. V3 carries
    no time and joins names and values without a separator, so it cannot tell a replay.
    """
    stamp = str(wall_s)
    mac = hmac.new(keys.tokens[0].encode(), stamp.encode() + b"." + body, sha256).hexdigest()
    return (
        ("X-Ringback-Event-Id", event_id),
        ("X-Ringback-Timestamp", stamp),
        ("X-Ringback-Signature", mac),
    )


def _signatures(texts: list[str], tokens: tuple[str, ...]) -> str:
    """Return the list of the texts' signatures with every token, none twice."""
    return ",".join(dict.fromkeys(_mac(token, text) for token in tokens for text in texts))


def _v3_texts(method: str, url: str, nonce: str, pairs: list[tuple[str, str]]) -> list[str]:
    # An application that rebuilds the URL from its request sees "/" where the configured URL has no path.
    spellings = [url] if urlsplit(url).path else [url, _with_root_path(url)]
    texts = [signed_text_v3(method, spelling, nonce, pairs) for spelling in spellings]
    return [*texts, _agent_stack_text(method, url, nonce, pairs)]


def _stream_texts(url: str, nonce: str) -> list[str]:
    url = without_fragment(url)
    rest = url.partition("://")[2]
    spellings = [f"{scheme}://{rest}" for scheme in ("wss", "https", "http", "ws")]
    if not urlsplit(url).path:
        spellings += [_with_root_path(spelling) for spelling in spellings]
    path_part, question, query = rest.partition("?")
    spellings.append(f"http://{path_part.rstrip('/')}/websocket{question}{query}")
    # The Python stream SDK puts it at the very end of the URL it was asked for, behind the query if there is one.
    asked = f"http://{rest}" if urlsplit(url).path else _with_root_path(f"http://{rest}")
    spellings.append(f"{asked}/websocket")
    return [signed_text_v3("GET", spelling, nonce) for spelling in spellings]


def _agent_stack_text(method: str, url: str, nonce: str, pairs: list[tuple[str, str]]) -> str:
    """Return the text that the validator of `@plivo/agent` builds: URL-encoded, and a dot before POST parameters.

    Spec: wire spec 5.6, "Disagreements about V3".
    """
    if method.upper() == "GET":
        joined = _encoded(sorted(_query_of(url) + pairs))
        return f"{_base_of(url)}?{joined}.{nonce}" if joined else f"{_base_of(url)}.{nonce}"
    return f"{without_fragment(url)}.{_encoded(sorted(pairs))}.{nonce}"


def _mac(token: str, text: str) -> str:
    # "replace" keeps hostile text (a lone surrogate from a SIP header) from raising here.
    digest = hmac.new(token.encode(), text.encode("utf-8", "replace"), sha256).digest()
    return b64encode(digest).decode("ascii")


def _base_of(url: str) -> str:
    return without_fragment(url).partition("?")[0]


def _query_of(url: str) -> list[tuple[str, str]]:
    query = without_fragment(url).partition("?")[2]
    return parse_qsl(query, keep_blank_values=True, max_num_fields=None)


def _pairs(params: Params) -> list[tuple[str, str]]:
    return list(params.items()) if isinstance(params, Mapping) else list(params)


def _joined(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in pairs)


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def _quoted(text: str) -> str:
    # Most names and values have nothing to quote, and `quote` finds that out slowly.
    return text if _is_unreserved(text) else quote(text, safe="")


def _with_root_path(url: str) -> str:
    url = without_fragment(url)
    before, question, query = url.partition("?")
    return f"{before}/{question}{query}"
