"""A program that speaks by the library of espeak-ng; it takes the options that `Espeak` gives to the system's program.

It runs alone and imports nothing of Ringback: the library is GPL, and its process holds nothing else.
Usage: `espeak_program.py LIBRARY FOLDER -v VOICE -s WORDS_PER_MINUTE -b 1 -f TEXT -w WAV`
"""

from __future__ import annotations

import ctypes
import sys
import wave

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_RATE = 1
_CHARS_UTF8 = 1
_PHONEMES = 0x100
"""`[[…]]` in the text are phonemes; who calls has taken those of callers out."""
_END_PAUSE = 0x1000
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main(arguments: list[str]) -> int:
    """Speak one text; return 1 when the library does not load or does not know the voice."""
    library, folder = arguments[:2]
    options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
    with open(options["-f"], "rb") as file:
        text = file.read()
    espeak = ctypes.CDLL(library)
    rate_hz = espeak.espeak_Initialize(_SYNCHRONOUS, 0, folder.encode(), _DONT_EXIT)
    if rate_hz <= 0:
        sys.stderr.write("espeak-ng cannot be initialised\n")
        return 1
    pieces: list[bytes] = []

    def take(samples: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _CALLBACK(take)
    espeak.espeak_SetSynthCallback(callback)
    if espeak.espeak_SetVoiceByName(options["-v"].encode()) != 0:
        sys.stderr.write("unknown voice\n")
        return 1
    espeak.espeak_SetParameter(_RATE, int(options["-s"]), 0)
    size = ctypes.c_size_t(len(text) + 1)
    flags = _CHARS_UTF8 | _PHONEMES | _END_PAUSE
    if espeak.espeak_Synth(text, size, 0, 0, 0, flags, None, None) != 0:
        sys.stderr.write("synthesis failed\n")
        return 1
    espeak.espeak_Synchronize()
    with wave.open(options["-w"], "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate_hz)
        wav.writeframes(b"".join(pieces))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
