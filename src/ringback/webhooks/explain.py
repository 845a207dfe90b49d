"""Why a signature does not match: what an application computes that makes one of the common mistakes.

Pure. The first computation is the right one; the others are what the customer's code would have got from a wrong URL
(a proxy that ends TLS, a port, a query, a slash), from the wrong parameters, or from the wrong recipe.
Spec: wire spec 5.6; reference product.md 6.4.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

from ringback.webhooks.signature import signed_text_v3, without_fragment

Pairs = Sequence[tuple[str, str]]

NONCE_CHARS = 20
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Computation:
    """One way to compute a V3 signature, and what comes out."""

    mistake: str
    """Empty for the right way."""
    fix: str
    text: str
    """What is signed, nonce included."""
    signature: str


@dataclass(frozen=True, slots=True)
class SignedCallback:
    """What a V3 signature covers."""

    method: str
    url: str
    """As configured, query included."""
    params: Pairs
    nonce: str


def computations(callback: SignedCallback, token: str, seen_url: str = "", other_token: str = "") -> list[Computation]:
    """Return the right computation first, then each mistake that changes the outcome.

    Args:
        seen_url: What the application believes its URL is, if it told.
        other_token: A token that the application may use instead, such as the main account's.
    """
    method, url, params, nonce = (
        callback.method.upper(),
        without_fragment(callback.url),
        callback.params,
        callback.nonce,
    )
    right = signed_text_v3(method, url, nonce, params)
    found = [Computation("", "", right, _signature(token, right))]
    taken = {right}

    def add(mistake: str, fix: str, text: str) -> None:
        if text not in taken:
            taken.add(text)
            found.append(Computation(mistake, fix, text, _signature(token, text)))

    for mistake, fix, other in _other_urls(url, seen_url):
        add(mistake, fix, signed_text_v3(method, other, nonce, params))
    for mistake, fix, text in _other_params(method, url, params, nonce):
        add(mistake, fix, text)
    for mistake, fix, text in _other_recipes(method, url, params, nonce):
        add(mistake, fix, text)
    if other_token and other_token != token:
        signature = _signature(other_token, right)
        found.append(
            Computation("another token", "sign with the token of the account that owns the number", right, signature)
        )
    return found


def nonce_of(signed_text: str) -> str:
    """Return the nonce at the end of a signed text; empty when there is none."""
    nonce = signed_text[-NONCE_CHARS:]
    return nonce if len(nonce) == NONCE_CHARS and nonce.isdigit() else ""


def marked(text: str) -> str:
    """Return `text` with what the eye does not see made visible: blanks as `·`, other signs as `\\xNN`, `\\uNNNN`."""
    return "".join("·" if c == " " else c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _other_urls(url: str, seen_url: str) -> list[tuple[str, str, str]]:
    found = []
    if seen_url:
        found.append(("the URL that your application sees", "sign the URL exactly as it is configured", seen_url))
    parts = urlsplit(url)
    path = parts.path or "/"
    swapped = {"http": "https", "https": "http"}.get(parts.scheme)
    if swapped:
        fix = "behind a proxy that ends TLS, take the scheme from X-Forwarded-Proto, or configure the public URL"
        found.append((f"scheme {swapped}", fix, parts._replace(scheme=swapped).geturl()))
    host = parts.netloc.rpartition("@")[2]
    bare = host.rpartition(":")[0] if parts.port is not None and not host.endswith("]") else host
    if parts.port is not None:
        found.append(
            ("the port is left out", "keep the port of the configured URL", parts._replace(netloc=bare).geturl())
        )
    elif parts.scheme in _DEFAULT_PORTS:
        port = _DEFAULT_PORTS[parts.scheme]
        found.append(
            (
                f"port {port} is added",
                "the configured URL has no port",
                parts._replace(netloc=f"{bare}:{port}").geturl(),
            )
        )
    if parts.query:
        found.append(
            ("the query is left out", "the query belongs to the signed URL", parts._replace(query="").geturl())
        )
    if path.endswith("/"):
        found.append(("the slash at the end is left out", "keep the path as configured", _with_path(url, path[:-1])))
    else:
        found.append(("a slash is added at the end", "keep the path as configured", _with_path(url, path + "/")))
    return found


def _other_params(method: str, url: str, params: Pairs, nonce: str) -> list[tuple[str, str, str]]:
    if not params:
        return []
    filled = [(name, value) for name, value in params if value]
    trimmed = [(name, value.strip()) for name, value in params]
    return [
        (
            "empty parameters are dropped",
            "parse the form with its empty values (Python: keep_blank_values=True)",
            signed_text_v3(method, url, nonce, filled),
        ),
        ("values are trimmed", "sign the values as they were sent", signed_text_v3(method, url, nonce, trimmed)),
        (
            "the parameters are left out",
            "read the form body before the signature is checked",
            signed_text_v3(method, url, nonce, ()),
        ),
    ]


def _other_recipes(method: str, url: str, params: Pairs, nonce: str) -> list[tuple[str, str, str]]:
    base = url.partition("?")[0]
    found = [("the recipe of V2", "V3 covers query and parameters too", base + nonce)]
    if params:
        unsorted = "".join(f"{name}{value}" for name, value in params)
        ordered = sorted(params)
        joined = "".join(f"{name}{value}" for name, value in ordered)
        start = f"{url}." if "?" in url else f"{base}?"
        if method == "POST":
            found += [
                ("the parameters are not sorted", "sort them by name", f"{start}{unsorted}.{nonce}"),
                ("a dot between URL and parameters", "without a query there is no dot", f"{base}?.{joined}.{nonce}"),
                ("the parameters without a question mark", "a `?` follows the path", f"{base}{joined}.{nonce}"),
                (
                    "the body as it was sent",
                    "sign names and values decoded, without & and =",
                    f"{start}{urlencode(list(params))}.{nonce}",
                ),
            ]
        else:
            encoded = f"{base}?{urlencode(ordered)}.{nonce}"
            found.append(("the query as it was sent", "sign names and values decoded", encoded))
    return found


def _with_path(url: str, path: str) -> str:
    return urlsplit(url)._replace(path=path).geturl()


def _signature(token: str, text: str) -> str:
    return b64encode(hmac.new(token.encode(), text.encode("utf-8", "replace"), sha256).digest()).decode("ascii")
