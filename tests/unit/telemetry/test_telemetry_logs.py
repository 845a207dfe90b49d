import io
import json
import logging

import pytest
import structlog

from ringback.telemetry.logs import configure_logs, escape_controls
from ringback.telemetry.redaction import AddressText, NumberText, TokenText, UrlText


@pytest.fixture
def lines():
    root = logging.getLogger()
    before = list(root.handlers), root.level
    stream = io.StringIO()

    def configure(form: str = "json", level: str = "debug"):
        configure_logs(form, level, stream)
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    yield configure
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def test_line_is_one_json_object_with_time_level_and_event(lines):
    read = lines()
    structlog.get_logger("calls").info("call answered", call_uuid="u1", duration_ms=7)
    (line,) = read()
    assert line["event"] == "call answered"
    assert line["level"] == "info"
    assert line["call_uuid"] == "u1"
    assert line["duration_ms"] == 7
    assert line["ts"].endswith("Z")


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        (NumberText("+4930123456"), "493012"),
        (AddressText("203.0.113.77", 5060), "113"),
        (AddressText("2001:db8::7", 5060), "db8"),
        (UrlText("https://u:pass@host/path?token=abc#x"), "abc"),
        (UrlText("https://u:pass@host/path?token=abc#x"), "pass"),
        (UrlText("http://[broken"), "broken"),
        (TokenText("s3cr3t"), "s3cr3t"),
    ],
)
def test_private_values_are_masked_above_debug(lines, value, secret):
    read = lines()
    structlog.get_logger().warning("seen", value=value)
    assert secret not in json.dumps(read())
    assert secret not in repr(value)


def test_private_values_are_shown_at_debug_but_tokens_never(lines):
    read = lines()
    structlog.get_logger().debug(
        "seen", number=NumberText("+4930123456"), url=UrlText("http://h/?q=1"), t=TokenText("x1")
    )
    (line,) = read()
    assert line["number"] == "+4930123456"
    assert line["url"] == "http://h/?q=1"
    assert line["t"] == "********"


def test_hostile_text_stays_on_one_line(lines):
    read = lines()
    hostile = 'a\r\nERROR forged\x1b[2J\x00\u2028"}'
    structlog.get_logger().info("call", name=hostile)
    (line,) = read()
    assert "\n" not in line["name"]
    assert "\x1b" not in line["name"]
    assert "\u2028" not in line["name"]


def test_long_text_is_cut_at_the_limit():
    assert escape_controls("x" * 2000) == "x" * 2000
    assert escape_controls("x" * 2001) == "x" * 2000 + "…"


def test_level_hides_lower_lines(lines):
    read = lines(level="warning")
    structlog.get_logger().info("hidden")
    logging.getLogger("some.package").warning("shown %d", 5)
    assert [line["event"] for line in read()] == ["shown 5"]


def test_second_configuration_does_not_double_lines(lines):
    lines()
    read = lines()
    structlog.get_logger().info("once")
    assert len(read()) == 1


def test_pretty_form_is_readable_text(lines):
    stream = io.StringIO()
    configure_logs("pretty", "info", stream)
    structlog.get_logger().info("call answered", call_uuid="u1")
    assert "call answered" in stream.getvalue()
    assert "call_uuid=u1" in stream.getvalue()


def test_auto_form_is_json_off_a_terminal(lines):
    read = lines("auto", "info")
    structlog.get_logger().info("x")
    assert read()[0]["event"] == "x"


def test_lines_of_the_standard_library_keep_their_fields(lines):
    read = lines()
    extra = {"call_uuid": "u1", "token": TokenText("s3cr3t"), "text": "x\ny"}
    logging.getLogger("room").warning("callback set aside", extra=extra)
    (line,) = read()
    assert (line["event"], line["call_uuid"], line["text"]) == ("callback set aside", "u1", "x\\ny")
    assert "s3cr3t" not in json.dumps(line)
