"""`ringback call NUMBER|sip:URI`: a real SIP phone that calls, plays, listens and judges."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ringback.cli.failure import ExitCode, Failure
from ringback.cli.find_server import ServerAddress, find_server
from ringback.cli.output import printable, write_json, write_note, write_result

if TYPE_CHECKING:
    from ringback.phones.main import CallReport, CallRequest
    from ringback.phones.timeline import Line
    from ringback.phones.tones import Samples

_TEST_SIGNAL_MS = 3_000
_AFTER_SOUND_MS = 1_000
_TALK_MAX_S = 86_400
_REFUSED_BY_POLICY = frozenset({401, 403, 407, 429, 603})


def call_start(
    to: Annotated[str, Parameter(help="A number, with or without +, or a sip: URI.")],
    /,
    *,
    from_: Annotated[str, Parameter(name="--from", help="The caller's number.")] = "15550009999",
    wav: Annotated[Path | None, Parameter(help="Sound to play, wav or mp3. Default: a test melody of 3 s.")] = None,
    record: Annotated[Path | None, Parameter(help="Write what comes back as a wav file.")] = None,
    dtmf: Annotated[str, Parameter(help="Digits to send 1 s after the answer; w waits 0.5 s.")] = "",
    for_: Annotated[
        float | None, Parameter(name="--for", help="Seconds to talk. Default: the sound's length and 1 s.")
    ] = None,
    url: Annotated[str, Parameter(help="The server. Default: the nearest development server.")] = "",
    json: Annotated[bool, Parameter(help="Print the report as one JSON object; the timeline goes to stderr.")] = False,
) -> int:
    """Call, play, record and judge; exit 0 only if audio came back."""
    if record is not None and not record.parent.is_dir():
        raise Failure("RB4003", "the recording's folder does not exist", str(record.parent), "create it")
    if not re.fullmatch(r"[0-9*#A-DwW]*", dtmf):
        raise Failure("RB5002", f"read --dtmf {dtmf}", fix="expected 0-9 * # A-D, w and W for pauses")
    server = find_server(url)
    if for_ is not None and not 0 < for_ <= _TALK_MAX_S:
        raise Failure("RB5002", f"read --for {for_}", fix="expected more than 0 s, up to 24 h")
    samples = _sound(wav)
    request = _request(_target(to, server), from_, samples, dtmf, for_, server)
    report = asyncio.run(_call(request, _line_writer(write_note if json else write_result)))
    if record is not None:
        _write_recording(record, report)
    if json:
        write_json(report.to_dict())
    else:
        write_result("\n".join(verdict(report)))
    return _judged(report)


def verdict(report: CallReport) -> list[str]:
    """Return what a person wants to know of a finished call."""
    heard = report.heard
    lines = []
    if report.was_answered:
        lines.append(
            f"  call      {report.talk_ms / 1000:.1f} s, {report.codec}, loss {_loss_percent(report):.1f} %, "
            f"jitter {report.jitter_ms:.1f} ms, ended by {report.end.by}"
        )
    if heard.has_audio:
        first = "" if heard.first_audio_ms is None else f", first audio {heard.first_audio_ms} ms after the answer"
        lines.append(f"  heard     {heard.sound_ms / 1000:.1f} s at {heard.level_dbov} dBov{first}")
    if heard.round_trip_ms is not None:
        lines.append(
            f"  echo      {heard.round_trip_ms:.0f} ms round trip, {heard.likeness:.0%} alike, "
            f"level {heard.level_dbov - heard.sent_level_dbov:+.1f} dB"
        )
    if report.digits_heard:
        lines.append(f"  digits    {printable(report.digits_heard)}")
    if not report.is_reliable:
        lines.append("  note      this machine was too busy: the phone itself sent late, times are not reliable")
    if report.call_uuid and report.end.status != 404:
        lines.append(f"  more      ringback call show {printable(report.call_uuid)}")
    return lines


def _request(
    uri: str, caller: str, samples: Samples, digits: str, talk_s: float | None, server: ServerAddress
) -> CallRequest:
    from ringback.phones.main import CallRequest
    from ringback.phones.platform_api import PlatformApi
    from ringback.phones.script import CallScript

    talk_ms = len(samples) // 8 + _AFTER_SOUND_MS if talk_s is None else int(talk_s * 1000)
    return CallRequest(
        uri=uri,
        caller=caller.lstrip("+"),
        samples=samples,
        script=CallScript(talk_ms=talk_ms, digits=digits),
        api=PlatformApi(server.url, server.auth_id, server.auth_token),
    )


def _target(to: str, server: ServerAddress) -> str:
    """Return the URI to call: a number is called at the server, and then the server must be there."""
    from ringback.cli.readiness import is_ready

    if to.startswith(("sip:", "sips:")):
        return to
    number = re.sub(r"[ ().-]", "", to).lstrip("+")
    if not number.isascii() or not number.isdigit():
        raise Failure("RB5002", f"read {printable(to)}", fix="expected a number or sip:user@host")
    if not is_ready(f"{server.url}/readyz"):
        raise Failure("RB5006", "no server is ready", server.url, "start one with `ringback dev`, or name it by --url")
    host = f"[{server.sip_host}]" if ":" in server.sip_host else server.sip_host
    return f"sip:{number}@{host}:{server.sip_port}"


def _sound(wav: Path | None) -> Samples:
    from ringback.ids import new_digits
    from ringback.phones.sound_files import SoundFileUnusable, read_sound
    from ringback.phones.tones import melody

    if wav is None:
        return melody(seed=int(new_digits(9)), duration_ms=_TEST_SIGNAL_MS)
    try:
        return read_sound(wav)
    except SoundFileUnusable as error:
        raise Failure("RB4002", error.message, fix=error.hint) from None


def _write_recording(path: Path, report: CallReport) -> None:
    from ringback.phones.sound_files import SoundFileUnusable, write_wav

    try:
        write_wav(path, report.heard_samples)
    except SoundFileUnusable as error:
        raise Failure("RB4003", error.message, fix="choose another --record") from None


async def _call(request: CallRequest, on_line: Callable[[Line], None]) -> CallReport:
    from ringback.errors import RingbackError
    from ringback.phones.main import run_call

    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        return await run_call(request, on_line, interrupted)
    except RingbackError as error:
        raise Failure("RB3004", error.message, request.uri, error.hint) from None


def _line_writer(write: Callable[[str], None]) -> Callable[[Line], None]:
    start_ms: int | None = None

    def write_line(line: Line) -> None:
        nonlocal start_ms
        start_ms = line.wall_ms if start_ms is None else start_ms
        write(line.shown(start_ms))

    return write_line


def _judged(report: CallReport) -> int:
    """Return the exit code of a call.

    Raises:
        Failure: it was not answered, or no audio came back.
    """
    if report.heard.has_audio:
        return ExitCode.DONE
    where = f"call {report.call_uuid}" if report.call_uuid else report.uri
    end = report.end
    if report.was_answered:
        fix = f"look at it: ringback call show {report.call_uuid or 'last'}"
        raise Failure("RB4001", f"answered, but no audio came back in {report.talk_ms / 1000:.1f} s", where, fix)
    if end.is_local:
        raise Failure("RB3001", f"nobody answered: {end.reason or 'no reply'}", where, "is a server at that address?")
    refusal = f"refused with {end.status} {printable(end.reason)}".rstrip()
    if end.status in _REFUSED_BY_POLICY:
        raise Failure("RB3003", refusal, where, "the far side wants a trunk, a password or another caller")
    fix = "see the timeline above"
    if end.status == 404:
        fix = "no application answers it: POST /Number/ with an app_id, or `ringback dev --answer-url URL`"
    raise Failure("RB3002", refusal, where, fix)


def _loss_percent(report: CallReport) -> float:
    expected = report.received_packets + report.lost_packets
    return 100 * report.lost_packets / expected if expected else 0.0
