"""Why an agent could not be reached, in words for the customer who runs it."""

from __future__ import annotations

import os
import ssl

from picows import WSHandshakeError

_HINTS = {
    401: "the agent refuses us, check its signature validation and the auth token",
    403: "the agent refuses us, check its signature validation and the auth token",
    404: "no such path, check the URL",
}


def describe(error: Exception) -> str:
    """Return what went wrong and what to look at; customers read it in callbacks and in the timeline."""
    if isinstance(error, WSHandshakeError):
        response = error.response
        if response is None:
            return printable(f"{error}: is the port one that speaks HTTP?")
        status = int(response.status)
        if status == 101:
            return "the answer to the upgrade is none: its Sec-WebSocket-Accept, Upgrade or Connection is wrong"
        return f"expected 101, got {status}: {_HINTS.get(status, 'no WebSocket is served at this path')}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS failed: is the port one that speaks TLS?"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: check host and port, and that the agent runs"
    if isinstance(error, ConnectionResetError):
        return "connection reset during the upgrade: is the port one that serves WebSockets?"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return printable(str(error) or type(error).__name__)


def printable(text: str) -> str:
    """Return what an agent has said, safe for logs and of at most 200 characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])
