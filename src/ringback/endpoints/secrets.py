"""What is stored of an endpoint's password: the digest keys of our realm, never the password. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ringback.sip.digest import ALGORITHMS, secret_hash

REALM: Final = "ringback"
"""Stands in every challenge, whatever address or name the node has: a key serves one realm for ever."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """H(A1) of one password by algorithm."""

    md5: str = field(repr=False)
    sha256: str = field(repr=False)

    def by_algorithm(self) -> Mapping[str, str]:
        """Return them by the names that stand in challenges."""
        return {"MD5": self.md5, "SHA-256": self.sha256}


def secrets_of(username: str, password: str) -> Secrets:
    """Return the digest keys of a user."""
    md5, sha256 = (secret_hash(ALGORITHMS[name], username, REALM, password) for name in ("MD5", "SHA-256"))
    return Secrets(md5, sha256)
