import io
import json
import logging

import pytest

from ringback.telemetry.logs import configure_logs, escape_controls, get_logger
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
    root.handlers[:], root.level = before


def test_line_is_one_json_object_with_time_level_and_event(lines):
    read = lines()
    get_logger("calls").info("call answered", call_uuid="u1", duration_ms=7)
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
    get_logger("room").warning("seen", value=value)
    assert secret not in json.dumps(read())
    assert secret not in repr(value)


def test_private_values_are_shown_at_debug_but_tokens_never(lines):
    read = lines()
    get_logger("room").debug("seen", number=NumberText("+4930123456"), url=UrlText("http://h/?q=1"), t=TokenText("x1"))
    (line,) = read()
    assert line["number"] == "+4930123456"
    assert line["url"] == "http://h/?q=1"
    assert line["t"] == "********"


def test_hostile_text_stays_on_one_line(lines):
    read = lines()
    hostile = 'a\r\nERROR forged\x1b[2J\x00\u2028"}'
    get_logger("room").info("call", name=hostile)
    (line,) = read()
    assert "\n" not in line["name"]
    assert "\x1b" not in line["name"]
    assert "\u2028" not in line["name"]


def test_long_text_is_cut_at_the_limit():
    assert escape_controls("x" * 2000) == "x" * 2000
    assert escape_controls("x" * 2001) == "x" * 2000 + "…"


def test_level_hides_lower_lines(lines):
    read = lines(level="warning")
    get_logger("room").info("hidden")
    logging.getLogger("some.package").warning("shown %d", 5)
    assert [line["event"] for line in read()] == ["shown 5"]


def test_second_configuration_does_not_double_lines(lines):
    lines()
    read = lines()
    get_logger("room").info("once")
    assert len(read()) == 1


def test_pretty_form_is_readable_text(lines):
    stream = io.StringIO()
    configure_logs("pretty", "info", stream)
    get_logger("room").info("call answered", call_uuid="u1")
    assert "call answered" in stream.getvalue()
    assert "call_uuid=u1" in stream.getvalue()


def test_auto_form_is_json_off_a_terminal(lines):
    read = lines("auto", "info")
    get_logger("room").info("x")
    assert read()[0]["event"] == "x"


def test_lines_of_the_standard_library_keep_their_fields(lines):
    read = lines()
    extra = {"call_uuid": "u1", "token": TokenText("s3cr3t"), "text": "x\ny"}
    logging.getLogger("room").warning("callback set aside", extra=extra)
    (line,) = read()
    assert (line["event"], line["call_uuid"], line["text"]) == ("callback set aside", "u1", "x\\ny")
    assert "s3cr3t" not in json.dumps(line)


def test_exceptions_bring_their_traceback(lines):
    read = lines()
    try:
        raise ValueError("broken")
    except ValueError as error:
        get_logger("room").exception("step failed", leg_id="l1")
        get_logger("room").error("step failed", exc_info=error)
    for line in read():
        assert line["level"] == "error"
        assert line["exception"].endswith("ValueError: broken")
    assert read()[0]["leg_id"] == "l1"


def test_event_is_no_format(lines):
    read = lines()
    get_logger("room").info("100 % of %s")
    assert read()[0]["event"] == "100 % of %s"


@pytest.mark.parametrize("field", ["name", "message", "args", "level_name"])
def test_fields_may_be_called_as_a_record_calls_its_own(lines, field):
    read = lines()
    get_logger("room").info("seen", **{field: 5})
    assert read()[0][field] == 5


def test_a_terminal_gets_colours_and_no_control_characters_of_callers(lines):
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    configure_logs("auto", "info", stream)
    get_logger("calls").warning("call refused", caller="\x1b[2J", reason=None)
    assert stream.getvalue().startswith("20")
    assert "\x1b[33mwarning  \x1b[0m] call refused" in stream.getvalue()
    assert stream.getvalue().endswith("caller=\\x1b[2J reason=None\n")
