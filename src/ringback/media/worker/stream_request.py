"""What is sent to open a stream's WebSocket: which commands can be dialled, headers, TLS. Opens no connection."""

from __future__ import annotations

import re
import ssl
from functools import lru_cache
from urllib.parse import urlsplit

from ringback import __version__
from ringback.errors import MediaError
from ringback.media.control.commands import OpenStream
from ringback.telemetry.logs import get_logger

_URL = re.compile(r"wss?://[\x21\x22\x24-\x7e]{1,2048}")
"""Printable ASCII without space and `#`: the library puts it into the request line as it is."""
_HEADERS_MAX = 32
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}")
_OWN_HEADERS = frozenset(
    {"host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"}
)

_log = get_logger(__name__)


class UnusableStream(MediaError):
    """An `OpenStream` command whose URL, addresses or headers cannot be dialled."""

    default_code = "unusable-stream"


def check_stream(command: OpenStream) -> None:
    """Accept a command that can be dialled.

    Raises:
        UnusableStream: `found` and `allowed` stand in its fields.
    """
    if not command.addresses:
        raise UnusableStream("no address to connect to", found="addresses", allowed="at least one")
    if not _URL.fullmatch(command.url) or not _has_host(command.url):
        raise UnusableStream("unusable stream URL", found="url", allowed="ws or wss, a host, printable ASCII")
    if len(command.headers) > _HEADERS_MAX:
        raise UnusableStream("too many headers", found=str(len(command.headers)), allowed=str(_HEADERS_MAX))
    for name, value in command.headers:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value) or name.lower() in _OWN_HEADERS:
            raise UnusableStream("unusable header", found=f"header {name[:40]!r}", allowed="tokens, printable values")
    if command.subprotocol and not _HEADER_NAME.fullmatch(command.subprotocol):
        raise UnusableStream("unusable sub-protocol", found="subprotocol", allowed="a token")


def handshake_headers(command: OpenStream) -> list[tuple[str, str]]:
    """Return the headers of the upgrade request, those of the library aside; no Origin (spec section 8, item 13)."""
    headers = [("Host", urlsplit(command.url).netloc.rpartition("@")[2]), ("User-Agent", f"Ringback/{__version__}")]
    if command.subprotocol:
        headers.append(("Sec-WebSocket-Protocol", command.subprotocol))
    headers.extend(command.headers)
    return headers


@lru_cache(maxsize=4)
def tls_context(verify: bool, ca_file: str = "") -> ssl.SSLContext:
    """Return the TLS settings towards agents; without `verify` any certificate passes.

    Args:
        ca_file: PEM file of authorities that are trusted besides the system's; one that cannot be read is logged.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            _log.error("stream.ca_file cannot be used", path=ca_file, reason=str(error))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
