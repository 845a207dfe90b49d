"""From bytes to nodes: bounds, hostile documents, and errors that say what to do."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.callflow.document import DocumentLimits, InvalidDocument, Node, parse_document

CORPUS = Path(__file__).parents[2] / "vectors" / "xml" / "xxe"
_watched: list[str] = []
_is_watching = False


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _is_watching and event in ("open", "socket.connect", "socket.getaddrinfo", "urllib.Request"):
        _watched.append(f"{event} {arguments}")


sys.addaudithook(_audit)


def refused(body: bytes | str) -> InvalidDocument:
    with pytest.raises(InvalidDocument) as caught:
        parse_document(body.encode() if isinstance(body, str) else body)
    return caught.value


def corpus_documents() -> list[bytes]:
    found = [path.read_bytes() for path in sorted(CORPUS.glob("*.xml"))]
    for path in sorted(CORPUS.glob("*.txt")):
        found += [line for line in path.read_bytes().splitlines() if line.strip()]
    return found


def test_nothing_of_the_attack_corpus_is_resolved_opened_or_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    global _is_watching
    documents = corpus_documents()
    assert len(documents) > 60
    documents += [b"<Response>" + document + b"</Response>" for document in documents]
    accepted: list[bytes] = []
    refusals = 0
    assert socket.socket is not None
    _watched.clear()
    _is_watching = True
    started = time.process_time()
    try:
        for document in documents:
            try:
                node = parse_document(document)
            except InvalidDocument:
                refusals += 1
            else:
                assert node.tag == "Response"
                accepted.append(document)
    finally:
        _is_watching = False
    assert _watched == []
    assert refusals > len(documents) // 2
    assert all(b"<!" not in document.replace(b"<![CDATA[", b"") for document in accepted)
    assert time.process_time() - started < 1


def test_tree_holds_tags_attributes_text_and_lines() -> None:
    root = parse_document(b'<Response>\n  <A x="1 &amp; 2">\n   t &lt; u\n </A>\n  <B><C/>tail</B></Response>')
    a, b = root.children
    assert (root.tag, root.line) == ("Response", 1)
    assert (a.tag, dict(a.attributes), a.text, a.line) == ("A", {"x": "1 & 2"}, "t < u", 2)
    assert (b.line, b.children[0].tag, b.text) == (5, "C", "tail")
    assert [type(part) for part in b.content] == [Node, str], "mixed content keeps its order"


@pytest.mark.parametrize(
    "body",
    [
        b"<Response/>",
        b"\xef\xbb\xbf<Response/>",
        b'<?xml version="1.0"?><Response></Response>',
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?><Response></Response>',
        b'\r\n \n<?xml version="1.0" encoding="utf-8"?>\n<Response/>\n\n',
        b'<?xml version="1.0" encoding="ISO-8859-1"?><Response><!-- \xe9 --></Response>',
        b'<?xml version="1.0" encoding="US-ASCII"?><Response/>',
        b"<Response><![CDATA[<!DOCTYPE x>]]></Response>",
        b"<Response><!-- <!DOCTYPE x> --></Response>",
    ],
)
def test_harmless_forms_are_accepted(body: bytes) -> None:
    assert parse_document(body).tag == "Response"


def test_cdata_is_text() -> None:
    body = b"<Response><S><![CDATA[wss://h/ws?a=1&b=2]]></S></Response>"
    assert parse_document(body).children[0].text == "wss://h/ws?a=1&b=2"


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("", "empty", "<Response>"),
        ("  \n ", "empty", "<Response>"),
        ("<!DOCTYPE html><html><body>login</body></html>", "HTML", "HTML page"),
        ("<html><head></head></html>", "root element is <html>", "HTML page"),
        ("<HTML><body><p>not closed</HTML>", "", "HTML page"),
        ('{"detail":"Not Found"}', "not well-formed", "JSON"),
        ("OK", "not well-formed", "start with <"),
        ("<response/>", "root element is <response>, expected <Response>", ""),
        ("<Response><Stream>wss://h/?a=1&b=2</Stream></Response>", "bare &", "&amp;"),
        ("<Response><Stream>wss://h/?a=1& b</Stream></Response>", "bare &", "&amp;"),
        ("<Response>&nbsp;</Response>", "bare &", "&amp;"),
        ("<Response>\n<Play>x</Wait></Response>", "does not close <Play> of line 2", ""),
        ("<Response>\n<Play>", "ends inside <Play> of line 2", ""),
        ("<Response/><Response/>", "junk", ""),
        ("<Response a='1' a='2'/>", "duplicate attribute", ""),
        ("<!DOCTYPE Response><Response/>", "document type", "DOCTYPE"),
        ("<Response><?php echo 1 ?></Response>", "processing instruction", "remove"),
        ("<?xml version='1.0' encoding='utf-7'?><Response/>", "encoding 'utf-7'", "UTF-8"),
        ("<?xml version='1.0' encoding='rot13'?><Response/>", "encoding", "UTF-8"),
        (b"\xff\xfe<\x00R\x00", "not UTF-8", "UTF-8"),
        ("<Response/>".encode("utf-16-be"), "not UTF-8", "UTF-8"),
        ("<Response>é</Response>".encode("latin-1"), "not well-formed", ""),
        (b"<Response>\x00</Response>", "not well-formed", ""),
    ],
)
def test_refusals_say_what_and_what_to_do(body: str | bytes, message: str, hint: str) -> None:
    error = refused(body)
    assert message in error.message
    assert hint in error.hint


def test_line_counts_in_the_body_as_it_was_sent() -> None:
    error = refused("\n\n<?xml version='1.0'?>\n<Response>\n  <Play>\n</Response>")
    assert error.line == 6
    assert "of line 5" in error.message
    assert str(error).startswith("line 6: ")


LIMITS = DocumentLimits()


def nested(depth: int) -> bytes:
    return b"<Response>" + b"<a>" * (depth - 1) + b"</a>" * (depth - 1) + b"</Response>"


def attributed(count: int) -> bytes:
    return b"<Response " + b" ".join(b"a%d=''" % index for index in range(count)) + b"/>"


def crowded(count: int) -> bytes:
    return b"<Response>" + b"<a/>" * (count - 1) + b"</Response>"


def wordy(count: int) -> bytes:
    return b"<Response><a>" + b"x" * count + b"</a></Response>"


def sized(count: int) -> bytes:
    frame = b"<Response><!----></Response>"
    return b"<Response><!--" + b"x" * (count - len(frame)) + b"--></Response>"


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (nested, LIMITS.depth_max),
        (attributed, LIMITS.attributes_max),
        (crowded, LIMITS.elements_max),
        (wordy, LIMITS.text_max_chars),
        (sized, LIMITS.body_max_bytes),
    ],
)
def test_bound_passes_and_one_more_is_refused(make, bound: int) -> None:  # type: ignore[no-untyped-def]
    assert parse_document(make(bound)).tag == "Response"
    refused(make(bound + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"<Response>" + b"<a>" * 40_000,
        b"<Response>" + b"<a " * 40_000,
        b"<Response>" + b"&" * 131_000,
        b"<Response " + b"a='" + b"x" * 131_000,
        b"<Response>" + b"<!--" * 32_000,
        b"<" * 131_000,
        b"<Response>" + b"]]>" * 40_000,
        b"<Response>" + b"&amp;" * 26_000 + b"</Response>",
    ],
)
def test_costly_documents_end_quickly(body: bytes) -> None:
    started = time.process_time()
    refused(body)
    assert time.process_time() - started < 0.05


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_our_error(body: bytes) -> None:
    for data in (body, b"<Response>" + body + b"</Response>", b"<Response " + body + b"/>"):
        try:
            parse_document(data)
        except InvalidDocument:
            pass


PIECES = ["<Response>", "</Response>", "<Play>", "</Play>", "<Wait/>", "&amp;", "&", "<!--", "-->", "<![CDATA[", "]]>"]
PIECES += ["<?x?>", "<!DOCTYPE x>", "<!ENTITY a 'b'>", "&a;", 'a="1"', "<", ">", "é", "\n", "\ufeff"]


@given(st.lists(st.sampled_from(PIECES), max_size=20))
def test_any_markup_gives_a_document_or_our_error(pieces: list[str]) -> None:
    try:
        parse_document("".join(pieces).encode())
    except InvalidDocument:
        pass
