"""What the API adds runs the very spec that was asked for; invitations stand until they are withdrawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.callflow.document import parse_document
from ringback.callflow.elements.multi_party_call import MultiPartyCall
from ringback.callflow.elements.registry import bind
from ringback.multiparty import invitations as module
from ringback.multiparty.document import document_of
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.spec import EventGroup, MultipartySpec, Role, Sound
from ringback.webhooks.fetcher import Callback, CallbackKind, FetchedDocument, UnreachableUrl
from ringback.webhooks.signature import SigningKeys

PLAIN = MultipartySpec('A & "B" <C>', Role.SUPERVISOR)
FULL = MultipartySpec(
    "Room",
    Role.CUSTOMER,
    duration_max_s=300,
    participants_max=2,
    is_coach=False,
    is_muted=True,
    is_held=True,
    starts_on_enter=False,
    ends_on_exit=True,
    stays_alone=True,
    relays_digits=True,
    wait_music=Sound("https://a/wait?x=1&y=2", "POST"),
    agent_hold_music=Sound("https://a/agent"),
    customer_hold_music=Sound("https://a/customer"),
    enter_sound=Sound(),
    exit_sound=Sound("https://a/bye", "POST"),
    status_url="https://a/status",
    status_method="GET",
    event_groups=(EventGroup.DIGITS,),
    exit_url="https://a/exit",
    exit_method="GET",
    is_recorded=True,
    record_min=2,
    records_track=True,
    record_format="wav",
    recording_url="https://a/recorded",
    recording_method="GET",
    start_recording_sound=Sound("https://a/start.mp3"),
    stop_recording_sound=Sound("https://a/stop", "POST"),
    wants_transcription=True,
    transcription_url="https://a/text",
)


@pytest.mark.parametrize("spec", [PLAIN, FULL, replace(FULL, role=Role.AGENT, enter_sound=Sound("beep:2"))])
def test_documents_read_back_as_what_was_asked_for(spec: MultipartySpec) -> None:
    program = bind(parse_document(document_of(spec)))
    (step,) = program.steps
    assert isinstance(step.element, MultiPartyCall)
    assert step.element.spec == spec
    assert not program.notes


class Origin:
    """A customer's server."""

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        return FetchedDocument(200, "application/xml", b"<Response/>", callback.url, 1, callback.kind)


def asked(url: str, call_uuid: str = "c1") -> Callback:
    return Callback(CallbackKind.ANSWER, url, "POST", {}, call_uuid, SigningKeys(("t",)))


async def test_an_invitation_stands_until_it_is_withdrawn() -> None:
    invitations = Invitations(Origin())
    url = invitations.add(b"<Response>1</Response>")
    for call_uuid in ("c1", "c2"):
        assert (await invitations.fetch(asked(url, call_uuid))).body == b"<Response>1</Response>"
    invitations.withdraw(url)
    with pytest.raises(UnreachableUrl):
        await invitations.fetch(asked(url, "c3"))
    assert (await invitations.fetch(asked("https://a/answer"))).body == b"<Response/>"


async def test_the_oldest_invitation_is_forgotten_for_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INVITATIONS_MAX", 2)
    invitations = Invitations(Origin())
    first, *rest = [invitations.add(b"x") for _ in range(3)]
    assert len(invitations) == 2
    with pytest.raises(UnreachableUrl):
        await invitations.fetch(asked(first))
    assert (await invitations.fetch(asked(rest[1]))).body == b"x"
