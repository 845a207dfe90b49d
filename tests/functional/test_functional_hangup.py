"""How answered and unanswered inbound calls end: what the caller, the hang-up callback and the CDR say about it."""

import asyncio

import pytest
from tests.support.customer import response, stream
from tests.support.live_calls import answered, connection_of, hung_up
from tests.support.waiting import until

pytestmark = pytest.mark.functional
NO_RATE = "0.00000"


async def assert_accounts_agree(customer, call_uuid, *, code, name, cause, source, number, seconds=range(40)):
    """Check hang-up callback and CDR against what must be, and against each other."""
    params = await customer.hangup_params(call_uuid=call_uuid)
    assert params["CallUUID"] == call_uuid
    assert params["Event"] == "Hangup"
    assert params["CallStatus"] == "completed"
    assert (params["HangupCauseCode"], params["HangupCauseName"]) == (str(code), name)
    assert (params["HangupCause"], params["HangupSource"]) == (cause, source)
    assert int(params["Duration"]) in seconds
    assert params["BillDuration"].isdigit()
    assert (params["Direction"], params["From"], params["To"]) == ("inbound", "15550002222", number)
    assert params["TotalCost"] == params["BillRate"] == NO_RATE
    for moment in ("StartTime", "EndTime", "SessionStart"):
        assert len(params[moment]) == len("2026-01-01 00:00:00")
    cdr = await customer.cdr(call_uuid)
    assert cdr.call_uuid == call_uuid
    assert (cdr.hangup_cause_code, cdr.hangup_cause_name, cdr.hangup_source) == (code, name, source)
    assert cdr.call_duration == int(params["Duration"])
    assert (cdr.call_direction, cdr.from_number, cdr.to_number) == ("inbound", "15550002222", number)
    assert (cdr.answer_time is None) == (params["AnswerTime"] == "")
    assert cdr.total_amount == NO_RATE
    listed = await customer.sdk(lambda sdk: sdk.calls.list(to_number=number))
    assert [record["call_uuid"] for record in listed["objects"]] == [call_uuid]
    assert len(customer.seen("/hangup", CallUUID=call_uuid)) == 1


@pytest.fixture
async def number(customer, agent):
    """A number whose document is one stream that keeps the call alive, nothing after it."""
    document = response(stream(agent.url, statusCallbackUrl=customer.url("/status")))
    return await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))


async def test_caller_hangs_up(customer, agent, number, phone, platform):
    call = await answered(phone, platform, number)
    connection = await connection_of(agent, call)
    # Longer than a second, so that the duration is not 0 by chance.
    await until(lambda: len(connection.messages) > 60, "1.2 s of stream")
    await hung_up(call)
    await assert_accounts_agree(
        customer, call.call_uuid, code=4000, name="Normal Hangup", cause="NORMAL_CLEARING", source="Caller",
        number=number, seconds=range(1, 40),
    )  # fmt: skip
    await until(lambda: connection.is_gone, "the agent's socket to close")
    assert connection.messages[-1]["event"] == "stop"
    assert connection.close_code == 1000


async def test_agent_closes_and_nothing_follows(customer, agent, number, phone, platform):
    call = await answered(phone, platform, number)
    connection = await connection_of(agent, call)
    connection.close(1000)
    end = await call.until_ended()
    assert end.by == "them"
    await assert_accounts_agree(
        customer, call.call_uuid, code=4010, name="End Of XML Instructions", cause="NORMAL_CLEARING", source="Plivo",
        number=number,
    )  # fmt: skip


async def test_rest_delete_ends_the_call(customer, agent, number, phone, platform):
    call = await answered(phone, platform, number)
    connection = await connection_of(agent, call)
    await customer.sdk(lambda sdk: sdk.calls.delete(call.call_uuid))
    assert (await call.until_ended()).by == "them"
    await until(lambda: connection.is_gone, "the agent's socket to close")
    await assert_accounts_agree(
        customer, call.call_uuid, code=4000, name="Normal Hangup", cause="NORMAL_CLEARING", source="API Request",
        number=number,
    )  # fmt: skip
    with pytest.raises(Exception, match="no live call") as gone:
        await customer.sdk(lambda sdk: sdk.calls.delete(call.call_uuid))
    assert type(gone.value).__name__ == "ResourceNotFoundError"


async def test_rest_deletes_all_calls(customer, agent, number, phone, platform):
    calls = await asyncio.gather(*(answered(phone, platform, number) for _ in range(3)))
    for call in calls:
        await connection_of(agent, call)
    await customer.sdk(lambda sdk: sdk.request("DELETE", ("Call",), is_voice_request=True))
    for call in calls:
        assert (await call.until_ended()).by == "them"
        params = await customer.hangup_params(call_uuid=call.call_uuid)
        assert (params["HangupCauseCode"], params["HangupSource"]) == ("0", "API Request")


async def test_caller_cancels_while_it_rings(customer, phone, platform):
    held = asyncio.Event()

    async def never(_request):
        await held.wait()

    customer.serve("/answer", never)
    number = await customer.number(customer.url("/answer"), hangup_url=customer.url("/hangup"))
    call = await phone.call(platform.uri(number))
    await until(lambda: 180 in call.responses, "ringing")
    await customer.until("/answer")
    call.hang_up()
    assert (await call.until_ended()).status == 487
    held.set()
    await assert_accounts_agree(
        customer, call.call_uuid, code=1000, name="Canceled", cause="ORIGINATOR_CANCEL", source="Caller",
        number=number, seconds=range(1),
    )  # fmt: skip


async def test_rest_delete_while_it_rings(customer, phone, platform):
    held = asyncio.Event()

    async def never(_request):
        await held.wait()

    customer.serve("/answer", never)
    number = await customer.number(customer.url("/answer"), hangup_url=customer.url("/hangup"))
    call = await phone.call(platform.uri(number))
    await until(lambda: 180 in call.responses, "ringing")
    await customer.sdk(lambda sdk: sdk.calls.delete(call.call_uuid))
    end = await call.until_ended()
    assert (end.by, end.status) == ("them", 480)
    held.set()
    await assert_accounts_agree(
        customer, call.call_uuid, code=1000, name="Canceled", cause="ORIGINATOR_CANCEL", source="API Request",
        number=number, seconds=range(1),
    )  # fmt: skip
