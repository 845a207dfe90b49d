"""The digest client: the standards' examples, choice, counting, retries and refusals."""

from __future__ import annotations

import itertools
import re

import pytest

from ringback.sip.digest import (
    ALGORITHMS,
    Challenge,
    Credentials,
    DigestClient,
    challenges_of,
    digest_response,
    known_algorithms,
    parse_auth_params,
)
from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.message import SipResponse

ALICE = Credentials("alice", "secret")


def client() -> DigestClient:
    """Return a client whose nonces are c1, c2, ..."""
    counter = itertools.count(1)
    return DigestClient(lambda: f"c{next(counter)}")


def answer(
    digest: DigestClient, *challenges: str, method: str = "INVITE", credentials: tuple[Credentials, ...] = (ALICE,)
) -> tuple[tuple[str, str], ...]:
    """Return what the client sends after a response with these WWW-Authenticate values."""
    return digest.authorize_all([Challenge.parse(value) for value in challenges], method, "sip:b@h", b"", credentials)


def params(header: tuple[str, str]) -> dict[str, str]:
    """Return the parameters of an Authorization header."""
    return parse_auth_params(header[1].removeprefix("Digest "))


def test_example_of_rfc_2617() -> None:
    credentials = Credentials("Mufasa", "Circle Of Life")
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop=("auth", "auth-int"))
    assert (
        digest_response(
            ALGORITHMS["MD5"], credentials, challenge, "GET", "/dir/index.html", b"", "0a4f113b", 1
        )
        == "6629fae49393a05397450978507c4ef1"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = Challenge(
        "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", algorithm, qop=("auth",)
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    found = digest_response(
        ALGORITHMS[algorithm],
        Credentials("Mufasa", "Circle of Life"),
        challenge,
        "GET",
        "/dir/index.html",
        b"",
        cnonce,
        1,
    )
    assert found == response


def test_rfc_2069_form_without_qop() -> None:
    (header,) = answer(client(), 'Digest realm="r", nonce="n", opaque="o"')
    found = params(header)
    md5 = ALGORITHMS["MD5"].digest
    assert found["response"] == md5(f"{md5(b'alice:r:secret')}:n:{md5(b'INVITE:sip:b@h')}".encode())
    assert found["opaque"] == "o"
    assert not {"qop", "nc", "cnonce", "algorithm"} & found.keys()


def test_auth_int_hashes_the_body() -> None:
    challenge = Challenge("r", "n", qop=("auth-int",))
    one, two = (
        digest_response(ALGORITHMS["MD5"], ALICE, challenge, "INVITE", "sip:b@h", body, "c", 1) for body in (b"1", b"2")
    )
    assert one != two
    header = client().authorize([challenge], "INVITE", "sip:b@h", b"1", [ALICE])
    assert header is not None
    assert params(header)["qop"] == "auth-int"


def test_session_algorithms_hash_the_nonces_into_the_key() -> None:
    sha = ALGORITHMS["SHA-256"].digest
    key = sha(f"{sha(b'alice:r:secret')}:n:c1".encode())
    expected = sha(f"{key}:n:00000001:c1:auth:{sha(b'INVITE:sip:b@h')}".encode())
    (header,) = answer(client(), 'Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop="auth"')
    assert params(header)["response"] == expected
    assert "algorithm=SHA-256-sess" in header[1]
    (bare,) = answer(client(), 'Digest realm="r", nonce="n", algorithm=MD5-sess')
    assert params(bare)["cnonce"] == "c1"


def test_header_form() -> None:
    name, value = answer(client(), 'Digest realm="r,1", nonce="n", algorithm="md5", qop="auth,auth-int", opaque=""')[0]
    assert name == "Authorization"
    assert re.fullmatch(
        r'Digest username="alice", realm="r,1", nonce="n", uri="sip:b@h", response="[0-9a-f]{32}", algorithm=MD5, '
        r'opaque="", qop=auth, cnonce="c1", nc=00000001',
        value,
    )


def test_407_is_answered_in_proxy_authorization() -> None:
    header = client().authorize([Challenge("r", "n", is_proxy=True)], "INVITE", "sip:b@h", b"", [ALICE])
    assert header is not None
    assert header[0] == "Proxy-Authorization"


def test_strongest_known_algorithm_first() -> None:
    offers = [
        f'Digest realm="r", nonce="{name}", algorithm={name}, qop="auth"' for name in ("MD5", "SHA-999", "SHA-256")
    ]
    (header,) = answer(client(), *offers)
    assert "algorithm=SHA-256" in header[1]
    if "SHA-512-256" in ALGORITHMS:
        (header,) = answer(client(), *offers, 'Digest realm="r", nonce="x", algorithm=SHA-512-256')
        assert "algorithm=SHA-512-256" in header[1]


def test_algorithms_that_this_host_lacks_are_unknown() -> None:
    assert set(known_algorithms({"md5", "sha256"})) == {"MD5", "MD5-SESS", "SHA-256", "SHA-256-SESS"}
    assert known_algorithms({"sha512_256"})["SHA-512-256-SESS"].is_session


def test_nothing_to_answer_with() -> None:
    assert answer(client(), 'Digest realm="r", nonce="n", algorithm=SHA-999') == ()
    assert answer(client(), 'Digest realm="r", nonce="n", qop="auth-conf"') == ()
    assert answer(client(), 'Digest realm="r", nonce="n"', credentials=()) == ()
    assert answer(client(), 'Digest realm="r", nonce="n"', credentials=(Credentials("a", "b", "other"),)) == ()
    assert client().authorize([], "INVITE", "sip:b@h", b"", [ALICE]) is None


def test_credentials_per_realm() -> None:
    both = (Credentials("any", "1"), Credentials("exact", "2", "r2"))
    headers = answer(client(), 'Digest realm="r1", nonce="n"', 'Digest realm="r2", nonce="m"', credentials=both)
    assert [(params(header)["realm"], params(header)["username"]) for header in headers] == [
        ("r1", "any"),
        ("r2", "exact"),
    ]


def test_nonce_count_rises_per_nonce_and_starts_again_with_a_new_one() -> None:
    digest = client()
    answer(digest, 'Digest realm="r", nonce="n", qop="auth"')
    digest.accepted()
    counts = [params(digest.headers_for("BYE", "sip:b@h")[0])["nc"] for _ in range(2)]
    assert counts == ["00000002", "00000003"]
    (header,) = answer(digest, 'Digest realm="r", nonce="m", stale=true, qop="auth"')
    assert params(header)["nc"] == "00000001"


def test_stale_is_retried_silently_but_not_for_ever() -> None:
    digest = client()
    assert answer(digest, 'Digest realm="r", nonce="n0", qop="auth"')
    outcomes = [bool(answer(digest, f'Digest realm="r", nonce="n{number}", stale=TRUE')) for number in range(1, 8)]
    assert outcomes == [True] * 4 + [False] * 3


def test_the_same_nonce_refused_again_stops() -> None:
    digest = client()
    assert answer(digest, 'Digest realm="r", nonce="n", qop="auth"')
    assert answer(digest, 'Digest realm="r", nonce="n", qop="auth"') == ()
    assert answer(client(), 'Digest realm="r", nonce="n"')
    stale_liar = client()
    assert answer(stale_liar, 'Digest realm="r", nonce="n"')
    assert answer(stale_liar, 'Digest realm="r", nonce="n", stale=true') == ()


def test_a_wrong_password_stops_after_a_second_nonce() -> None:
    digest = client()
    outcomes = [bool(answer(digest, f'Digest realm="r", nonce="n{number}"')) for number in range(4)]
    assert outcomes == [True, True, False, False]


def test_a_later_request_may_be_challenged_anew() -> None:
    digest = client()
    for number in range(5):
        assert answer(digest, f'Digest realm="r", nonce="n{number}"')
        digest.accepted()


def test_a_server_with_one_nonce_for_all_is_answered_with_a_raised_count() -> None:
    digest = client()
    assert answer(digest, 'Digest realm="r", nonce="n", qop="auth"')
    digest.accepted()
    (header,) = answer(digest, 'Digest realm="r", nonce="n", qop="auth"', method="BYE")
    assert params(header)["nc"] == "00000002"
    assert answer(digest, 'Digest realm="r", nonce="n", qop="auth"', method="BYE") == ()


def test_401_behind_407_answers_both() -> None:
    digest = client()
    proxy = Challenge("proxy", "p", qop=("auth",), is_proxy=True)
    assert [name for name, _ in digest.authorize_all([proxy], "INVITE", "sip:b@h", b"", [ALICE])] == [
        "Proxy-Authorization"
    ]
    headers = digest.authorize_all([Challenge("server", "s")], "INVITE", "sip:b@h", b"", [ALICE])
    assert [name for name, _ in headers] == ["Proxy-Authorization", "Authorization"]
    assert params(headers[0])["nc"] == "00000002"


def test_next_nonce_is_taken_over() -> None:
    digest = client()
    answer(digest, 'Digest realm="r", nonce="n", qop="auth"')
    digest.accepted(SipResponse(200, "OK", [("Authentication-Info", 'nextnonce="fresh", qop=auth')]))
    (header,) = digest.headers_for("BYE", "sip:b@h")
    assert (params(header)["nonce"], params(header)["nc"]) == ("fresh", "00000001")
    digest.accepted(SipResponse(200, "OK", [("Authentication-Info", 'nextnonce="unterminated')]))
    digest.accepted(SipResponse(200, "OK"))
    assert params(digest.headers_for("BYE", "sip:b@h")[0])["nonce"] == "fresh"


def test_realms_are_bounded() -> None:
    digest = client()
    for number in range(16):
        assert answer(digest, f'Digest realm="r{number}", nonce="n"')
    assert answer(digest, 'Digest realm="r16", nonce="n"') == ()


def test_no_realm_known_no_header() -> None:
    assert client().headers_for("BYE", "sip:b@h") == ()


def test_challenges_of_a_response() -> None:
    response = SipResponse(
        401,
        "",
        [
            ("WWW-Authenticate", 'Digest realm="a, b", nonce="n", algorithm=MD5'),
            ("WWW-Authenticate", 'Basic realm="x"'),
            ("WWW-Authenticate", 'Digest realm="no nonce"'),
            ("Proxy-Authenticate", 'digest REALM="p", NONCE="m", stale=True, qop="auth, auth-int"'),
        ],
    )
    one, two = challenges_of(response)
    assert (one.realm, one.is_proxy, one.is_stale, one.chosen_qop) == ("a, b", False, False, "")
    assert (two.realm, two.is_proxy, two.is_stale, two.qop) == ("p", True, True, ("auth", "auth-int"))


def test_params_are_read() -> None:
    assert parse_auth_params(' a = 1 ,B="x, \\"y\\"" ,, c=, A=2') == {"a": "1", "b": 'x, \\"y\\"', "c": ""}
    assert parse_auth_params("") == {}
    assert parse_auth_params("t=a=b==") == {"t": "a=b=="}


@pytest.mark.parametrize("text", ["a", "a, b=1", 'a="x', 'a="x"y', '"a"=1', 'a="x\\"'])
def test_bad_params_are_refused(text: str) -> None:
    with pytest.raises(MalformedSip):
        parse_auth_params(text)


def test_escapes_of_a_challenge_go_back_as_they_came() -> None:
    (header,) = answer(client(), 'Digest realm="a\\"b", nonce="n\\\\"')
    assert 'realm="a\\"b", nonce="n\\\\"' in header[1]


def test_user_names_cannot_break_out() -> None:
    (header,) = answer(client(), 'Digest realm="r", nonce="n"', credentials=(Credentials('a", realm="x', "p"),))
    assert 'username="a\\", realm=\\"x"' in header[1]
    with pytest.raises(UnsafeHeader):
        answer(client(), 'Digest realm="r", nonce="n"', credentials=(Credentials("a\r\nb", "p"),))


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(ALICE)
