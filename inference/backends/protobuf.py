"""Messages of a protobuf file, read from its bytes without a schema: fields by number, texts and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from typing import TypeAlias

VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5
"""Wire types of protobuf."""
MAX_VARINT = 10
"""Bytes of the longest number. Without a limit a file of one number of megabytes is read for hours."""

Value: TypeAlias = "int | Message"
"""The value of a field: a number, or the span of a text or an inner message."""


class Message:
    """A span of the file, whose fields are yielded by number."""

    __slots__ = ("_data", "_end", "_start")

    def __init__(self, data: mmap, start: int, end: int) -> None:
        self._data = data
        self._start = start
        self._end = end

    @property
    def text(self) -> str:
        return self._data[self._start : self._end].decode()

    def __iter__(self) -> Iterator[tuple[int, Value]]:
        """Yield numbers of fields and their values; fixed numbers are passed over.

        Raises `ValueError` for bytes that are no message, and `IndexError` where they end within one.
        """
        position, end = self._start, self._end
        while position < end:
            tag, position = self._varint(position)
            wire_type = tag & 7
            if wire_type == LENGTH:
                length, start = self._varint(position)
                position = start + length
                yield tag >> 3, Message(self._data, start, position)
            elif wire_type == VARINT:
                number, position = self._varint(position)
                yield tag >> 3, number
            elif wire_type in (FIXED_32, FIXED_64):
                position += 4 if wire_type == FIXED_32 else 8
            else:
                raise ValueError(f"wire type {wire_type} is none of protobuf's")
        if position > end:
            raise IndexError

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of a packed field. Raises as iterating does."""
        position = self._start
        while position < self._end:
            number, position = self._varint(position)
            yield number

    def _varint(self, start: int) -> tuple[int, int]:
        """Return the number at a position, and the position after it."""
        data, number = self._data, 0
        for index in range(MAX_VARINT):
            byte = data[start + index]
            number |= (byte & 127) << (7 * index)
            if byte < 128:
                return number, start + index + 1
        raise ValueError(f"a number has more than {MAX_VARINT} bytes")


def inner_messages(message: Message, *numbers: int) -> list[Message]:
    """Return the inner messages of some fields."""
    return [value for number, value in message if number in numbers and isinstance(value, Message)]


def first_number(message: Message, field: int) -> int:
    """Return the number in a field; 0, protobuf's default, where the message has none."""
    return next((value for number, value in message if number == field and isinstance(value, int)), 0)


def first_text(message: Message, field: int) -> str:
    """Return the text in a field; empty, protobuf's default, where the message has none."""
    return next((value.text for value in inner_messages(message, field)), "")
