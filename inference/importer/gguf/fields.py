"""The fields of a GGUF header, read one after another with every size checked before memory is taken."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from inference.importer.findings import ImporterError

STRING, ARRAY = 8, 9
NUMBERS: Mapping[int, str] = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
"""Types of numbers by their number in a file, as numpy names them."""
LENGTH = 8
"""Bytes of a length or count."""
MAX_TEXT = 1 << 24
"""Bytes of a string; the longest templates have some hundred thousand. Its text can take four times these."""
MAX_STRINGS = 1 << 22
"""Strings of an array; the largest vocabularies have some hundred thousand tokens and merges."""
DAMAGED = "The file is damaged or was not downloaded whole: download it again."


@dataclass(frozen=True, slots=True)
class Strings(Sequence[str]):
    """An array of strings that stays in the file: a string is decoded when it is read.

    `ends` are the positions after each string; the first string begins after its length at `start`.
    A vocabulary as Python strings would take ten times its bytes.
    """

    data: mmap
    start: int
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        begin = int(self.ends[position - 1]) if position else self.start
        return self.data[begin + LENGTH : int(self.ends[position])].decode()

    def __iter__(self) -> Iterator[str]:
        begin = self.start
        for end in self.ends.tolist():
            yield self.data[begin + LENGTH : end].decode()
            begin = end


Value: TypeAlias = bool | int | float | str | Strings | NDArray[Any]
"""A value of the metadata; an array of numbers is a view of the file."""


@dataclass(slots=True)
class Fields:
    """A position in a header; reading moves it on."""

    data: mmap
    path: Path
    position: int = 0

    @property
    def name(self) -> str:
        return self.path.name

    def number(self, dtype: str, subject: str) -> int | float | bool:
        """Return the next number. Raises `ImporterError` at the end of the file."""
        size = np.dtype(dtype).itemsize
        begin = self.skip(size, subject)
        number: int | float | bool = np.frombuffer(self.data, dtype, 1, begin)[0].item()
        return number

    def count(self, subject: str, size: int) -> int:
        """Return the next count, of things with at least `size` bytes each.

        Raises `ImporterError` where the rest of the file cannot hold them.
        """
        begin = self.skip(LENGTH, subject)
        count: int = struct.unpack_from("<Q", self.data, begin)[0]
        if count * size > len(self.data) - self.position:
            self.damaged(f"{subject} would be {count:,}, more than the file has bytes for")
        return count

    def string(self, subject: str) -> str:
        """Return the next string. Raises `ImporterError` where it is longer than the file or not UTF-8."""
        size = self.count(f"the bytes of {subject}", 1)
        if size > MAX_TEXT:
            self.damaged(f"{subject} would have {size:,} bytes, and {MAX_TEXT:,} are read")
        begin = self.skip(size, subject)
        return self._decoded(begin, size, subject)

    def value(self, kind: int, subject: str) -> Value:
        """Return the next value of the metadata. Raises `ImporterError` for a type that GGUF has not."""
        if kind == STRING:
            return self.string(subject)
        if kind == ARRAY:
            return self._array(subject)
        return self.number(self._dtype(kind, subject), subject)

    def skip(self, size: int, subject: str) -> int:
        """Move on by `size` bytes and return the position before. Raises `ImporterError` at the end."""
        begin = self.position
        if size > len(self.data) - begin:
            self.damaged(f"it ends within {subject}")
        self.position = begin + size
        return begin

    def damaged(self, reason: str) -> NoReturn:
        """Raise the error for a header that is not whole."""
        raise ImporterError(f"{self.name} cannot be read: {printable(reason)}. {DAMAGED}")

    def _array(self, subject: str) -> Value:
        kind = int(self.number("<u4", subject))
        if kind == STRING:
            return self._strings(subject)
        dtype = self._dtype(kind, subject)
        count = self.count(f"the elements of {subject}", np.dtype(dtype).itemsize)
        begin = self.skip(count * np.dtype(dtype).itemsize, subject)
        return np.frombuffer(self.data, dtype, count, begin)

    def _strings(self, subject: str) -> Strings:
        count = self.count(f"the strings of {subject}", LENGTH)
        if count > MAX_STRINGS:
            self.damaged(f"{subject} would have {count:,} strings, and {MAX_STRINGS:,} are read")
        start, ends = self.position, np.empty(count, np.int64)
        for index in range(count):
            size = self.count(f"the bytes of string {index} in {subject}", 1)
            if size > MAX_TEXT:
                self.damaged(f"string {index} in {subject} would have {size:,} bytes")
            self._decoded(self.skip(size, subject), size, f"string {index} in {subject}")
            ends[index] = self.position
        return Strings(self.data, start, ends)

    def _dtype(self, kind: int, subject: str) -> str:
        if kind not in NUMBERS:
            self.damaged(f"{subject} has a value of type {kind}, which GGUF does not have")
        return NUMBERS[kind]

    def _decoded(self, begin: int, size: int, subject: str) -> str:
        try:
            return self.data[begin : begin + size].decode()
        except UnicodeDecodeError:
            self.damaged(f"{subject} is not UTF-8")


def printable(text: str) -> str:
    """Return a text for a message: letters that would move a terminal's cursor become question marks."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
