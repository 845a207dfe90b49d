"""The digest server: the standards' examples from its side, nonces, counts, what is wrong, what is stale."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from tests.support.registering import PASSWORD, USERNAME, RegisteringPhone

from ringback.machine import SECOND, Instant
from ringback.sip.digest import ALGORITHMS, secret_hash
from ringback.sip.digest_server import NONCE_LIFETIME_MS, Claim, DigestServer, Verdict, claim_of
from ringback.sip.message import SipRequest

REALM = "ringback"
SECRETS = {name: secret_hash(ALGORITHMS[name], USERNAME, REALM, PASSWORD) for name in ("MD5", "SHA-256")}
NOW = Instant(1_000 * SECOND)


def server(*algorithms: str, secret: bytes = b"secret", nonces_max: int = 10) -> DigestServer:
    tokens = itertools.count(1)
    return DigestServer(REALM, algorithms or ("MD5",), secret, lambda: f"t{next(tokens)}", nonces_max=nonces_max)


def claimed(request: SipRequest) -> Claim:
    claim = claim_of(request, REALM)
    assert claim is not None
    return claim


def judged(digest: DigestServer, request: SipRequest, now: Instant = NOW, **changes: str) -> Verdict:
    return digest.judge(now, request, replace(claimed(request), **changes), SECRETS)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_examples_of_rfc_7616_are_right_but_not_our_nonce(algorithm: str, response: str) -> None:
    request = SipRequest("GET", "/dir/index.html")
    secrets = {algorithm: secret_hash(ALGORITHMS[algorithm], "Mufasa", "http-auth@example.org", "Circle of Life")}
    claim = Claim(
        "Mufasa",
        "http-auth@example.org",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "/dir/index.html",
        response,
        algorithm,
        "auth",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "00000001",
    )
    assert server(algorithm).judge(NOW, request, claim, secrets) is Verdict.STALE
    wrong = replace(claim, response=response[::-1])
    assert server(algorithm).judge(NOW, request, wrong, secrets) is Verdict.WRONG


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5"), ("MD5", "SHA-256")])
def test_a_phone_that_knows_the_password_is_right_once_a_count(algorithms: tuple[str, ...]) -> None:
    digest, phone = server(*algorithms), RegisteringPhone()
    challenges = digest.challenges(NOW)
    assert [value.count("algorithm=" + name) for value, name in zip(challenges, algorithms, strict=True)]
    request = phone.register(challenges=challenges)
    assert judged(digest, request) is Verdict.RIGHT
    assert judged(digest, request) is Verdict.STALE


def test_a_nonce_serves_further_counts_in_any_order_but_each_once() -> None:
    digest, phone = server(), RegisteringPhone()
    challenges = digest.challenges(NOW)
    requests = [phone.register(challenges=challenges)]
    name = "authorization"
    requests += [phone.register(*phone._client.headers_for("REGISTER", "sip:127.0.0.1")) for _ in range(80)]
    assert all(name in request.headers for request in requests)
    for index in (0, 2, 1, 80, 79, 17):
        assert judged(digest, requests[index]) is Verdict.RIGHT, index
    for index in (0, 1, 2, 80, 79, 17, 16):
        assert judged(digest, requests[index]) is Verdict.STALE, index
    assert len(digest) == 1


def test_without_qop_a_nonce_serves_once() -> None:
    digest, phone = server(), RegisteringPhone()
    request = phone.register(challenges=[value.replace(', qop="auth"', "") for value in digest.challenges(NOW)])
    assert claimed(request).qop == ""
    assert judged(digest, request) is Verdict.RIGHT
    assert judged(digest, request) is Verdict.STALE


@pytest.mark.parametrize(
    "changes",
    [{"response": ""}, {"response": "0" * 32}, {"algorithm_name": "SHA-256"}, {"qop": "auth-int"}, {"response": "é"}],
)
def test_what_is_wrong(changes: dict[str, str]) -> None:
    digest = server()
    request = RegisteringPhone().register(challenges=digest.challenges(NOW))
    assert judged(digest, request, **changes) is Verdict.WRONG
    assert len(digest) == 0


def test_a_user_without_secrets_is_wrong() -> None:
    digest = server()
    request = RegisteringPhone().register(challenges=digest.challenges(NOW))
    assert digest.judge(NOW, request, claimed(request), {}) is Verdict.WRONG


@pytest.mark.parametrize("count", ["1", "0000000g", "", "000000001"])
def test_an_unreadable_count_is_stale_at_most(count: str) -> None:
    digest = server()
    request = RegisteringPhone().register(challenges=digest.challenges(NOW))
    assert judged(digest, request, nonce_count=count) is Verdict.WRONG


def test_old_and_foreign_nonces_are_stale() -> None:
    digest, phone = server(), RegisteringPhone()
    request = phone.register(challenges=digest.challenges(NOW))
    just = Instant(NOW + NONCE_LIFETIME_MS * 1_000_000)
    assert judged(digest, request, just) is Verdict.STALE
    assert judged(digest, request, Instant(just - 1)) is Verdict.RIGHT
    foreign = RegisteringPhone().register(challenges=server(secret=b"another").challenges(NOW))
    assert judged(digest, foreign) is Verdict.STALE
    assert "stale=true" in digest.challenges(NOW, is_stale=True)[0]


def test_forgotten_nonces_are_stale_and_never_new_again() -> None:
    digest = server(nonces_max=2)
    requests = [
        RegisteringPhone().register(challenges=digest.challenges(Instant(NOW + second * SECOND))) for second in range(3)
    ]
    later = Instant(NOW + 5 * SECOND)
    assert [judged(digest, request, later) for request in requests] == [Verdict.RIGHT] * 3
    assert len(digest) == 2
    assert judged(digest, requests[0], later) is Verdict.STALE


def test_expired_nonces_make_room() -> None:
    digest = server()
    judged(digest, RegisteringPhone().register(challenges=digest.challenges(NOW)))
    later = Instant(NOW + 2 * NONCE_LIFETIME_MS * 1_000_000)
    request = RegisteringPhone().register(challenges=digest.challenges(later))
    assert judged(digest, request, later) is Verdict.RIGHT
    assert len(digest) == 1


def test_credentials_for_another_uri_are_misdirected_but_parameters_may_differ() -> None:
    digest, phone = server(), RegisteringPhone()
    made = phone.register(challenges=digest.challenges(NOW))
    for uri, verdict in (
        ("sip:other.example", Verdict.MISDIRECTED),
        ("tel:+1", Verdict.MISDIRECTED),
        ("sip:127.0.0.1;transport=udp", Verdict.RIGHT),
    ):
        request = SipRequest("REGISTER", uri, made.headers.copy())
        assert judged(digest, request) is verdict


def test_credentials_for_others_count_as_none() -> None:
    phone = RegisteringPhone()
    assert claim_of(phone.register(), REALM) is None
    for value in ("Basic abc", 'Digest realm="other", nonce="n"', 'Digest realm="ringback', 'Digest "x'):
        assert claim_of(phone.register(("Authorization", value)), REALM) is None
