"""Mutated headers: each is read or refused in a sentence, and takes no more memory than its file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf.parts import read_parts
from inference.importer.gguf.weights import GgufWeights
from tests.importer.gguf.gguf_files import GgufFile, llama_metadata, llama_tensors

ROUNDS = 1000
ALLOWANCE = 1 << 20
"""Bytes beside the file's: Python's own objects, and the chunk that is read at once."""
NUMBERS = (
    0,
    1,
    2,
    3,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0xFFFF,
    1 << 31,
    (1 << 32) - 1,
    1 << 40,
    1 << 62,
    (1 << 64) - 1,
)


def mutated(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Return the file with some changes: bytes, numbers, cuts, repetitions and insertions in its header."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(0, header))
        match int(rng.integers(0, 6)):
            case 0:
                data[place] = int(rng.integers(0, 256))
            case 1:
                width = int(rng.choice([1, 2, 4, 8]))
                number = int(NUMBERS[int(rng.integers(0, len(NUMBERS)))]) % (1 << 8 * width)
                data[place : place + width] = number.to_bytes(width, "little")
            case 2:
                del data[place:]
            case 3:
                del data[place : place + int(rng.integers(1, 40))]
            case 4:
                data[place:place] = data[place : place + int(rng.integers(1, 200))]
            case 5:
                data[place : place + 8] = rng.bytes(8)
        header = max(1, min(header, len(data)))
    return bytes(data)


def refusal(path: Path) -> str | None:
    """Read all tensors; return the message where the file is refused."""
    try:
        weights = GgufWeights(read_parts([path]))
        for name, rows in weights.rows.items():
            (weights.matrix if len(rows.tensor.shape) == 2 else weights.vector)(name)
    except ImporterError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_header_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    file = GgufFile(llama_metadata(), llama_tensors())
    content, header = file.content(), len(file.header())
    rng = np.random.default_rng(seed)
    path, messages = tmp_path / "m.gguf", []
    tracemalloc.start()
    try:
        for _ in range(ROUNDS // 4):
            path.write_bytes(mutated(content, header, rng))
            tracemalloc.reset_peak()
            messages.append(refusal(path))
            assert tracemalloc.get_traced_memory()[1] < len(content) + ALLOWANCE
    finally:
        tracemalloc.stop()
    refused = [message for message in messages if message is not None]
    assert len(refused) > len(messages) // 2
    assert all(message.isprintable() and message.endswith(".") for message in refused)
