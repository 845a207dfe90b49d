"""Documents that cannot be had or cannot be run: each ends the call with its code and a message that names the fix.

Every case runs four times: as answer_url of an incoming and of an outgoing call, as transfer, and as `<Redirect>`.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.answering_phone import AnsweringPhone, answering_phone
from tests.support.customer import Customer, response
from tests.support.endings import ending_of
from tests.support.http_server import Handler, ScriptedServer, close, drip, fixed, hang, http_server, raw
from tests.support.ports import free_port
from tests.support.raw_api import RawApi

from ringback.phones.call import CallNotAnswered
from ringback.phones.phone import Phone

pytestmark = pytest.mark.functional

QUICK = "#ct=500&rt=600&rc=0"
"""Fragment of a document's URL: a time-out takes 0.6 s, and there is one attempt."""
PATIENT = "#ct=20000&rt=20000&rc=0"
"""The same for what answers: how fast is not the question, on a busy machine least of all."""
SLOW = "no whole reply within 600 ms (answer faster, or allow more time by #rt=MS"
TOO_LARGE = "body has more than 131072 bytes (send less)"
AT_ONCE = 8
"""Calls that run beside each other."""
XXE = b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><Response>&x;</Response>'
BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Response>&b;</Response>'
NAMES = {
    7011: "Error Reaching Answer URL",
    7013: "Error Reaching Transfer URL",
    7014: "Error Reaching Redirect URL",
    7024: "Invalid Redirect URL",
    7034: "Invalid Method for Redirect URL",
    2060: "Loop Detected",
    8011: "Invalid Answer XML",
    8013: "Invalid Transfer XML",
    8014: "Invalid Redirect XML",
}


@dataclass(frozen=True)
class Fault:
    """One way in which an application fails; `says` must stand in the call's timeline."""

    name: str
    handler: Handler | None
    says: str
    is_xml: bool = False

    def code(self, last: int) -> int:
        """Return the hang-up code of this fault: 70xx for what cannot be had, 80xx for what cannot be run."""
        return (8010 if self.is_xml else 7010) + last


def status(number: int) -> Handler:
    return fixed("<h1>no</h1>", number, "text/html")


def xml(name: str, body: bytes | str, says: str, **headers: str) -> Fault:
    return Fault(name, fixed(body, **headers), says, is_xml=True)


FAULTS = [
    Fault("times-out", hang, SLOW),
    Fault(
        "drips",
        drip(response("<Wait/>").encode() * 20, 0.05),
        SLOW,
    ),
    Fault("closes", close, "connection broke: Server disconnected (look at the log"),
    Fault("no-http", raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "reply is no HTTP (is the port one that speaks HTTP?)"),
    Fault("status-500", status(500), "status 500 (the application failed; look at its log)"),
    Fault("status-404", status(404), "status 404 (no such path; check the URL of the application)"),
    Fault("status-403", status(403), "check its signature validation and the auth token"),
    Fault("status-405", status(405), "check answer_method"),
    Fault("redirects", fixed("", 302, Location="/redirects"), "more than 3 redirects (name the URL at which they end)"),
    Fault("redirects-to-ftp", fixed("", 302, Location="ftp://127.0.0.1/a.xml"), "redirect cannot be followed"),
    Fault("long-header", fixed("", 200, X_Long="x" * 20_000), "header", is_xml=True),
    xml("html", "<!DOCTYPE html><html><body>Sign in</body></html>", "it looks like an HTML page"),
    xml("json", '{"hello": 1}', "it looks like JSON; answer with XML"),
    xml("broken", "<Response><Wait></Response>", "the end tag here does not close <Wait> of line 1"),
    xml("bare-ampersand", "<Response><Redirect>http://a.example/?a=1&b=2</Redirect></Response>", "write & as &amp;"),
    xml("wrong-root", "<Answer/>", "root element is <Answer>, expected <Response>"),
    xml("empty", "", "document is empty (return a <Response> element)"),
    xml(
        "ten-megabytes",
        b"<Response>" + b" " * 10_000_000 + b"</Response>",
        TOO_LARGE,
    ),
    xml("gzip-bomb", gzip.compress(b" " * 10_000_000), TOO_LARGE, Content_Encoding="gzip"),
    xml("broken-gzip", b"\x1f\x8b not gzip", "gzip data is broken", Content_Encoding="gzip"),
    xml("outside-entity", XXE, "remove <!DOCTYPE"),
    xml("entity-bomb", BOMB, "remove <!DOCTYPE"),
    xml("utf-16", "<Response/>".encode("utf-16"), "encode it as UTF-8"),
    xml("illegal-value", response('<Stream bidirectional="true" audioTrack="both">ws://127.0.0.1:1/</Stream>'), "both"),
    xml("no-websocket", response("<Stream>https://127.0.0.1/</Stream>"), "it starts with wss:// or ws://"),
]
REFUSED = Fault("refuses", None, "cannot connect: connection refused (check host and port")
FORBIDDEN = Fault("forbidden", None, "169.254.169.254 is a link-local or metadata address")
PRIVATE = Fault("private", None, "10.1.2.3 is private (egress.allow can open it)")


@dataclass
class Bench:
    """The failing application, a healthy one, and the phones of one test."""

    customer: Customer
    failing: ScriptedServer
    api: RawApi
    phone: Phone
    callee: AnsweringPhone
    closed_port: int

    def url(self, fault: Fault) -> str:
        if fault is REFUSED:
            return f"http://127.0.0.1:{self.closed_port}/answer{PATIENT}"
        if fault is PRIVATE:
            return f"http://10.1.2.3/answer{PATIENT}"
        if fault is FORBIDDEN:
            return f"http://169.254.169.254/latest/meta-data{PATIENT}"
        return self.failing.url(f"/{fault.name}{QUICK if fault.says is SLOW else PATIENT}")

    async def assert_told(self, call_uuid: str, code: int, says: str, source: str = "Error") -> dict[str, Any]:
        """Check hang-up callback, CDR and timeline of a call."""
        params = await self.customer.hangup_params("/hangup", call_uuid)
        assert (params["HangupCauseCode"], params["HangupCauseName"]) == (str(code), NAMES.get(code, "")), params
        assert params["HangupSource"] == source
        assert params["CallStatus"] == "completed"
        record = (await self.api("GET", f"Call/{call_uuid}/")).json
        assert (record["hangup_cause_code"], record["hangup_source"]) == (code, source)
        ended = await ending_of(self.customer, call_uuid)
        assert says in ended["detail"], ended
        return params

    async def incoming(self, fault: Fault) -> None:
        """Call a number whose answer_url fails: the caller is refused, nobody was answered."""
        number = f"1555300{FAULTS_AND_MORE.index(fault):04}"
        await self.api.wire(number, answer_url=self.url(fault), hangup_url=self.customer.url("/hangup"))
        call = await self.phone.call(self.customer.platform.uri(number))
        with pytest.raises(CallNotAnswered) as refused:
            await call.until_answered(timeout_s=40)
        assert refused.value.status == 503
        await call.until_ended()
        params = await self.assert_told(call.call_uuid, fault.code(1), fault.says)
        assert params["Duration"] == "0"
        assert params["AnswerTime"] == ""

    async def outgoing(self, fault: Fault) -> None:
        """Make a call whose answer_url fails: the callee has answered by then and is hung up on."""
        call_uuid = await self.make_call(self.url(fault))
        await self.assert_hung_up(call_uuid, fault.code(1), fault.says)

    async def transferred(self, fault: Fault) -> None:
        """Transfer a waiting call to a URL that fails."""
        call_uuid = await self.make_call(self.customer.url("/wait"))
        await self.callee.call_of(call_uuid)
        await self.customer.until("/wait", CallUUID=call_uuid)
        reply = await self.api("POST", f"Call/{call_uuid}/", {"aleg_url": self.url(fault)})
        assert (reply.status, reply.json["message"]) == (202, "call transfered")
        await self.assert_hung_up(call_uuid, fault.code(3), fault.says)

    async def redirected(self, fault: Fault) -> None:
        """Redirect a call to a URL that fails."""
        target = self.url(fault).replace("&", "&amp;")
        answer_url = self.customer.serve(f"/to-{fault.name}", response(f"<Redirect>{target}</Redirect>"))
        call_uuid = await self.make_call(answer_url)
        await self.assert_hung_up(call_uuid, fault.code(4), fault.says)

    async def rescued(self, fault: Fault) -> None:
        """Make a call with a fallback_url: it rescues what cannot be had, and not what cannot be run."""
        path = f"/instead-of-{fault.name}"
        fallback_url = self.customer.serve(path, response("<Hangup/>"))
        call_uuid = await self.make_call(self.url(fault), fallback_url=fallback_url)
        if fault.is_xml:
            await self.assert_hung_up(call_uuid, fault.code(1), fault.says)
            assert not self.customer.seen(path)
            return
        params = await self.customer.hangup_params("/hangup", call_uuid)
        assert (params["HangupCauseCode"], params["HangupSource"]) == ("4000", "Answer XML")
        assert len(self.customer.seen(path, CallUUID=call_uuid)) == 1

    async def make_call(self, answer_url: str, **more: object) -> str:
        hangup_url = self.customer.url("/hangup")
        return await self.api.make_call(to=self.callee.uri, answer_url=answer_url, hangup_url=hangup_url, **more)

    async def assert_hung_up(self, call_uuid: str, code: int, says: str, source: str = "Error") -> None:
        call = await self.callee.call_of(call_uuid)
        end = await call.until_ended(timeout_s=40)
        assert end.by == "them"
        params = await self.assert_told(call_uuid, code, says, source)
        assert params["AnswerTime"]


FAULTS_AND_MORE = [*FAULTS, REFUSED, FORBIDDEN, PRIVATE]


@pytest.fixture
async def bench(customer: Customer, phone: Phone) -> AsyncIterator[Bench]:
    customer.serve("/wait", response('<Wait length="60"/>'))
    async with http_server() as failing, answering_phone() as callee:
        for fault in FAULTS:
            assert fault.handler is not None
            failing.on(f"/{fault.name}", fault.handler)
        yield Bench(customer, failing, RawApi(customer.platform), phone, callee, free_port())


async def together(run: Callable[[Fault], Coroutine[Any, Any, None]]) -> None:
    """Run every fault, a few at a time; all failures are raised together, each with the name of its fault."""
    slots = asyncio.Semaphore(AT_ONCE)
    failures: list[Exception] = []

    async def one(fault: Fault) -> None:
        async with slots:
            try:
                await run(fault)
            except Exception as failure:
                failure.add_note(f"fault: {fault.name}")
                failures.append(failure)

    await asyncio.gather(*(one(fault) for fault in FAULTS_AND_MORE))
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(FAULTS_AND_MORE)} faults", failures)


async def test_answer_url_of_an_incoming_call(bench: Bench) -> None:
    await together(bench.incoming)


async def test_answer_url_of_an_outgoing_call(bench: Bench) -> None:
    await together(bench.outgoing)


async def test_transfer_url(bench: Bench) -> None:
    await together(bench.transferred)


async def test_redirect_url(bench: Bench) -> None:
    await together(bench.redirected)


async def test_fallback_url(bench: Bench) -> None:
    await together(bench.rescued)


@pytest.mark.parametrize(
    ("element", "code", "says"),
    [
        ("<Redirect>ftp://127.0.0.1/a.xml</Redirect>", 7024, "scheme 'ftp', expected one of https, http"),
        ("<Redirect>/next.xml</Redirect>", 7024, "redirect_url is invalid"),
        ("<Redirect/>", 7024, "redirect_url is invalid"),
        ('<Redirect method="PUT">http://127.0.0.1:1/</Redirect>', 7034, "method 'PUT' (use GET or POST)"),
    ],
)
async def test_redirect_to_what_no_url_is(bench: Bench, element: str, code: int, says: str) -> None:
    call_uuid = await bench.make_call(bench.customer.serve("/answer", response(element)))
    await bench.assert_hung_up(call_uuid, code, says)


async def test_documents_that_lead_to_each_other_end_as_a_loop(bench: Bench) -> None:
    url = bench.customer.url("/round")
    call_uuid = await bench.make_call(bench.customer.serve("/round", response(f"<Redirect>{url}</Redirect>")))
    await bench.assert_hung_up(call_uuid, 2060, "too many redirects and transfers", source="Plivo")
