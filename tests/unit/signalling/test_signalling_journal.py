"""What is kept of a confirmed leg for the server after this one."""

from __future__ import annotations

from tests.support.legs_on_fakes import LegsOnFakes

from ringback.signalling.journal import read, written
from ringback.sip.dialog import Dialog, DialogId
from ringback.sip.flow import Flow, Transport

DIALOG = Dialog(
    DialogId("call-1", "ours", "theirs"),
    "<sip:us@h>;tag=ours",
    "<sip:them@h>;tag=theirs",
    7,
    3,
    "sip:them@192.0.2.1:5062",
    ("<sip:proxy@192.0.2.9;lr>",),
    "<sip:us@192.0.2.7>",
    False,
    Flow(Transport.UDP, ("192.0.2.7", 5060), ("192.0.2.9", 5060)),
)


def test_a_dialog_survives_being_written() -> None:
    assert read(written(DIALOG)) == DIALOG
    assert read("nonsense") is None
    assert read("") is None


async def test_legs_of_an_earlier_server_are_left_once_each() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    assert leg.dialog_text() == ""
    world.sip.dialogs[leg.invite_id] = DIALOG
    assert world.legs.leave([leg.dialog_text(), "nonsense"]) == 1
    assert world.sip.left == [DIALOG]
    await leg.hangup()
