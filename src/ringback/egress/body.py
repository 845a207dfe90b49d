"""A reply's body as it arrives: inflated if need be, and never larger than allowed."""

from __future__ import annotations

import zlib

from ringback.egress.errors import ExchangeFailed, FailureClass, ResponseTooLarge

RATIO_MAX = 100
_RATIO_FREE_BYTES = 16_384
"""Output up to here is not judged by its ratio: small repetitive documents compress well."""
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class BodyReader:
    """Counts and inflates the chunks of one body.

    Args:
        encoding: Value of `Content-Encoding`; identity or gzip.
        max_bytes: Bound of the body as the caller sees it, after inflating.
        is_cut: Whether what lies beyond the bound is dropped instead of refused.
    Raises:
        ExchangeFailed: any other encoding.
    """

    def __init__(self, encoding: str, max_bytes: int, *, is_cut: bool = False) -> None:
        self._max_bytes = max_bytes
        self._is_cut = is_cut
        self._read_bytes = 0
        self._given_bytes = 0
        match encoding.strip().lower():
            case "" | "identity":
                self._inflater = None
            case "gzip" | "x-gzip":
                self._inflater = zlib.decompressobj(_GZIP_WINDOW)
            case other:
                raise ExchangeFailed(
                    f"content encoding {other[:40]!r} is not supported", FailureClass.ENCODING, hint="use gzip or none"
                )

    @property
    def is_full(self) -> bool:
        """Return whether a cut body needs no further chunk."""
        return self._is_cut and self._given_bytes >= self._max_bytes

    def feed(self, chunk: bytes) -> bytes:
        """Return what `chunk` adds to the body.

        Raises:
            ResponseTooLarge: the body exceeds its bound, or inflates more than a hundredfold.
            ExchangeFailed: the compressed data is broken.
        """
        self._read_bytes += len(chunk)
        room = self._max_bytes - self._given_bytes
        if self._inflater is not None:
            try:
                # One byte more than allowed is enough to know that there is too much.
                chunk = self._inflater.decompress(chunk, room + 1)
            except zlib.error:
                raise ExchangeFailed("gzip data is broken", FailureClass.ENCODING) from None
            given = self._given_bytes + len(chunk)
            if given > max(_RATIO_FREE_BYTES, self._read_bytes * RATIO_MAX):
                raise ResponseTooLarge(f"body inflates more than {RATIO_MAX} times")
        if len(chunk) > room:
            if not self._is_cut:
                raise ResponseTooLarge(f"body has more than {self._max_bytes} bytes", hint="send less")
            chunk = chunk[:room]
        self._given_bytes += len(chunk)
        return chunk

    def finish(self) -> None:
        """Accept the end of the body.

        Raises:
            ExchangeFailed: compressed data is incomplete.
        """
        if self._inflater is not None and self._read_bytes and not self._inflater.eof and not self._is_cut:
            raise ExchangeFailed("gzip data is incomplete", FailureClass.ENCODING)
