"""Calls to numbers leave by a trunk: its gateways in order, its password, its form of numbers; audio both ways."""

import contextlib
import json
import socket
from functools import partial

import pytest
from tests.support.agent_audio import heard_by, say, sounding
from tests.support.carrier import carrier
from tests.support.customer import response, stream
from tests.support.dials import dial, hears
from tests.support.live_calls import say_until
from tests.support.ports import free_port
from tests.support.waiting import until

from ringback.phones import tones
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def ports():
    """Where the carrier's two gateways are to be: nobody listens at the first."""
    return free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)


@pytest.fixture(scope="module")
def running(ports):
    """A platform with one trunk."""
    dead, alive = ports
    trunk = {
        "name": "acme",
        "gateways": [
            {"host": "127.0.0.1", "port": dead, "transport": "tcp", "priority": 1},
            {"host": "127.0.0.1", "port": alive, "transport": "udp", "priority": 2},
        ],
        "auth": {"username": "acme", "password": "s3cret"},
        "numbers": ["1444", "+4930"],
        "caller_id": "14440000000",
        "headers": {"X-Account": "77"},
    }
    with Platform.start(settings={"RINGBACK_TRUNK": json.dumps([trunk])}) as platform:
        yield platform


@pytest.fixture
async def made(customer, silent_agent):
    """A customer who calls 14441234567 by the trunk."""
    answer_url = customer.serve("/answer", response(stream(silent_agent.url)))

    async def call(to="+14441234567", **options):
        made = await customer.sdk(
            lambda sdk: sdk.calls.create("15550003333", to, answer_url, hangup_url=customer.url("/hangup"), **options)
        )
        return made.request_uuid

    return customer, call


@pytest.mark.parametrize(("status", "algorithm"), [(401, "MD5"), (407, "MD5"), (401, "SHA-256"), (407, "SHA-256")])
async def test_challenged_call_is_answered_and_talks(made, ports, silent_agent, status, algorithm):
    customer, call = made
    async with carrier(ports[1], status=status, algorithm=algorithm) as gateway:
        uuid = await call()
        (connection,) = await until(lambda: [c for c in silent_agent.connections if c.messages], "the stream")
        first, second = gateway.invites()
        # The first CSeq went to the dead gateway.
        assert (first.first("CSeq"), second.first("CSeq")) == ("2 INVITE", "3 INVITE")
        assert first.first("Call-ID") == second.first("Call-ID")
        for invite in (first, second):
            assert invite.uri.startswith("sip:+14441234567@")
            assert "sip:14440000000@" in invite.first("From")
            assert "+14441234567" in invite.first("To")
            assert invite.first("X-Account") == "77"
            assert invite.first("X-CallUUID") == uuid
        await until_echoed(connection, 1100)
        assert tones.pitch_hz(sounding(heard_by(connection))) == pytest.approx(1100, abs=3)
        await customer.sdk(lambda sdk: sdk.calls.delete(uuid))
        params = await customer.hangup_params(call_uuid=uuid)
        assert (params["HangupCauseCode"], params["HangupSource"]) == ("4000", "API Request")
        assert params["To"] == "14441234567"
        assert gateway.hang_ups == 1
        acks = [request for request in gateway.requests if request.method == "ACK"]
        assert [ack.first("CSeq") for ack in acks] == ["2 ACK", "3 ACK"]


async def until_echoed(connection, pitch_hz):
    """Return when the agent has heard its own tone from the carrier; what a stalled machine swallows is said again."""
    for patience_s in (3, 3, 15):
        say(connection, tones.tone(pitch_hz, 600))
        with contextlib.suppress(AssertionError):
            await until(lambda: len(sounding(heard_by(connection))) > 8 * 300, "the carrier's echo", patience_s)
            return
    raise AssertionError("the agent does not hear the carrier's echo")


async def test_wrong_password_ends_the_call_after_a_few_tries(made, ports):
    customer, call = made
    async with carrier(ports[1], password="another") as gateway:
        uuid = await call()
        params = await customer.hangup_params(call_uuid=uuid)
        found = [params[f"HangupCause{part}"] for part in ("Code", "Name", "")] + [params["CallStatus"]]
        assert found == ["4210", "sip_auth_failed", "CALL_REJECTED", "failed"]
        assert 2 <= len(gateway.invites()) <= 3


async def test_number_that_no_trunk_takes_is_refused_at_once(made):
    customer, call = made
    with pytest.raises(Exception, match="no trunk takes 15557777777") as refused:
        await call("15557777777")
    assert type(refused.value).__name__ == "ValidationError"
    assert not customer.requests


async def test_all_gateways_dead(made):
    """The second gateway is UDP without anybody: its ring timeout, not a hang, ends the call."""
    customer, call = made
    params = await customer.hangup_params(call_uuid=await call("493012345", ring_timeout=1))
    assert (params["HangupCauseCode"], params["CallStatus"]) == ("6010", "no-answer")


async def test_dialled_number_leaves_by_the_trunk_and_a_user_with_its_own_password(customer, platform, phone, ports):
    """The caller hears itself through the carrier, first by the trunk's password, then by that of the document."""
    async with carrier(ports[1]) as gateway:
        user = f'<User sipAuthUsername="acme" sipAuthPassword="another1">sip:7@127.0.0.1:{gateway.port}</User>'
        number = await customer.number(
            customer.serve("/dial", response(dial("<Number>+1 444 123 4567</Number>"), dial(user)))
        )
        call = await phone.call(platform.uri(number))
        for path, username in (("sip:+14441234567@", "acme"), ("sip:7@", "acme")):
            invites = await until(
                lambda start=path: [each for each in gateway.invites() if each.uri.startswith(start)][1:], "the dial"
            )
            assert f'username="{username}"' in invites[-1].first("Proxy-Authorization")
            before = len(call.heard_samples())
            heard = partial(hears, call, 1100, 280, before)
            await say_until(call, tones.tone(1100, 600), heard, "the caller's own echo")
            (party,) = await customer.sdk(
                lambda sdk: [uuid for uuid in sdk.live_calls.list_ids().calls if uuid != call.call_uuid]
            )
            await customer.sdk(lambda sdk, uuid=party: sdk.calls.delete(uuid))
            gateway.password = "another1"
        await call.until_ended()
        assert gateway.hang_ups == 2
