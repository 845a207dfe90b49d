"""Access tokens for endpoints, as Plivo's API makes them: JSON Web Tokens signed with the account's own token. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

LIFETIME_MIN_S = 180
LIFETIME_MAX_S = 86_400


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows, to whom, and how long."""

    issuer: str
    """The account."""
    subject: str
    """User name of an endpoint; empty: any."""
    not_before_s: int
    """Since the epoch."""
    expires_s: int
    may_be_called: bool
    may_call: bool
    app_id: str = ""


def make_token(grant: Grant, auth_token: str) -> str:
    """Return the token of a grant: HS256 (RFC 7519, RFC 7515)."""
    claims = {
        "app": grant.app_id,
        "exp": grant.expires_s,
        "iss": grant.issuer,
        "nbf": grant.not_before_s,
        "per": {"voice": {"incoming_allow": grant.may_be_called, "outgoing_allow": grant.may_call}},
        "sub": grant.subject,
    }
    signed = f"{_part({'alg': 'HS256', 'cty': 'plivo;v=1', 'typ': 'JWT'})}.{_part(claims)}"
    signature = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(signature)}"


def _part(values: Mapping[str, object]) -> str:
    return _base64(json.dumps(values, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
