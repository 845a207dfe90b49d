import re

from ringback.telemetry.events import NullEventSink
from ringback.telemetry.metrics import IDLE_GAUGES, Metrics


def test_every_name_has_our_prefix_and_a_help_text():
    text = Metrics("1.2.3").render().decode()
    names = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    assert len(names) > 25
    assert all(name.startswith("ringback_") and help_text for name, help_text in names)


def test_build_info_names_the_version():
    assert 'ringback_build_info{python="3.' in Metrics("1.2.3").render().decode()
    assert 'version="1.2.3"} 1.0' in Metrics("1.2.3").render().decode()


def test_two_servers_in_one_process_do_not_share_counts():
    first, second = Metrics("1"), Metrics("1")
    first.calls_active.labels(direction="inbound").inc()
    assert 'ringback_calls_active{direction="inbound"} 1.0' in first.render().decode()
    assert 'ringback_calls_active{direction="inbound"} 0.0' in second.render().decode()


def test_idle_gauges_exist():
    text = Metrics("1").render().decode()
    for name in IDLE_GAUGES:
        assert f"# TYPE {name} gauge" in text


def test_null_sink_takes_any_fact():
    NullEventSink().record("u", "call", {"state": "ringing"})
