"""pocketsphinx: small, quick, American English; good at phrases that are expected, rough at anything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pocketsphinx import Decoder

from ringback.recognition.grammar import grammar_of, read_hypothesis, words_of
from ringback.recognition.worker.engine import Heard

_SEARCH = "said"
_ROUGH_CONFIDENCE = 0.3


class Sphinx:
    """A decoder for expected phrases, and one for free speech that is made when it is needed."""

    def __init__(self) -> None:
        self._decoder: Any = Decoder(lm=None, loglevel="FATAL")
        self._free: Any = None

    def recognize(self, pcm: bytes, language: str, hints: Sequence[str]) -> Heard:
        """Return what is said."""
        if not hints:
            self._free = self._free or Decoder(loglevel="FATAL")
            text = _decode(self._free, pcm)
            return Heard(text, _ROUGH_CONFIDENCE if text else 0.0)
        decoder = self._decoder
        grammar = grammar_of([words_of(hint) for hint in hints], lambda word: decoder.lookup_word(word) is not None)
        # A search of the same name replaces the one before.
        decoder.add_jsgf_string(_SEARCH, grammar)
        decoder.activate_search(_SEARCH)
        return Heard(*read_hypothesis(_decode(decoder, pcm), hints))


def _decode(decoder: Any, pcm: bytes) -> str:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return str(hypothesis.hypstr) if hypothesis is not None else ""
