import pytest

from ringback.phones.timeline import Line, Timeline, line_of_event


def test_late_lines_are_put_into_order():
    timeline = Timeline(hold_ms=200)
    timeline.add(Line(1000, "sip", "200"))
    timeline.add(Line(900, "answer_url", "POST"))
    assert timeline.due(1100) == [Line(900, "answer_url", "POST")]
    timeline.add(Line(950, "xml", "<Stream>"))
    assert [line.label for line in timeline.due(1200)] == ["xml", "sip"]
    timeline.add(Line(2000, "hangup", ""))
    assert timeline.due(2199) == []
    assert timeline.rest() == [Line(2000, "hangup", "")]
    assert timeline.rest() == []


def test_time_is_shown_since_the_start_and_never_negative():
    assert Line(61_234, "xml", "x").shown(60_000) == "  01.234  xml          x"
    assert Line(59_000, "xml", "").shown(60_000) == "  00.000  xml"


@pytest.mark.parametrize(
    ("kind", "fields", "label", "parts"),
    [
        (
            "sip",
            {"direction": "in", "summary": "INVITE", "transport": "udp", "peer": "h:1", "raw": "R"},
            "sip",
            ["←", "INVITE", "h:1"],
        ),
        ("sip", {"direction": "out", "summary": "200 OK"}, "sip", ["→", "200 OK"]),
        (
            "webhook",
            {"target": "answer_url", "method": "POST", "url": "http://x/", "status": 200, "total_ms": 3},
            "answer_url",
            ["POST http://x/", "200", "3 ms"],
        ),
        ("webhook", {"method": "GET", "url": "u", "outcome": "timeout"}, "webhook", ["timeout"]),
        (
            "element",
            {"name": "Stream", "phase": "started", "line": 3, "attributes": {"a": "b"}},
            "xml",
            ["<Stream> started", "line 3", "a=b"],
        ),
        ("digit", {"digit": "5"}, "digit", ["5"]),
        ("stream", {"event": "connected", "stream_id": "s"}, "stream", ["connected"]),
        ("call", {"state": "ringing"}, "call", ["ringing"]),
        ("novelty", {"x": 1, "raw": "secret"}, "novelty", ["x=1"]),
    ],
)
def test_facts_become_lines(kind, fields, label, parts):
    line = line_of_event({"wall_ms": 5, "kind": kind, "fields": fields})
    assert (line.wall_ms, line.label) == (5, label)
    for part in parts:
        assert part in line.text
    assert "secret" not in line.text


@pytest.mark.parametrize("event", [{}, {"kind": 5, "fields": [1], "wall_ms": "x"}, {"kind": "webhook", "fields": None}])
def test_odd_facts_do_not_break_the_timeline(event):
    assert line_of_event(event).wall_ms == 0


def test_hostile_text_cannot_drive_the_terminal_or_flood_it():
    line = line_of_event({"kind": "call", "fields": {"state": "a\x1b[2J\nb" + "x" * 500}})
    assert line.text.isprintable()
    assert len(line.text) == 160
