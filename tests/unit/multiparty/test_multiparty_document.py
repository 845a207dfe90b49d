"""What the API adds runs the very spec that was asked for; invitations are taken once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.callflow.document import parse_document
from ringback.callflow.elements.multi_party_call import MultiPartyCall
from ringback.callflow.elements.registry import bind
from ringback.ids import CallUuid
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


async def test_an_invitation_is_taken_by_the_first_call() -> None:
    invitations, taken = Invitations(Origin()), list[CallUuid]()
    url = invitations.add(b"<Response>1</Response>", taken.append)
    assert (await invitations.fetch(asked(url))).body == b"<Response>1</Response>"
    with pytest.raises(UnreachableUrl):
        await invitations.fetch(asked(url, "c2"))
    assert taken == ["c1"]
    assert (await invitations.fetch(asked("https://a/answer"))).body == b"<Response/>"


async def test_the_oldest_invitation_is_forgotten_for_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INVITATIONS_MAX", 2)
    invitations = Invitations(Origin())
    first, *rest = [invitations.add(b"x", lambda _: None) for _ in range(3)]
    assert len(invitations) == 2
    with pytest.raises(UnreachableUrl):
        await invitations.fetch(asked(first))
    invitations.withdraw(rest[0])
    assert (await invitations.fetch(asked(rest[1]))).body == b"x"
    assert len(invitations) == 0
