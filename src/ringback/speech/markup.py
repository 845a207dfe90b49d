"""From text and SSML elements to passages: breaks, prosody, emphasis, languages, spellings.

Spec: wire spec 6.1 and 6.2. SSML is understood with every voice, not only with those of Polly. What we cannot do is
noted and its text is said all the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from types import MappingProxyType
from typing import Protocol

from ringback.speech.catalogue import named_voice
from ringback.speech.clauses import split
from ringback.speech.passage import Passage, Speech, Style
from ringback.speech.phonemes import normalised
from ringback.speech.said import said_as
from ringback.speech.voices import is_language

TEXT_MAX_CHARS = 16_384
"""All text of one speech; the rest is not said."""
BREAK_MAX_MS = 10_000
PAUSES_MAX_MS = 300_000
_NOTES_MAX = 16
_PARAGRAPH_MS = 700
_MARKS = tuple(".!?,;:…")
_MARK_PAUSE_MS = 250
_WORD_MAX_CHARS = 200
_LAST_PAUSE_MS = 150
"""After the last word: what follows in the document should not have to wait."""
_DEFAULT_LANGUAGE = "en-US"
_BREAKS = {"none": 0, "x-weak": 100, "weak": 200, "medium": 400, "strong": 700, "x-strong": 1_200}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
_PITCHES = {"x-low": 0.7, "low": 0.85, "medium": 1.0, "default": 1.0, "high": 1.15, "x-high": 1.3}
_VOLUMES = {"x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0, "loud": 6.0, "x-loud": 9.0}
_EMPHASES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"strong": (0.88, 3.0), "moderate": (0.95, 1.5), "none": (1.0, 0.0), "reduced": (1.08, -3.0)}
)
_RATE_RANGE = (0.4, 2.5)
_PITCH_RANGE = (0.6, 1.6)
_GAIN_RANGE = (-30.0, 12.0)
_TIME = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*(ms|s)", re.IGNORECASE)
_PERCENT = re.compile(r"([+-]?)([0-9]{1,4}(?:\.[0-9]{1,3})?)%")
_SEMITONES = re.compile(r"([+-]?[0-9]{1,2}(?:\.[0-9]{1,3})?)st")
_DECIBELS = re.compile(r"([+-]?[0-9]{1,2}(?:\.[0-9]{1,3})?)db", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_DEVANAGARI = re.compile(r"[\u0904-\u0939]")
"""Letters of Hindi, by which a voice that speaks English as well knows what it reads."""
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", ":", ";")


class Markup(Protocol):
    """An SSML element; `callflow.document.Node` is one."""

    @property
    def tag(self) -> str:
        """Return its name."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Return its attributes."""

    @property
    def content(self) -> Sequence[str | Markup]:
        """Return texts and elements inside, in order."""


def read_speech(content: Sequence[str | Markup], voice: str = "", language: str = "") -> Speech:
    """Return what is to be said; never raises, whatever the content is."""
    reader = _SpeechReader()
    named = named_voice(voice)
    if named.note:
        reader.note(named.note)
    wanted = language.strip()
    if wanted and not is_language(wanted):
        reader.note(f"language {wanted[:40]!r} is no language tag; {named.language or _DEFAULT_LANGUAGE} is used")
        wanted = ""
    own = named.language
    if named.also and (wanted.lower() == named.also.lower() or _DEVANAGARI.search(_text_in(content))):
        own = named.also
    if own and wanted and wanted.lower() not in (own.lower(), named.language.lower()):
        reader.note(f"voice {voice[:40]} speaks {own}; language {wanted} is ignored")
    style = Style(own or wanted or _DEFAULT_LANGUAGE, named.gender)
    reader.read(content, style)
    return Speech(reader.finish(), voice.strip()[:80] or "WOMAN", tuple(reader.notes))


class _SpeechReader:
    """Walks the content and collects passages."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._passages: list[Passage] = []
        self._run: list[str] = []
        self._style = Style()
        self._chars = 0
        self._paused_ms = 0
        self._is_pause_natural = False
        """Whether the pause after the last passage is the one of its punctuation."""

    def note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < _NOTES_MAX:
            self.notes.append(text)

    def read(self, content: Sequence[str | Markup], style: Style) -> None:
        for part in content:
            if isinstance(part, str):
                self._say(_decoded(part), style)
            else:
                self._element(part, style)

    def finish(self) -> tuple[Passage, ...]:
        ends_with_words = bool("".join(self._run).strip())
        self._flush(is_end=True)
        if ends_with_words:
            self._passages[-1] = replace(self._passages[-1], pause_ms=_LAST_PAUSE_MS)
        return tuple(self._passages)

    def _element(self, node: Markup, style: Style) -> None:
        # Some official SDKs name them after their classes: `Break`, `Prosody`.
        match node.tag.lower():
            case "break":
                self._pause(self._break_ms(node))
            case "p" | "s":
                # A sentence or paragraph ends what stood before it.
                self._flush(is_end=True)
                self.read(node.content, style)
                self._flush(is_end=True)
                if node.tag == "p" and self._passages:
                    self._pause(_PARAGRAPH_MS)
            case "emphasis":
                self.read(node.content, self._emphasised(node, style))
            case "prosody":
                self.read(node.content, self._prosody(node, style))
            case "lang":
                self.read(node.content, self._in_language(node, style))
            case "say-as":
                self._say_as(node, style)
            case "sub":
                alias = node.attributes.get("alias", "")
                self._say(f" {alias} ", style) if alias.strip() else self.read(node.content, style)
            case "phoneme":
                self._phoneme(node, style)
            case "speak" | "w" | "cont":
                self.read(node.content, style)
            case "mark":
                # It marks a place for programs and has no sound.
                pass
            case _:
                self.note(f"<{node.tag[:40]}> is not supported; its text is said")
                self.read(node.content, style)

    def _say(self, text: str, style: Style) -> None:
        room = TEXT_MAX_CHARS - self._chars
        if len(text) > room:
            self.note(f"text is longer than {TEXT_MAX_CHARS} characters; the rest is not said")
            text = text[:room]
        self._chars += len(text)
        if not text.strip():
            # White space between elements separates words and belongs to no style.
            if self._run and text:
                self._run.append(" ")
            return
        if style != self._style:
            self._flush()
            self._style = style
        self._run.append(_clean(text))

    def _say_as(self, node: Markup, style: Style) -> None:
        text = _text_of(node)
        way = node.attributes.get("interpret-as", "")
        said = said_as(text, way, style.language)
        if said is None:
            self.note(f"<say-as interpret-as={way[:40]!r}> is unknown; its text is said as it is")
            said = text
        self._say(f" {said} ", style)

    def _phoneme(self, node: Markup, style: Style) -> None:
        ph, alphabet = node.attributes.get("ph", ""), node.attributes.get("alphabet", "")
        is_english = style.language.lower().startswith("en")
        ipa = normalised(ph, alphabet) if is_english else ""
        if not ipa:
            what = f"<phoneme ph={ph[:40]!r}>" if is_english else f"<phoneme> in {style.language}"
            self.note(f"{what} is read from its text: English IPA or X-SAMPA is pronounced")
            self.read(node.content, style)
            return
        self._flush()
        self._chars += len(ipa)
        if self._chars > TEXT_MAX_CHARS:
            self.note(f"text is longer than {TEXT_MAX_CHARS} characters; the rest is not said")
            return
        self._passages.append(Passage(_text_of(node)[:_WORD_MAX_CHARS].strip() or ipa, style, 0, ipa))
        self._is_pause_natural = True

    def _flush(self, *, is_end: bool = False) -> None:
        """Turn the texts of one style into passages; at an end of a sentence with the pause that belongs there."""
        text, self._run = "".join(self._run), []
        if self._passages and self._passages[-1].phonemes and text.lstrip()[:1] in _MARKS:
            # The full stop behind a pronounced word is a pause.
            self._passages[-1] = replace(self._passages[-1], pause_ms=_MARK_PAUSE_MS)
            text = text.lstrip()[1:]
        pieces = split(text, is_start=not self._passages)
        for index, piece in enumerate(pieces):
            # A comma tells engines that the sentence goes on.
            goes_on = index < len(pieces) - 1 and piece.pause_ms == 0 and piece.text[-1].isalnum()
            said = f"{piece.text}," if goes_on else piece.text
            self._passages.append(Passage(said, self._style, piece.pause_ms))
            self._is_pause_natural = True
        if self._passages and text.strip() and not is_end and not text.rstrip().endswith(_SENTENCE_ENDS):
            self._passages[-1] = replace(self._passages[-1], pause_ms=0)

    def _pause(self, pause_ms: int) -> None:
        self._flush(is_end=True)
        pause_ms = min(pause_ms, PAUSES_MAX_MS - self._paused_ms)
        self._paused_ms += pause_ms
        if self._passages and self._is_pause_natural:
            # The natural pause is part of the one that was asked for.
            last = self._passages[-1]
            self._passages[-1] = replace(last, pause_ms=max(last.pause_ms, pause_ms))
            self._is_pause_natural = False
        elif pause_ms > 0:
            self._passages.append(Passage("", self._style, pause_ms))

    def _break_ms(self, node: Markup) -> int:
        time = node.attributes.get("time", "").strip()
        if time:
            match = _TIME.fullmatch(time)
            if match is None:
                self.note(f"<break time={time[:20]!r}> is no time such as 500ms or 2s; a medium pause is made")
                return _BREAKS["medium"]
            length_ms = int(float(match[1]) * (1 if match[2].lower() == "ms" else 1000))
            if length_ms > BREAK_MAX_MS:
                self.note(f"a break is at most {BREAK_MAX_MS // 1000} s")
            return min(length_ms, BREAK_MAX_MS)
        strength = node.attributes.get("strength", "medium").strip().lower()
        if strength not in _BREAKS:
            self.note(f"<break strength={strength[:20]!r}> is unknown; a medium pause is made")
        return _BREAKS.get(strength, _BREAKS["medium"])

    def _emphasised(self, node: Markup, style: Style) -> Style:
        level = node.attributes.get("level", "moderate").strip().lower()
        if level not in _EMPHASES:
            self.note(f"<emphasis level={level[:20]!r}> is unknown; moderate is used")
        rate, gain_db = _EMPHASES.get(level, _EMPHASES["moderate"])
        return replace(
            style, rate=_within(style.rate * rate, _RATE_RANGE), gain_db=_within(style.gain_db + gain_db, _GAIN_RANGE)
        )

    def _in_language(self, node: Markup, style: Style) -> Style:
        language = node.attributes.get("xml:lang", node.attributes.get("lang", "")).strip()
        if not is_language(language):
            self.note(f"<lang xml:lang={language[:40]!r}> is no language tag and is ignored")
            return style
        return replace(style, language=language)

    def _prosody(self, node: Markup, style: Style) -> Style:
        for name, value in node.attributes.items():
            text = value.strip().lower()
            match name:
                case "rate":
                    factor = _factor(text, _RATES)
                    if factor is not None:
                        style = replace(style, rate=_within(style.rate * factor, _RATE_RANGE))
                        continue
                case "pitch":
                    factor = _factor(text, _PITCHES)
                    if factor is not None:
                        style = replace(style, pitch=_within(style.pitch * factor, _PITCH_RANGE))
                        continue
                case "volume":
                    if text == "silent":
                        style = replace(style, is_muted=True)
                        continue
                    match_db = _DECIBELS.fullmatch(text)
                    gain_db = float(match_db[1]) if match_db else _VOLUMES.get(text)
                    if gain_db is not None:
                        style = replace(style, gain_db=_within(style.gain_db + gain_db, _GAIN_RANGE))
                        continue
                case _:
                    pass
            self.note(f"<prosody {name[:20]}={value[:20]!r}> is not understood and is ignored")
        return style


def _factor(text: str, names: Mapping[str, float]) -> float | None:
    """Return what a rate or pitch multiplies by: a name, `80%`, `+10%`, or `+2st`."""
    if text in names:
        return names[text]
    percent = _PERCENT.fullmatch(text)
    if percent is not None:
        value = float(percent[2]) / 100
        return {"": value, "+": 1 + value, "-": 1 - value}[percent[1]]
    semitones = _SEMITONES.fullmatch(text)
    if semitones is not None:
        factor: float = 2 ** (float(semitones[1]) / 12)
        return factor
    return None


def _within(value: float, bounds: tuple[float, float]) -> float:
    return round(min(max(value, bounds[0]), bounds[1]), 3)


def _text_of(node: Markup) -> str:
    return _text_in(node.content)


def _text_in(content: Sequence[str | Markup]) -> str:
    return "".join(_decoded(part) if isinstance(part, str) else _text_of(part) for part in content)


def _decoded(text: str) -> str:
    """Return the text with character references read once more.

    The official Ruby SDK writes an apostrophe as `&#39;`, that of PHP every letter beyond ASCII as a number, and both
    escape the `&` of it again: what arrives is a text with references in it.
    """
    return _REFERENCE.sub(lambda match: unescape(match[0]), text) if "&" in text else text


def _clean(text: str) -> str:
    """Return the text without signs that nobody can say: controls, surrogates, private and unassigned ones."""
    return "".join(letter if letter.isspace() or unicodedata.category(letter)[0] != "C" else " " for letter in text)
