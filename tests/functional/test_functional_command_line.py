"""The first five minutes: `ringback dev`, `ringback call`, the official SDK; judged by audio."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from tests.support.customer import customer_of, response
from tests.support.echo import assert_echoed
from tests.support.live_calls import until_heard_ms

from ringback.phones import tones
from ringback.phones.phone import Phone, PhoneSettings
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
ECHO = "15550001000"
LATE_MS = 800
"""Far above what the benchmarks promise: here all processes share two cores with whatever else runs."""


@pytest.fixture(scope="module")
def platform():
    with Platform.start() as platform:
        yield platform


@pytest.fixture
async def phone():
    phone = Phone(PhoneSettings(user="15550002222"))
    await phone.start()
    yield phone
    await phone.hang_up_all()
    await phone.close()


def environment(platform: Platform) -> dict[str, str]:
    return {
        "RINGBACK_DATA_DIR": str(platform.folder),
        "PATH": "/usr/bin:/bin",
        **{name: value for name, value in os.environ.items() if name == "PYTHONPATH"},
    }


def run(platform: Platform, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ringback", *words]
    return subprocess.run(
        command, env=environment(platform), cwd="/", capture_output=True, text=True, timeout=90, check=False
    )


def test_call_prints_a_timeline_and_exits_0_when_audio_came_back(platform, tmp_path):
    done = run(platform, "call", ECHO, "--dtmf", "5", "--record", str(tmp_path / "back.wav"))
    assert done.returncode == 0, done.stdout + done.stderr
    # What the platform tells of the call is printed when it comes.
    assert "/answer" in done.stdout
    order = [done.stdout.index(word) for word in ("→ INVITE", "← 200 OK", "first audio", "by this phone", "ended")]
    assert order == sorted(order)
    assert "echo " in done.stdout
    assert (tmp_path / "back.wav").stat().st_size > 30_000


def test_json_report_measures_the_echo(platform):
    # Three calls at most: it measures what a busy machine does to the echo, too.
    for _ in range(3):
        done = run(platform, "call", ECHO, "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["was_answered"]
        assert report["codec"] == "PCMU"
        heard = report["heard"]
        if is_good := heard["likeness"] > 0.75 and heard["round_trip_ms"] < LATE_MS:
            break
    assert is_good, heard
    assert abs(heard["level_dbov"] - heard["sent_level_dbov"]) < 1


def test_unknown_number_exits_1_and_says_what_to_do(platform):
    done = run(platform, "call", "15559999999")
    assert done.returncode == 1
    assert "404" in done.stderr
    assert "RB3002" in done.stderr


def test_call_show_tells_the_last_call(platform):
    assert run(platform, "call", ECHO, "--for", "1").returncode == 0
    # Until then facts may be added.
    platform.assert_idle()
    shown = run(platform, "call", "show", "last")
    assert shown.returncode == 0
    for word in ("INVITE", "200 OK", "<Stream> started", "Normal Hangup"):
        assert word in shown.stdout
    facts = [json.loads(line) for line in run(platform, "call", "show", "last", "--json").stdout.splitlines()]
    assert [fact["id"] for fact in facts] == sorted(fact["id"] for fact in facts)
    uuid = facts[0]["call_uuid"]
    assert uuid in run(platform, "call", "list").stdout
    assert run(platform, "call", "show", uuid[:8]).stdout == shown.stdout
    platform.sdk().call_feedback.create(uuid, 4, ["ECHO"], "a bit late")
    judged = run(platform, "call", "show", uuid).stdout
    assert "feedback     rating=4.0 issues=ECHO notes=a bit late" in judged


def test_creds_are_those_of_the_server(platform):
    creds = json.loads(run(platform, "creds", "--json").stdout)
    assert creds == {"auth_id": platform.auth_id, "auth_token": platform.auth_token, "url": platform.url}


def test_wrong_password_exits_4(platform):
    done = subprocess.run(
        [sys.executable, "-m", "ringback", "call", "list", "--url", platform.url + "/"],
        env={"RINGBACK_AUTH_TOKEN": "wrong", "RINGBACK_DATA_DIR": str(platform.folder / "elsewhere")},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.startswith("RB6001")


def test_second_server_on_the_same_folder_is_refused(platform):
    done = run(platform, "dev", "--http", "127.0.0.1:0", "--sip", "127.0.0.1:0")
    assert done.returncode == 2
    assert f"pid {platform.process.pid}" in done.stderr


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_tone_returns_at_its_pitch_level_and_in_time(platform, phone, transport):
    call = await phone.call(platform.uri(ECHO, transport))
    await call.until_answered()
    # Three melodies at most: the agent, the phone and whatever else runs share the machine.
    for seed in (3, 4, 5):
        call.play(tones.melody(seed, 1500))
        await call.until_played()
        await until_heard_ms(call, len(call.heard_samples()) / 8 + LATE_MS)
        if (heard := call.heard()).likeness > 0.75:
            break
    assert heard.likeness > 0.75
    assert heard.round_trip_ms < LATE_MS
    assert heard.level_dbov == pytest.approx(heard.sent_level_dbov, abs=1)
    call.hang_up()
    await call.until_ended()


async def test_official_sdk_calls_a_phone_that_hears_the_echo(platform, phone):
    echo = next(app for app in platform.sdk().applications.list()["objects"] if "/answer" in app["answer_url"])
    made = await asyncio.to_thread(
        platform.sdk().calls.create, from_="15550001000", to_=phone.uri, answer_url=echo["answer_url"]
    )
    call = await phone.next_call()
    assert call.request.headers.get("X-CallUUID") == made["request_uuid"]
    call.ring()
    call.answer()
    await until_heard_ms(call, 100)
    await assert_echoed(call, 4)
    call.hang_up()
    assert (await call.until_ended()).by == "us"


def test_banner_is_true(platform):
    banner = (platform.folder / "output.log").read_text()
    for part in (platform.url, f"{platform.sip_host}:{platform.sip_port}", platform.auth_id, ECHO, "15550002000"):
        assert part in banner


def test_ctrl_c_leaves_nothing_behind():
    with Platform.start() as platform:
        children = platform.worker_pids()
        assert children
        platform.process.send_signal(2)
        # Two seconds are promised, of a machine that has nothing else to do.
        assert platform.process.wait(20) == 0
        assert not (platform.folder / "run.json").exists()


async def test_webhooks_are_listed_shown_replayed_and_explained(platform):
    async with customer_of(platform) as customer:
        number = await customer.number(
            customer.serve("/answer", response("<Hangup/>")), hangup_url=customer.url("/hangup?who=me")
        )
        called = await asyncio.to_thread(run, platform, "call", number, "--json")
        assert called.returncode == 4, "the document refuses the call"
        (first,) = await customer.until("/hangup")
        listed = await asyncio.to_thread(run, platform, "webhook", "list", "--call", "last", "--json")
        (callback,) = [json.loads(line) for line in listed.stdout.splitlines()]
        assert (callback["kind"], callback["params"]["CallUUID"]) == ("hangup", first.params["CallUUID"])
        replayed = await asyncio.to_thread(run, platform, "webhook", "replay", callback["event_id"][:8])
        assert replayed.returncode == 0, replayed.stderr
        _, second = await customer.until("/hangup", 2)
        assert first.params == second.params
        assert first.headers["x-plivo-signature-v3"] == second.headers["x-plivo-signature-v3"]
        shown = await asyncio.to_thread(run, platform, "webhook", "show", callback["event_id"])
        assert shown.stdout.count("attempt 1: 200") == 2
        right = first.headers["x-plivo-signature-v3"].partition(",")[0]
        explained = await asyncio.to_thread(
            run, platform, "webhook", "explain", "last", "--event", callback["event_id"], "--computed", right
        )
        assert explained.returncode == 0, explained.stderr
        assert f"▶ {right}  right" in explained.stdout
        assert "if scheme https" in explained.stdout
        assert "CallStatuscompleted" in explained.stdout
        wrong = await asyncio.to_thread(run, platform, "webhook", "explain", "last", "--computed", "nonsense")
        assert wrong.returncode == 1
    unknown = run(platform, "webhook", "show", "ffffffff-0000-0000-0000-000000000000")
    assert (unknown.returncode, "RB6003" in unknown.stderr) == (1, True)
