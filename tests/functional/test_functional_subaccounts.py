"""A subaccount's calls on the wire: own numbers, callbacks signed for both accounts. And an asynchronous request."""

from __future__ import annotations

import asyncio
import json

import plivo.utils
import pytest
from tests.support.customer import Customer, response
from tests.support.raw_api import RawApi
from tests.support.sounds import heard_tones, wav_reply

from ringback.phones.phone import Phone
from ringback.testing.answer_server import AppRequest
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
NUMBER = "15553331000"
PITCH_HZ = 900


def is_signed(request: AppRequest, url: str, token: str, header: str) -> bool:
    """Return whether the official SDK's validator accepts a signature."""
    headers = request.headers
    return bool(
        plivo.utils.validate_v3_signature(
            request.method, url, headers["x-plivo-signature-v3-nonce"], token, headers[header], dict(request.params)
        )
    )


async def test_a_subaccounts_number_is_answered_and_its_callbacks_are_signed_for_both_accounts(
    platform: Platform, customer: Customer, phone: Phone
) -> None:
    made = await customer.sdk(lambda sdk: sdk.subaccounts.create("Customer 7", enabled=True))
    sound = customer.serve("/sound.wav", wav_reply(PITCH_HZ))
    answer_url = customer.serve("/answer", response(f"<Play>{sound}</Play>"))

    def wire(sdk: plivo.RestClient) -> None:
        app = sdk.applications.create(
            "theirs", answer_url=answer_url, hangup_url=customer.url("/hangup"), subaccount=made.auth_id
        )
        sdk.numbers.create(NUMBER, "test", "US", app_id=app["app_id"], subaccount=made.auth_id)

    await customer.sdk(wire)
    call = await phone.call(platform.uri(NUMBER))
    await call.until_ended()
    assert PITCH_HZ in [pitch for pitch, _ in heard_tones(call.heard_samples())]
    for request in (*await customer.until("/answer", 1), *await customer.until("/hangup", 1)):
        url = customer.url(request.path)
        assert request.params["ParentAuthID"] == platform.auth_id
        assert is_signed(request, url, made.auth_token, "x-plivo-signature-v3")
        assert not is_signed(request, url, platform.auth_token, "x-plivo-signature-v3")
        assert is_signed(request, url, platform.auth_token, "x-plivo-signature-ma-v3")

    # Its main account finds the record by its id and by its filter; in its own list it is not.
    record = await customer.cdr(call.call_uuid)
    assert record.resource_uri.startswith(f"/v1/Account/{made.auth_id}/")
    listed = await customer.sdk(lambda sdk: sdk.calls.list(subaccount=made.auth_id))
    assert [each["call_uuid"] for each in listed["objects"]] == [call.call_uuid]
    own = await customer.sdk(lambda sdk: sdk.calls.list(to_number=NUMBER))
    assert own["objects"] == []

    await customer.sdk(lambda sdk: sdk.subaccounts.delete(made.auth_id, True))
    refused = await phone.call(platform.uri(NUMBER))
    await refused.until_ended()
    assert not heard_tones(refused.heard_samples())
    assert len(customer.seen("/answer")) == 1, "the number went with its account"
    assert (await customer.cdr(call.call_uuid)).call_uuid == call.call_uuid


async def test_the_result_of_an_asynchronous_request_is_a_signed_callback(
    platform: Platform, customer: Customer, phone: Phone
) -> None:
    customer.serve("/answer", response())
    reply = await RawApi(platform)(
        "POST",
        "Call/",
        {
            "from": "15550001111",
            "to": phone.uri,
            "answer_url": customer.url("/answer"),
            "hangup_url": customer.url("/hangup"),
            "callback_url": customer.url("/done"),
        },
    )
    assert (reply.status, reply.json["message"]) == (202, "async api spawned")
    call = await phone.next_call()
    (done,) = await customer.until("/done")
    result = json.loads(done.params["response"])
    assert result == {"api_id": reply.json["api_id"], "message": "call fired", "request_uuid": call.call_uuid}
    assert is_signed(done, customer.url("/done"), platform.auth_token, "x-plivo-signature-v3")
    call.reject(486)
    await asyncio.wait_for(call.until_ended(), 60)
    assert (await customer.hangup_params(call_uuid=call.call_uuid))["CallStatus"] == "busy"
