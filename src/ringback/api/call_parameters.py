"""The parameters of `/Call/`, read into types (specification 4.5 to 4.8)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ringback import clock
from ringback.api.forms import Form, invalid, shown
from ringback.api.moments import read_moments
from ringback.api.paging import read_page
from ringback.calls.views import (
    Bound,
    CallDirection,
    CdrFilters,
    Comparison,
    LiveCallFilters,
    MachineDetection,
    MakeCall,
    Transfer,
)
from ringback.numbers.store import normalised

TIME_LIMIT_MAX_S = 86_400
DESTINATIONS_MAX = 1_000
"""Calls that one request may ask for (specification 4.5)."""
SIP_HEADERS_MAX = 50
CDR_WINDOW_MS = 7 * 86_400_000
"""How far back a list of call records reaches when the request does not say (specification 4.6)."""
_ADDRESS_MAX_CHARS = 255
_SIP_URI = re.compile(r"sips?:[^\s<>\"]+", re.IGNORECASE)
_CALLER_ID = re.compile(r"[A-Za-z0-9_.+!~*'()&=$,;?/@:-]+")
_SEND_DIGITS = re.compile(r"[0-9*#A-DwW]{1,100}(?:@[0-9]{1,5})?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,256}")


def read_make_calls(form: Form) -> tuple[MakeCall, ...]:
    """Return the outbound calls that a request asks for: one for each destination, alike in everything else.

    Raises:
        InvalidParameter: a parameter is missing, wrong, or not supported.
    """
    from_number = _read_caller_id(form)
    destinations = _read_destinations(form)
    answer_url = form.url("answer_url", required=True, about="Returns the XML document that the call runs.")
    machine_detection = _read_machine_detection(form)
    if form.text("call_type"):
        invalid("call_type", "other kinds of calls than phone calls are not supported")
    first = MakeCall(
        from_number=from_number,
        to=destinations[0],
        answer_url=answer_url,
        answer_method=form.method("answer_method"),
        ring_url=form.url("ring_url", about="Told when the destination rings."),
        ring_method=form.method("ring_method"),
        hangup_url=form.url("hangup_url", about="Told when the call has ended."),
        hangup_method=form.method("hangup_method"),
        fallback_url=form.url("fallback_url", about="Asked for the document when answer_url fails."),
        fallback_method=form.method("fallback_method"),
        caller_name=form.text("caller_name", max_chars=50),
        send_digits=_read_send_digits(form),
        send_on_preanswer=form.boolean("send_on_preanswer"),
        time_limit_s=min(form.integer("time_limit", 14_400, 1, 10**9), TIME_LIMIT_MAX_S),
        hangup_on_ring_s=form.optional_integer("hangup_on_ring", 0, TIME_LIMIT_MAX_S),
        ring_timeout_s=form.integer("ring_timeout", 120, 1, 3_600),
        sip_headers=_read_sip_headers(form),
        parent_call_uuid=form.text("parent_call_uuid", max_chars=64),
        error_if_parent_not_found=form.boolean("error_if_parent_not_found"),
        machine_detection=machine_detection,
    )
    return tuple(replace(first, to=to) for to in destinations)


def read_transfer(form: Form) -> Transfer:
    """Return the transfer that a request asks for.

    Raises:
        InvalidParameter: the URL of a named leg is missing, or a parameter is wrong.
    """
    legs = form.choice("legs", ("aleg", "bleg", "both"), "aleg")
    return Transfer(
        legs=legs,
        aleg_url=form.url("aleg_url", required=legs in ("aleg", "both")),
        aleg_method=form.method("aleg_method"),
        bleg_url=form.url("bleg_url", required=legs in ("bleg", "both")),
        bleg_method=form.method("bleg_method"),
    )


def read_live_filters(form: Form) -> LiveCallFilters:
    """Return which live or queued calls are wanted."""
    page = read_page(form)
    return LiveCallFilters(
        queued=form.choice("status", ("live", "queued"), "") == "queued",
        direction=_read_direction(form),
        from_number=_read_number_filter(form, "from_number"),
        to_number=_read_number_filter(form, "to_number"),
        limit=page.limit,
        offset=page.offset,
    )


def read_cdr_filters(form: Form) -> CdrFilters:
    """Return which call records are wanted: without a bound on `end_time` those of the last seven days."""
    form.choice("status", ("live", "queued"), "", about="Lists calls that have not ended instead of records.")
    ended_wall_ms = read_moments(form, "end_time")
    return CdrFilters(
        direction=_read_direction(form),
        from_number=_read_number_filter(form, "from_number"),
        to_number=_read_number_filter(form, "to_number"),
        parent_call_uuid=form.text("parent_call_uuid", max_chars=64),
        bill_duration_s=tuple(
            Bound(comparison, value)
            for comparison in Comparison
            if (value := form.optional_integer(f"bill_duration{comparison.value}", 0, 10**9)) is not None
        ),
        ended_wall_ms=ended_wall_ms or (Bound(Comparison.AT_LEAST, clock.wall_ms() - CDR_WINDOW_MS),),
        hangup_cause_code=form.optional_integer("hangup_cause_code", 0, 99_999),
        hangup_source=form.text("hangup_source", max_chars=64),
        stir_verification=form.text("stir_verification", max_chars=32),
    )


def _read_caller_id(form: Form) -> str:
    text = form.text("from", required=True, max_chars=_ADDRESS_MAX_CHARS, about="Caller id: a number or a SIP address.")
    if digits := normalised(text):
        return digits
    if not _CALLER_ID.fullmatch(text):
        invalid("from", f"{shown(text)}, expected a phone number such as +14151234567")
    return text


def _read_destinations(form: Form) -> tuple[str, ...]:
    text = form.text(
        "to",
        required=True,
        max_chars=_ADDRESS_MAX_CHARS * DESTINATIONS_MAX,
        about="A number or a `sip:` URI, or up to 1,000 of them with `<` between them, each once.",
    )
    parts = [part.strip() for part in text.split("<") if part.strip()]
    if not parts:
        invalid("to", "it names no destination")
    if len(parts) > DESTINATIONS_MAX:
        invalid("to", f"{len(parts)} destinations, expected at most {DESTINATIONS_MAX}")
    found = [_destination(part) for part in parts]
    twice = next((to for to, count in Counter(found).items() if count > 1), None)
    if twice is not None:
        invalid("to", f"{shown(twice)} stands twice, expected each destination once")
    return tuple(found)


def _destination(text: str) -> str:
    if len(text) > _ADDRESS_MAX_CHARS:
        invalid("to", f"{len(text)} characters, expected at most {_ADDRESS_MAX_CHARS}")
    if digits := normalised(text):
        return digits
    if not _SIP_URI.fullmatch(text):
        invalid("to", f"{shown(text)}, expected a phone number such as +14151234567 or a sip: URI")
    return text


def _read_machine_detection(form: Form) -> MachineDetection | None:
    """Return how machines are detected, `None` when they are not; official SDKs send some of it with every call."""
    wanted = form.choice("machine_detection", ("true", "hangup", "false"), "false")
    rules = MachineDetection()
    found = MachineDetection(
        hangs_up=wanted == "hangup",
        url=form.url("machine_detection_url", about="Told of a machine; the document does not wait for the verdict."),
        method=form.method("machine_detection_method"),
        total_ms=form.integer("machine_detection_time", rules.total_ms, 2_000, 10_000),
        initial_silence_ms=form.integer(
            "machine_detection_initial_silence", rules.initial_silence_ms, 2_000, 10_000, about="Then: unknown."
        ),
        speech_ms=form.integer("machine_detection_maximum_speech_length", rules.speech_ms, 1_000, 6_000),
        words=form.integer("machine_detection_maximum_words", rules.words, 0, 60_000, about="0 counts no words."),
        greeting_ms=form.integer("machine_detection_initial_greeting", rules.greeting_ms, 0, 60_000),
        silence_ms=form.integer("machine_detection_silence", rules.silence_ms, 0, 60_000),
    )
    return found if wanted != "false" else None


def _read_send_digits(form: Form) -> str:
    text = form.text("send_digits", max_chars=106, about="Digits, `w` (0.5 s) and `W` (1 s), then `@` and tone ms.")
    if text and not _SEND_DIGITS.fullmatch(text):
        invalid("send_digits", f"{shown(text)}, expected 0-9 * # A-D w W, then optionally @ and milliseconds")
    return text


def _read_sip_headers(form: Form) -> tuple[tuple[str, str], ...]:
    """Return header names without `X-PH-`, and values that cannot break out of a header."""
    value = form.raw("sip_headers", {"type": "string"}, "Headers of the INVITE: `key=value,key2=value2`.")
    if value is None or value == "":
        return ()
    pairs: list[tuple[str, str]]
    if isinstance(value, Mapping):
        pairs = [(str(name), str(text)) for name, text in value.items()]
    else:
        parts = [part.partition("=") for part in form.text("sip_headers").split(",") if part.strip()]
        pairs = [(name.strip(), text.strip()) for name, _, text in parts]
    if len(pairs) > SIP_HEADERS_MAX:
        invalid("sip_headers", f"{len(pairs)} headers, expected at most {SIP_HEADERS_MAX}")
    found = []
    for name, text in pairs:
        bare = name[5:] if name.lower().startswith("x-ph-") else name
        if not _HEADER_NAME.fullmatch(bare) or not _HEADER_VALUE.fullmatch(text):
            invalid("sip_headers", f"{shown(name)}, expected key=value,key2=value2 in letters, digits and dashes")
        found.append((bare, text))
    return tuple(found)


def _read_direction(form: Form) -> CallDirection | None:
    text = form.choice("call_direction", ("inbound", "outbound"), "")
    return CallDirection(text) if text else None


def _read_number_filter(form: Form, name: str) -> str:
    text = form.text(name, max_chars=_ADDRESS_MAX_CHARS)
    return normalised(text) or text.lstrip("+")
