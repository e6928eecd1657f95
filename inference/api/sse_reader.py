"""Server-sent events as any server writes them: any line end, comments, pieces cut anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inference.errors import UpstreamError

LARGEST = 16 * 1024 * 1024
"""Bytes of one event; an endpoint that never ends one must not fill the memory."""
LINE_END = re.compile(rb"\r\n|\n|\r")
BOM = b"\xef\xbb\xbf"


class EventReader:
    """A reader of a stream that comes in pieces cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._started = False
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of every event that ends in this piece, in order. Raises `UpstreamError`."""
        for line in self._lines(piece):
            if line:
                self._take(line)
            elif self._data:
                data, self._data, self._size = b"\n".join(self._data), [], 0
                yield data

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        if self._after_cr and piece:
            # A line that ends with CR is complete at once; an LF that follows belongs to its end.
            piece, self._after_cr = piece.removeprefix(b"\n"), False
        *lines, self._rest = LINE_END.split(self._rest + piece)
        if piece.endswith(b"\r"):
            self._after_cr = True
        if len(self._rest) > LARGEST:
            raise UpstreamError("The endpoint sent an event of more than 16 MiB.")
        for line in lines:
            yield line if self._started else line.removeprefix(BOM)
            self._started = True

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name != b"data":
            return
        self._data.append(value.removeprefix(b" "))
        self._size += len(value)
        if self._size > LARGEST:
            raise UpstreamError("The endpoint sent an event of more than 16 MiB.")
