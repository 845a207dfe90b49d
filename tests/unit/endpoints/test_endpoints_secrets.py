"""What stands for a password in the database."""

from __future__ import annotations

import hashlib

from ringback.endpoints.secrets import REALM, secrets_of


def test_secrets_are_the_digest_keys_of_our_realm_and_do_not_show() -> None:
    found = secrets_of("alice123456789012", "pässword")
    text = f"alice123456789012:{REALM}:pässword".encode()
    assert found.by_algorithm() == {"MD5": hashlib.md5(text).hexdigest(), "SHA-256": hashlib.sha256(text).hexdigest()}
    assert repr(found) == "Secrets()"
    assert REALM == "ringback", "migration 0010 hashes with it; another one needs new passwords"
