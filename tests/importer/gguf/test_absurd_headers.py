"""Headers with counts that only a large file could hold, in large files with nothing in them."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf.header import read_header

SPARSE = 1 << 33
"""Bytes of a file that takes a page on the disk."""
ALLOWANCE = 1 << 20


def key(name: str) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode()


def header(tensors: int, keys: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (header(1 << 26, 0), "67,108,864 tensors"),
        (header(0, 1 << 26), "67,108,864 keys"),
        (header(0, 1) + struct.pack("<Q", 1 << 32), "key 0 would have 4,294,967,296 bytes"),
        (header(0, 1) + key("a") + struct.pack("<IQ", 8, 1 << 32), "a would have 4,294,967,296 bytes"),
        (header(0, 1) + key("a") + struct.pack("<IIQ", 9, 8, 1 << 29), "a would have 536,870,912 strings"),
        (
            header(0, 1) + key("a") + struct.pack("<IIQQ", 9, 8, 1, 1 << 32),
            "string 0 in a would have 4,294,967,296 bytes",
        ),
        (header(1, 0) + struct.pack("<Q", 1 << 31), "the name of tensor 0 would have 2,147,483,648 bytes"),
        (header(0, 1) + key("a") + struct.pack("<IIQ", 9, 4, 1 << 62), "the elements of a would be"),
    ],
)
def test_an_absurd_count_is_refused_before_memory_is_taken(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    os.truncate(path, SPARSE)
    tracemalloc.start()
    try:
        with pytest.raises(ImporterError, match=problem):
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < ALLOWANCE
    finally:
        tracemalloc.stop()


def test_a_long_array_of_numbers_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(header(0, 1) + key("a") + struct.pack("<IIQ", 9, 4, 1 << 30))
    os.truncate(path, SPARSE)
    tracemalloc.start()
    try:
        numbers = read_header(path).numbers("a")
        assert numbers is not None
        assert len(numbers) == 1 << 30
        assert tracemalloc.get_traced_memory()[1] < ALLOWANCE
    finally:
        tracemalloc.stop()
