"""Digest authentication: what both sides compute, and the client's side (RFC 3261 §22, RFC 7616, RFC 8760).

The client answers the strongest algorithm that it knows, counts each nonce, retries a stale one silently, and stops
when the same credentials are refused again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ringback.sip.errors import MalformedSip
from ringback.sip.message import SipResponse
from ringback.sip.syntax import end_of_quoted, quote, refuse_unsafe

_AUTH_SPECIAL = re.compile(r'[=,"]')
_MAX_REALMS: Final = 16
_MAX_REFUSALS: Final = 1
_MAX_STALE: Final = 4


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password, for one realm or (`None`) for any."""

    username: str
    password: str = field(repr=False)
    realm: str | None = None


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A digest algorithm: its name on the wire, its hash, and whether it hashes a session key."""

    name: str
    hash_name: str
    strength: int
    is_session: bool = False

    def digest(self, text: bytes | str) -> str:
        """Return the lower-case hexadecimal hash of `text`, a string as UTF-8."""
        octets = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        return hashlib.new(self.hash_name, octets, usedforsecurity=False).hexdigest()


def known_algorithms(available: Container[str]) -> dict[str, Algorithm]:
    """Return the algorithms whose hashes are `available`, by upper-case name."""
    known: dict[str, Algorithm] = {}
    for name, hash_name, strength in (("MD5", "md5", 1), ("SHA-256", "sha256", 2), ("SHA-512-256", "sha512_256", 3)):
        # SHA-512/256 is missing from some builds of OpenSSL.
        if hash_name in available:
            known[name] = Algorithm(name, hash_name, strength)
            known[f"{name}-SESS"] = Algorithm(f"{name}-sess", hash_name, strength, is_session=True)
    return known


ALGORITHMS: Final = known_algorithms(hashlib.algorithms_available)
"""What this host can compute, by upper-case name."""


def parse_auth_params(text: str) -> dict[str, str]:
    """Return the comma-separated parameters of a challenge or of credentials, by lower-case name.

    Values of quoted strings come without their quotes and with their escapes (RFC 7616 §3.4.2 hashes them so). The
    first of a repeated name wins. One pass: 5,000 parameters cost a few milliseconds.

    Raises:
        MalformedSip: a quoted value never ends, or a parameter has no `=`.
    """
    params: dict[str, str] = {}
    position, size = 0, len(text)
    while position < size:
        found = _AUTH_SPECIAL.search(text, position)
        if found is None or found.group() != "=":
            end = size if found is None else found.start()
            if text[position:end].strip() or (found is not None and found.group() == '"'):
                raise MalformedSip("found an authentication parameter without =", code="malformed-authentication")
            position = end + 1
            continue
        name = text[position : found.start()].strip().lower()
        start = found.end()
        while start < size and text[start] in " \t":
            start += 1
        if start < size and text[start] == '"':
            end = end_of_quoted(text, start)
            if end < 0:
                raise MalformedSip(
                    "found an authentication parameter without its closing quote", code="unterminated-quote"
                )
            value = text[start + 1 : end - 1]
            comma = text.find(",", end)
            comma = size if comma < 0 else comma
            if text[end:comma].strip():
                raise MalformedSip(
                    "found text behind a quoted authentication parameter", code="malformed-authentication"
                )
        else:
            comma = text.find(",", start)
            comma = size if comma < 0 else comma
            value = text[start:comma].strip()
        params.setdefault(name, value)
        position = comma + 1
    return params


@dataclass(frozen=True, slots=True)
class Challenge:
    """One digest challenge of a 401 (`is_proxy` false) or 407 (true)."""

    realm: str
    nonce: str
    algorithm_name: str = ""
    opaque: str | None = None
    qop: tuple[str, ...] = ()
    is_stale: bool = False
    is_proxy: bool = False

    @classmethod
    def parse(cls, value: str, is_proxy: bool = False) -> Challenge:
        """Return the challenge in one WWW-Authenticate or Proxy-Authenticate value.

        Raises:
            MalformedSip: another scheme than Digest, unreadable parameters, or no nonce.
        """
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() != "digest":
            raise MalformedSip("found an authentication scheme other than Digest", code="unsupported-scheme")
        params = parse_auth_params(rest)
        if "nonce" not in params:
            raise MalformedSip("found a challenge without nonce", code="malformed-authentication")
        return cls(
            realm=params.get("realm", ""),
            nonce=params["nonce"],
            algorithm_name=params.get("algorithm", ""),
            opaque=params.get("opaque"),
            qop=tuple(part.strip().lower() for part in params.get("qop", "").split(",") if part.strip()),
            is_stale=params.get("stale", "").lower() == "true",
            is_proxy=is_proxy,
        )

    @property
    def algorithm(self) -> Algorithm | None:
        """Return the algorithm (MD5 when none is named), or `None` when it is unknown."""
        return ALGORITHMS.get((self.algorithm_name or "MD5").upper())

    @property
    def chosen_qop(self) -> str | None:
        """Return `auth`, `auth-int`, or empty for the form of RFC 2069; `None` when nothing offered is known."""
        if not self.qop:
            return ""
        return next((qop for qop in ("auth", "auth-int") if qop in self.qop), None)

    @property
    def is_answerable(self) -> bool:
        """Return whether algorithm and quality of protection are both known."""
        return self.algorithm is not None and self.chosen_qop is not None


def challenges_of(response: SipResponse) -> tuple[Challenge, ...]:
    """Return the readable digest challenges of a response, in their order; others are left out."""
    found: list[Challenge] = []
    for name, is_proxy in (("www-authenticate", False), ("proxy-authenticate", True)):
        for value in response.headers.all(name):
            try:
                found.append(Challenge.parse(value, is_proxy))
            except MalformedSip:
                continue
    return tuple(found)


def digest_response(
    algorithm: Algorithm,
    credentials: Credentials,
    challenge: Challenge,
    method: str,
    uri: str,
    body: bytes,
    cnonce: str,
    nonce_count: int,
) -> str:
    """Return the `response` value for one request.

    Spec: RFC 7616 §3.4.1; without qop RFC 2069.
    """
    key = secret_hash(algorithm, credentials.username, challenge.realm, credentials.password)
    if algorithm.is_session:
        key = algorithm.digest(f"{key}:{challenge.nonce}:{cnonce}")
    qop = challenge.chosen_qop or ""
    subject = f"{method}:{uri}:{algorithm.digest(body)}" if qop == "auth-int" else f"{method}:{uri}"
    return proof_of(algorithm, key, challenge.nonce, f"{nonce_count:08x}", cnonce, qop, subject)


def secret_hash(algorithm: Algorithm, username: str, realm: str, password: str) -> str:
    """Return what stands for a password in one realm: H(A1) of an algorithm without a session key."""
    return algorithm.digest(f"{username}:{realm}:{password}")


def proof_of(algorithm: Algorithm, key: str, nonce: str, nonce_count: str, cnonce: str, qop: str, subject: str) -> str:
    """Return the `response` value made with the key H(A1) about `subject`, which is A2.

    Args:
        nonce_count: As it stands in `nc`; it, `cnonce` and `qop` are left out when `qop` is empty (RFC 2069).
    """
    hashed = algorithm.digest
    if not qop:
        return hashed(f"{key}:{nonce}:{hashed(subject)}")
    return hashed(f"{key}:{nonce}:{nonce_count}:{cnonce}:{qop}:{hashed(subject)}")


@dataclass(slots=True)
class _Realm:
    """What one realm asked last, and how often it refused since."""

    challenge: Challenge
    credentials: Credentials
    nonce_count: int = 0
    refusals: int = 0
    stale_rounds: int = 0
    is_answered: bool = True


class DigestClient:
    """Answers the challenges that one dialog or registration meets.

    State: remembers the last challenge of each realm (at most 16), its nonce count, and refusals since `accepted`.
    """

    __slots__ = ("_realms", "_token")

    def __init__(self, token: Callable[[], str]) -> None:
        """Take the source of client nonces; each must be fresh and made of token characters."""
        self._token = token
        self._realms: dict[tuple[bool, str], _Realm] = {}

    def authorize(
        self,
        challenges: Iterable[Challenge],
        method: str,
        uri: str,
        body: bytes,
        credentials: Sequence[Credentials],
    ) -> tuple[str, str] | None:
        """Return the header that answers the first realm challenged, or `None` when there is no point in a retry."""
        headers = self.authorize_all(challenges, method, uri, body, credentials)
        return headers[0] if headers else None

    def authorize_all(
        self,
        challenges: Iterable[Challenge],
        method: str,
        uri: str,
        body: bytes,
        credentials: Sequence[Credentials],
    ) -> tuple[tuple[str, str], ...]:
        """Return the headers for the next attempt: one for each realm that this dialog has met, or nothing to stop.

        Nothing comes back when a challenged realm has no credentials or no known algorithm, when it refuses a nonce
        again that it does not call stale, or refuses a second nonce in a row. Realms that did not challenge this time
        (a 401 behind a 407) are answered again with a raised nonce count.
        """
        strongest = _strongest_per_realm(challenges)
        if not strongest:
            return ()
        for key, challenge in strongest.items():
            if not self._accept_challenge(key, challenge, credentials):
                return ()
        return self.headers_for(method, uri, body)

    def headers_for(self, method: str, uri: str, body: bytes = b"") -> tuple[tuple[str, str], ...]:
        """Return credentials for a further request, before it is challenged; nothing if no realm is known yet."""
        return tuple(self._header(realm, method, uri, body) for realm in self._realms.values())

    def accepted(self, response: SipResponse | None = None) -> None:
        """Note that a request was answered otherwise than by a challenge: earlier refusals count no more.

        A `nextnonce` in the response's Authentication-Info replaces the nonce (RFC 7616 §3.5).
        """
        for realm in self._realms.values():
            realm.refusals = realm.stale_rounds = 0
            realm.is_answered = False
        if response is None:
            return
        for name, is_proxy in (("authentication-info", False), ("proxy-authentication-info", True)):
            value = response.headers.get(name)
            next_nonce = _next_nonce(value) if value else None
            owners = [realm for key, realm in self._realms.items() if key[0] is is_proxy]
            if next_nonce and len(owners) == 1:
                _renew(owners[0], next_nonce)

    def _accept_challenge(
        self, key: tuple[bool, str], challenge: Challenge, credentials: Sequence[Credentials]
    ) -> bool:
        chosen = _credentials_for(challenge.realm, credentials)
        if chosen is None or not challenge.is_answerable:
            return False
        known = self._realms.get(key)
        if known is None:
            if len(self._realms) >= _MAX_REALMS:
                return False
            self._realms[key] = _Realm(challenge, chosen)
            return True
        is_same_nonce = known.challenge.nonce == challenge.nonce
        if challenge.is_stale and not is_same_nonce:
            known.stale_rounds += 1
        else:
            known.refusals += 1
        if known.stale_rounds > _MAX_STALE or known.refusals > _MAX_REFUSALS:
            return False
        if is_same_nonce and known.is_answered:
            return False
        known.challenge, known.credentials, known.is_answered = challenge, chosen, True
        if not is_same_nonce:
            known.nonce_count = 0
        return True

    def _header(self, realm: _Realm, method: str, uri: str, body: bytes) -> tuple[str, str]:
        challenge, algorithm = realm.challenge, realm.challenge.algorithm
        assert algorithm is not None
        realm.nonce_count += 1
        cnonce = self._token()
        proof = digest_response(algorithm, realm.credentials, challenge, method, uri, body, cnonce, realm.nonce_count)
        parts = [
            f"username={quote(realm.credentials.username)}",
            f'realm="{challenge.realm}"',
            f'nonce="{challenge.nonce}"',
            f"uri={quote(uri)}",
            f'response="{proof}"',
        ]
        if challenge.algorithm_name:
            parts.append(f"algorithm={algorithm.name}")
        if challenge.opaque is not None:
            parts.append(f'opaque="{challenge.opaque}"')
        if challenge.chosen_qop:
            parts += [f"qop={challenge.chosen_qop}", f'cnonce="{cnonce}"', f"nc={realm.nonce_count:08x}"]
        elif algorithm.is_session:
            parts.append(f'cnonce="{cnonce}"')
        value = f"Digest {', '.join(parts)}"
        name = "Proxy-Authorization" if challenge.is_proxy else "Authorization"
        refuse_unsafe(name, value)
        return name, value


def _strongest_per_realm(challenges: Iterable[Challenge]) -> dict[tuple[bool, str], Challenge]:
    strongest: dict[tuple[bool, str], Challenge] = {}
    for challenge in challenges:
        key = (challenge.is_proxy, challenge.realm)
        rival = strongest.get(key)
        if rival is None or _strength(challenge) > _strength(rival):
            strongest[key] = challenge
    return strongest


def _strength(challenge: Challenge) -> int:
    algorithm = challenge.algorithm
    return algorithm.strength if algorithm is not None and challenge.is_answerable else 0


def _credentials_for(realm: str, credentials: Sequence[Credentials]) -> Credentials | None:
    exact = next((entry for entry in credentials if entry.realm == realm), None)
    return exact or next((entry for entry in credentials if entry.realm is None), None)


def _next_nonce(value: str) -> str | None:
    try:
        return parse_auth_params(value).get("nextnonce")
    except MalformedSip:
        return None


def _renew(realm: _Realm, nonce: str) -> None:
    old = realm.challenge
    realm.challenge = Challenge(old.realm, nonce, old.algorithm_name, old.opaque, old.qop, False, old.is_proxy)
    realm.nonce_count = 0
