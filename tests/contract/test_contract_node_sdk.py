"""The calls that the official Node SDK makes, as the Python SDK's tests make them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.api_server import ApiServer
from tests.support.node_sdk import NodeSdk, NodeSdkError, node_sdk

from ringback.calls.views import LiveStatus
from ringback.errors import NotAllowed

pytestmark = pytest.mark.timeout(600)
ANSWER_URL = "https://h.example/answer"


@pytest.fixture
def node(api: ApiServer) -> Iterator[NodeSdk]:
    """The SDK, pointed at the test's server."""
    with node_sdk(api) as sdk:
        yield sdk


def create(node: NodeSdk, to: object = "14157654321", **more: object) -> dict[str, object]:
    found: dict[str, object] = node("calls.create", "14151234567", to, ANSWER_URL, more)
    return found


def test_calls_from_creation_to_record(api: ApiServer, node: NodeSdk) -> None:
    made = create(node, callerName="Shop", ringTimeout=30, sipHeaders="A=b")
    assert made["message"] == "call fired"
    uuid = made["requestUuid"]
    (request,) = api.calls.made
    assert (request.caller_name, request.ring_timeout_s, request.sip_headers) == ("Shop", 30, (("A", "b"),))
    assert [each["callUuid"] for each in node("calls.listLiveCalls")] == [uuid]
    live = node("calls.getLiveCall", uuid)
    assert (live["callStatus"], live["from"], live["callerName"]) == ("in-progress", "14151234567", "Shop")
    assert node("calls.transfer", uuid, {"legs": "aleg", "alegUrl": "https://h.example/new"})["message"] == (
        "call transfered"
    )
    assert node("calls.hangup", uuid) is True
    record = node("calls.get", uuid)
    assert (record["hangupCauseCode"], record["billedDuration"], record["totalAmount"]) == (4000, 960, "0.00000")
    listed = node("calls.list", {"limit": 5, "callDirection": "outbound", "bill_duration__gte": 1})
    assert [each["callUuid"] for each in listed["objects"]] == [uuid]


def test_many_and_queued_calls(api: ApiServer, node: NodeSdk) -> None:
    made = create(node, ["14157654321", "14157654322"])
    assert (made["message"], made["requestUuid"]) == ("calls fired", list(api.calls.live))
    api.calls.is_queueing = True
    queued = create(node)
    assert queued["message"] == "call queued"
    assert [each["callUuid"] for each in node("calls.listQueuedCalls")] == [queued["requestUuid"]]
    assert node("calls.getQueuedCall", queued["requestUuid"])["callStatus"] == "queued"
    node("calls.cancel", queued["requestUuid"])
    assert node("calls.listQueuedCalls") == []


def test_streams(api: ApiServer, node: NodeSdk) -> None:
    uuid = api.calls.add()
    started = node("calls.stream", uuid, "wss://h.example/", {"bidirectional": False, "audioTrack": "both"})
    assert started["message"] == "audio streaming started"
    stream_id = started["streamId"]
    assert node("calls.getStream", uuid, stream_id)["serviceUrl"] == "wss://h.example/"
    assert [each["streamId"] for each in node("calls.getAllStream", uuid)["objects"]] == [stream_id]
    node("calls.stopStream", uuid, stream_id)
    assert node("calls.getStream", uuid, stream_id)["status"] == "completed"
    node("calls.stopAllStream", uuid)


def test_actions_in_a_call(api: ApiServer, node: NodeSdk) -> None:
    uuid = api.calls.add()
    assert node("calls.playMusic", uuid, "https://h.example/a.mp3", {"loop": True})["message"] == "play started"
    node("calls.stopPlayingMusic", uuid)
    assert node("calls.speakText", uuid, "Hello", {"language": "en-GB"})["message"] == "speak started"
    node("calls.stopSpeakingText", uuid)
    assert node("calls.sendDigits", uuid, "12#", {"leg": "aleg"})["message"] == "digits sent"
    assert [action for action, _ in api.in_call.asked] == ["play", "stop plays", "speak", "stop speech", "digits"]


def test_applications_numbers_endpoints(api: ApiServer, node: NodeSdk) -> None:
    app_id = node("applications.create", "agent", {"answerUrl": ANSWER_URL, "answerMethod": "GET"})["appId"]
    assert node("applications.get", app_id)["answerMethod"] == "GET"
    node("applications.update", app_id, {"answerUrl": "https://h.example/2"})
    assert [each["answerUrl"] for each in node("applications.list")["objects"]] == ["https://h.example/2"]
    node("endpoints.create", "alice", "password", "Alice", app_id)
    (endpoint,) = node("endpoints.list")["objects"]
    node("endpoints.update", endpoint["endpointId"], {"alias": "Desk"})
    assert node("endpoints.get", endpoint["endpointId"])["alias"] == "Desk"
    assert node("endpoints.delete", endpoint["endpointId"]) is True
    assert node("applications.delete", app_id) is True
    assert node("applications.list")["objects"] == []


def test_numbers(api: ApiServer, node: NodeSdk) -> None:
    assert node("numbers.addOwnNumber", "14151234567", "acme", "US", {})["message"] == "changed"
    node("numbers.update", "14151234567", {"alias": "desk"})
    assert node("numbers.get", "14151234567")["alias"] == "desk"
    assert [each["number"] for each in node("numbers.list")["objects"]] == ["14151234567"]
    assert node("numbers.unrent", "14151234567") is True
    assert node("numbers.list")["objects"] == []


def test_accounts_and_prices(api: ApiServer, node: NodeSdk) -> None:
    assert node("accounts.get")["timezone"] == "Asia/Kolkata"
    node("accounts.update", {"name": "Lunar"})
    assert node("accounts.get")["name"] == "Lunar"
    made = node("subAccounts.create", "Customer", True)
    assert node("subAccounts.get", made["authId"])["enabled"] is True
    node("subAccounts.update", made["authId"], "Customer 2", True)
    assert [each["name"] for each in node("subAccounts.list")["objects"]] == ["Customer 2"]
    with node_sdk(api, made["authId"], made["authToken"]) as sub:
        assert sub("accounts.get")["name"] == "Customer 2"
    assert node("subAccounts.delete", made["authId"], True) is True
    assert node("pricings.get", "DE")["countryCode"] == 49


def test_recordings_and_conferences(api: ApiServer, node: NodeSdk) -> None:
    uuid = api.calls.add()
    started = node("calls.record", uuid, {"timeLimit": 60})
    assert started["message"] == "call recording started"
    node("calls.stopRecording", uuid)
    (recording,) = node("recordings.list")["objects"]
    assert recording["recordingId"] == started["recordingId"]
    assert node("recordings.get", started["recordingId"])["callUuid"] == uuid
    assert node("recordings.delete", started["recordingId"]) is True
    api.conferences.add("room", "1", "2")
    assert node("conferences.list")["conferences"] == ["room"]
    assert node("conferences.get", "room")["conferenceMemberCount"] == "2"
    node("conferences.hangup", "room")
    assert node("conferences.list")["conferences"] == []


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (NotAllowed("Calls to this destination number are barred"), "barred"),
        (ValueError("broken"), "may have taken effect"),
    ],
)
def test_errors_say_why_and_nothing_is_sent_twice(
    api: ApiServer, node: NodeSdk, failure: Exception, message: str
) -> None:
    """The SDK's own classes of errors are lost when it is compiled, so its users have the message alone."""
    api.calls.failure = failure
    with pytest.raises(NodeSdkError, match=message):
        create(node)
    assert len(api.calls.made) == 1


def test_wrong_parameters_ids_and_credentials(api: ApiServer, node: NodeSdk) -> None:
    with pytest.raises(NodeSdkError, match="to parameter is invalid: 'nobody here'"):
        create(node, "nobody here")
    with pytest.raises(NodeSdkError, match="call not found"):
        node("calls.get", "00000000-0000-4000-8000-000000000000")
    with pytest.raises(NodeSdkError, match="no unanswered call of this id"):
        node("calls.cancel", api.calls.add(status=LiveStatus.IN_PROGRESS))
    assert api.calls.made == []
    with node_sdk(api, token="wrong") as stranger, pytest.raises(NodeSdkError, match="login with proper credentials"):
        stranger("calls.listLiveCalls")
