"""Every request to a customer is signed: the official SDK's validators accept it, and refuse what was tampered with."""

import asyncio

import plivo.utils
import pytest
from tests.support.customer import response, stream
from tests.support.live_calls import answered, connection_of, hung_up

pytestmark = pytest.mark.functional
NONCE, V3, MAIN_V3 = "x-plivo-signature-v3-nonce", "x-plivo-signature-v3", "x-plivo-signature-ma-v3"
NONCE_V2, V2, MAIN_V2 = "x-plivo-signature-v2-nonce", "x-plivo-signature-v2", "x-plivo-signature-ma-v2"


def is_valid_v3(request, url, token, *, header=V3, method=None, nonce=None, **changes):
    """Ask the SDK as a customer would: POST with the form, GET with the parameters of the query."""
    form = dict(request.params) if request.method == "GET" else {k: request.params[k] for k in form_names(request)}
    return plivo.utils.validate_v3_signature(
        method or request.method, url, nonce or request.headers[NONCE], token, request.headers[header], form | changes
    )


def form_names(request):
    return [name for name in request.params if name not in request.query]


def assert_signed(request, url, token):
    bare = url.partition("?")[0]
    assert is_valid_v3(request, url, token)
    assert is_valid_v3(request, url, token, header=MAIN_V3)
    for header in (V2, MAIN_V2):
        assert plivo.utils.validate_signature(url, request.headers[NONCE_V2], request.headers[header], token)
    assert " " not in request.headers[V3]
    # Tampered with: a parameter, one more, the path, the host, the token, the nonce, the method.
    assert not is_valid_v3(request, url, token, From="15550006666")
    assert not is_valid_v3(request, url, token, Extra="1")
    assert not is_valid_v3(request, bare + "/x", token)
    assert not is_valid_v3(request, url.replace("127.0.0.1", "127.0.0.2"), token)
    assert not is_valid_v3(request, url, token[:-1] + ("a" if token[-1] != "a" else "b"))
    assert not is_valid_v3(request, url, token, nonce=request.headers[NONCE][::-1] + "1")
    assert not is_valid_v3(request, url, token, method="POST" if request.method == "GET" else "GET")
    assert not plivo.utils.validate_signature(bare + "/x", request.headers[NONCE_V2], request.headers[V2], token)
    assert not plivo.utils.validate_signature(url, "1" + request.headers[NONCE_V2], request.headers[V2], token)


@pytest.mark.parametrize("query", ["", "?a=b&c=d", "?token=a%2Bb%3D&body=eyJ4IjoxfQ==&empty="])
async def test_official_validators_accept_each_callback(customer, agent, phone, platform, query):
    token = platform.auth_token
    answer = customer.serve("/answer", response(stream(agent.url, statusCallbackUrl=customer.url("/status"))))
    urls = {path: customer.url(path) + query for path in ("/answer", "/hangup", "/fallback")}

    async def one(method):
        number = await customer.number(
            answer + query, answer_method=method, hangup_url=urls["/hangup"], hangup_method=method
        )
        call = await answered(phone, platform, number)
        await connection_of(agent, call)
        await hung_up(call)
        for path in ("/answer", "/hangup"):
            (request,) = await customer.until(path, CallUUID=call.call_uuid)
            assert request.method == method
            assert_signed(request, urls[path], token)
        for request in await customer.until("/status", 2, CallUUID=call.call_uuid):
            assert_signed(request, customer.url("/status"), token)

    await asyncio.gather(one("POST"), one("GET"))


async def test_fragment_is_neither_sent_nor_signed(customer, phone, platform):
    url = customer.serve("/answer", response('<Hangup reason="rejected"/>'))
    number = await customer.number(url + "?a=b#ct=2000&rt=10000&rc=1")
    call = await phone.call(platform.uri(number))
    await call.until_ended()
    (request,) = await customer.until("/answer")
    assert "#" not in request.target
    assert_signed(request, url + "?a=b", platform.auth_token)


async def test_stream_upgrade_is_signed(customer, agent, phone, platform):
    number = await customer.number(customer.serve("/answer", response(stream(agent.url + "&room=a%2Bb"))))
    call = await answered(phone, platform, number)
    await connection_of(agent, call)
    (upgrade,) = agent.requests
    headers = {name.lower(): value for name, value in upgrade.headers.items()}
    url = agent.url + "&room=a%2Bb"
    # What the validators take: the SDK's own accepts http and https only.
    for spelling in (url.replace("ws://", "http://"), url.replace("ws://", "https://")):
        assert plivo.utils.validate_v3_signature("GET", spelling, headers[NONCE], platform.auth_token, headers[V3])
        assert plivo.utils.validate_v3_signature("GET", spelling, headers[NONCE], platform.auth_token, headers[MAIN_V3])
        assert not plivo.utils.validate_v3_signature(
            "GET", spelling + "1", headers[NONCE], platform.auth_token, headers[V3]
        )
    assert headers["sec-websocket-protocol"] == "audio.drachtio.org"
    await hung_up(call)
