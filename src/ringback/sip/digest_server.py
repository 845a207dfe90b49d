"""Digest authentication, the server's side (RFC 3261 §22, RFC 7616, RFC 8760).

A nonce is signed and dated, so that none is kept before it was used rightly. From then on every request needs a count
that the nonce has not seen; without `qop` a nonce serves once. A right answer to an old nonce is `STALE`: the client
tries again unseen.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ringback.machine import MS, Instant, after_ms
from ringback.sip.digest import ALGORITHMS, Algorithm, parse_auth_params, proof_of
from ringback.sip.errors import MalformedSip
from ringback.sip.message import SipRequest
from ringback.sip.uri import SipUri, parse_uri_or_opaque

NONCE_LIFETIME_MS: Final = 300_000
"""A phone that refreshes hourly meets one more round trip; a stolen answer is worth nothing sooner."""
NONCES_MAX: Final = 10_000
"""Used nonces remembered; the one used first is forgotten first and is stale from then on."""
_WINDOW: Final = 64
"""How far a request may come behind a later one of the same nonce, as UDP may have it."""
_SIGNATURE_CHARS: Final = 32


class Verdict(Enum):
    """What credentials are worth."""

    RIGHT = "right"
    STALE = "stale"
    """The password is right, the nonce is old or its count was used: challenge again with `stale=true`."""
    WRONG = "wrong"
    MISDIRECTED = "misdirected"
    """They were made for another request (RFC 7616 §3.4.6: 400)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Authorization or Proxy-Authorization value says."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm_name: str = "MD5"
    qop: str = ""
    cnonce: str = ""
    nonce_count: str = ""


def claim_of(request: SipRequest, realm: str) -> Claim | None:
    """Return the readable digest credentials of a request for `realm`, or `None` when it brings none."""
    for name in ("authorization", "proxy-authorization"):
        for value in request.headers.all(name):
            scheme, _, rest = value.strip().partition(" ")
            if scheme.lower() != "digest":
                continue
            try:
                params = parse_auth_params(rest)
            except MalformedSip:
                continue
            if params.get("realm") == realm:
                return Claim(
                    username=params.get("username", ""),
                    realm=realm,
                    nonce=params.get("nonce", ""),
                    uri=params.get("uri", ""),
                    response=params.get("response", "").lower(),
                    algorithm_name=(params.get("algorithm") or "MD5").upper(),
                    qop=params.get("qop", "").lower(),
                    cnonce=params.get("cnonce", ""),
                    nonce_count=params.get("nc", ""),
                )
    return None


@dataclass(slots=True)
class _Use:
    """The counts that a nonce has seen: the highest, and which of those just below it."""

    highest: int
    seen: int
    issued: Instant


class DigestServer:
    """Issues challenges for one realm and judges the answers.

    Args:
        algorithms: Names on the wire in order of preference; each must be in `digest.ALGORITHMS`.
        secret: Signs nonces; those of another secret are stale.
        new_token: Fresh randomness in token characters.
    """

    __slots__ = ("_algorithms", "_forgotten", "_limit", "_new_token", "_secret", "_uses", "realm")

    def __init__(
        self,
        realm: str,
        algorithms: tuple[str, ...],
        secret: bytes,
        new_token: Callable[[], str],
        *,
        nonces_max: int = NONCES_MAX,
    ) -> None:
        self.realm = realm
        self._algorithms = tuple(ALGORITHMS[name] for name in algorithms)
        self._secret = secret
        self._new_token = new_token
        self._limit = nonces_max
        self._uses: dict[str, _Use] = {}
        self._forgotten = Instant(-1)

    def __len__(self) -> int:
        """Return how many used nonces are remembered."""
        return len(self._uses)

    def challenges(self, now: Instant, *, is_stale: bool = False) -> tuple[str, ...]:
        """Return the values of WWW-Authenticate or Proxy-Authenticate, the preferred algorithm first."""
        nonce = self._nonce(now)
        stale = ", stale=true" if is_stale else ""
        return tuple(
            f'Digest realm="{self.realm}", nonce="{nonce}", algorithm={algorithm.name}, qop="auth"{stale}'
            for algorithm in self._algorithms
        )

    def judge(self, now: Instant, request: SipRequest, claim: Claim, secrets: Mapping[str, str]) -> Verdict:
        """Return what `claim` is worth for `request`.

        Args:
            secrets: `digest.secret_hash` of the user's password by name of the algorithm; of a user that does not
                exist, of any other text, so that the answer takes as long.
        """
        algorithm = self._algorithm(claim.algorithm_name)
        secret = secrets.get(algorithm.name, "")
        expected = proof_of(
            algorithm, secret, claim.nonce, claim.nonce_count, claim.cnonce, claim.qop, f"{request.method}:{claim.uri}"
        )
        is_right = hmac.compare_digest(expected.encode(), claim.response.encode("utf-8", "replace"))
        if not is_right or not secret or claim.algorithm_name != algorithm.name or claim.qop not in ("", "auth"):
            return Verdict.WRONG
        if not _names_the_same(claim.uri, request):
            return Verdict.MISDIRECTED
        return Verdict.RIGHT if self._is_new(now, claim) else Verdict.STALE

    def _algorithm(self, name: str) -> Algorithm:
        return next((known for known in self._algorithms if known.name == name), self._algorithms[-1])

    def _nonce(self, now: Instant) -> str:
        text = f"{now:x}.{self._new_token()}"
        return f"{text}.{self._signature(text)}"

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "replace"), "sha256").hexdigest()[:_SIGNATURE_CHARS]

    def _issued(self, nonce: str) -> Instant | None:
        """Return when we issued a nonce, or `None` when we did not."""
        text, _, signature = nonce.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(text).encode()):
            return None
        return Instant(int(text.partition(".")[0], 16))

    def _is_new(self, now: Instant, claim: Claim) -> bool:
        """Return whether nonce and count may be used, and note that they were."""
        issued = self._issued(claim.nonce)
        if issued is None or issued <= self._forgotten or now >= after_ms(issued, NONCE_LIFETIME_MS):
            return False
        count = _count(claim)
        if count is None:
            return False
        use = self._uses.get(claim.nonce)
        if use is None:
            self._make_room(now)
            self._uses[claim.nonce] = _Use(count, 1, issued)
            return True
        if not claim.qop or count <= use.highest - _WINDOW:
            return False
        if count > use.highest:
            use.seen = (use.seen << min(count - use.highest, _WINDOW) | 1) & ((1 << _WINDOW) - 1)
            use.highest = count
            return True
        bit = 1 << (use.highest - count)
        if use.seen & bit:
            return False
        use.seen |= bit
        return True

    def _make_room(self, now: Instant) -> None:
        expired = now - NONCE_LIFETIME_MS * MS
        while self._uses:
            oldest = next(iter(self._uses))
            issued = self._uses[oldest].issued
            if issued > expired and len(self._uses) < self._limit:
                return
            del self._uses[oldest]
            # Whatever was issued before it may have been used as well: nobody knows any more.
            self._forgotten = max(self._forgotten, issued)


def _count(claim: Claim) -> int | None:
    """Return the nonce count, 0 without `qop`, or `None` when it is unreadable."""
    if not claim.qop:
        return 0
    text = claim.nonce_count
    if len(text) != 8 or not claim.cnonce or any(each not in "0123456789abcdefABCDEF" for each in text):
        return None
    return int(text, 16)


def _names_the_same(uri: str, request: SipRequest) -> bool:
    """Return whether the digest's URI is that of the request; proxies may have changed its parameters."""
    if uri == request.uri_text:
        return True
    claimed, asked = parse_uri_or_opaque(uri), request.uri
    if not isinstance(claimed, SipUri) or not isinstance(asked, SipUri):
        return False
    return (claimed.user_text, claimed.host.lower()) == (asked.user_text, asked.host.lower())
