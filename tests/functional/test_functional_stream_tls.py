"""A voice agent behind TLS: its certificate is checked, its own authority can be trusted, audio goes both ways."""

import ssl
from pathlib import Path

import pytest
from tests.support.customer import response, stream
from tests.support.judging import assert_sung_through
from tests.support.live_calls import answered, connection_of, hung_up
from tests.support.stream_agent import stream_agent

from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
CERTIFICATES = Path(__file__).parents[1] / "vectors" / "tls"


@pytest.fixture(scope="module")
def running():
    settings = {"RINGBACK_STREAM__CA_FILE": str(CERTIFICATES / "ca.pem"), "RINGBACK_LIMITS__API_PER_5S": "0"}
    with Platform.start(settings=settings) as platform:
        yield platform


async def test_agent_with_a_certificate_of_a_trusted_authority(customer, platform, phone):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATES / "agent.pem", CERTIFICATES / "agent.key")
    async with stream_agent(tls=tls) as agent:
        for url in (agent.url, agent.url.replace("127.0.0.1", "localhost")):
            number = await customer.number(customer.serve("/answer", response(stream(url))))
            call = await answered(phone, platform, number)
            await connection_of(agent, call)
            await assert_sung_through(call, 3, 800)
            await hung_up(call)
