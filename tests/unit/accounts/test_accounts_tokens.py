"""Access tokens are those of the published example, and any library reads them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from ringback.accounts.tokens import Grant, make_token

PUBLISHED = (
    "eyJhbGciOiJIUzI1NiIsImN0eSI6InBsaXZvO3Y9MSIsInR5cCI6IkpXVCJ9.eyJhcHAiOiIiLCJleHAiOjE2NjAzNjM2ODMsImlzcyI6Ik1BTURW"
    "TFpKWTJaR1k1TVdVMVpKIiwibmJmIjoxNjYwMjc3MjgzLCJwZXIiOnsidm9pY2UiOnsiaW5jb21pbmdfYWxsb3ciOmZhbHNlLCJvdXRnb2luZ19hb"
    "GxvdyI6dHJ1ZX19LCJzdWIiOiIifQ"
)
"""Header and claims of the token in the Python SDK's own tests."""


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_the_published_token_is_made_again() -> None:
    grant = Grant("MAMDVLZJY2ZGY5MWU1ZJ", "", 1660277283, 1660363683, may_be_called=False, may_call=True)
    assert make_token(grant, "secret").rpartition(".")[0] == PUBLISHED


def test_a_token_is_signed_with_the_secret() -> None:
    grant = Grant("MA" + "X" * 18, "älice", 100, 400, may_be_called=True, may_call=False, app_id="1" * 17)
    signed, _, signature = make_token(grant, "secret").rpartition(".")
    assert decoded(signature) == hmac.new(b"secret", signed.encode(), hashlib.sha256).digest()
    assert json.loads(decoded(signed.partition(".")[2])) == {
        "app": "1" * 17,
        "exp": 400,
        "iss": "MA" + "X" * 18,
        "nbf": 100,
        "per": {"voice": {"incoming_allow": True, "outgoing_allow": False}},
        "sub": "älice",
    }
