"""The header of a GGUF file: what is read, and what is refused in a sentence."""

from __future__ import annotations

import re
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf.header import GgufHeader, read_header
from inference.importer.gguf.tensor_types import F16, F32, Q4_0, Q6_K
from tests.importer.gguf.gguf_files import Field, GgufFile, Tensor, llama_metadata, llama_tensors, text

VALUES: dict[str | bytes, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.rope.freq_base": 10000.0,
    "general.flag": True,
    "wide": Field(10, "Q", 1 << 40),
    "negative": Field(11, "q", -5),
    "double": Field(12, "d", 0.1),
    "small": Field(0, "B", 200),
    "tokens": ["a", "", "日本", "b"],
    "types": [1, 2, 3],
    "scores": [0.5, -1.5],
}
ONE = Tensor.of("a", np.arange(8, dtype=np.float32))


def read(tmp_path: Path, file: GgufFile) -> GgufHeader:
    return read_header(file.write(tmp_path / "m.gguf"))


def refusal(tmp_path: Path, file: GgufFile | bytes) -> str:
    path = tmp_path / "m.gguf"
    path.write_bytes(file if isinstance(file, bytes) else file.content())
    with pytest.raises(ImporterError) as caught:
        read_header(path)
    return str(caught.value)


def test_every_type_of_value_is_read(tmp_path: Path) -> None:
    header = read(tmp_path, GgufFile(VALUES))
    assert header.architecture == "llama"
    assert header.key("block_count") == "llama.block_count"
    assert header.integer("llama.block_count") == 2
    assert header.number("llama.rope.freq_base") == 10000.0
    assert header.flag("general.flag") is True
    assert header.integer("wide") == 1 << 40
    assert header.integer("negative") == -5
    assert header.number("double") == 0.1
    assert header.integer("small") == 200
    tokens = header.strings("tokens")
    assert tokens is not None
    assert list(tokens) == ["a", "", "日本", "b"]
    assert (tokens[2], tokens[-1], tokens[1:3], len(tokens)) == ("日本", "b", ["", "日本"], 4)
    types, scores = header.numbers("types"), header.numbers("scores")
    assert types is not None
    assert scores is not None
    assert (types.tolist(), scores.tolist()) == ([1, 2, 3], [0.5, -1.5])


def test_missing_keys_are_none(tmp_path: Path) -> None:
    header = read(tmp_path, GgufFile())
    readers = (header.text, header.flag, header.integer, header.number, header.numbers, header.strings)
    assert [reader("none") for reader in readers] == [None] * 6
    assert header.architecture == ""


@pytest.mark.parametrize(
    ("reader", "key"),
    [
        ("text", "llama.block_count"),
        ("flag", "llama.block_count"),
        ("integer", "general.flag"),
        ("integer", "double"),
        ("number", "general.flag"),
        ("numbers", "tokens"),
        ("strings", "types"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_key(tmp_path: Path, reader: str, key: str) -> None:
    header = read(tmp_path, GgufFile(VALUES))
    with pytest.raises(ImporterError, match=f"another value in {key} than"):
        getattr(header, reader)(key)


def test_a_number_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    header = read(tmp_path, GgufFile({"factor": Field(6, "f", float("nan"))}))
    with pytest.raises(ImporterError, match="than a finite number"):
        header.number("factor")


def test_tensors_have_numpy_s_shapes_and_places_in_the_file(tmp_path: Path) -> None:
    rows = Tensor("rows", (2, 256), bytes(2 * 210), Q6_K)
    file = GgufFile({}, [ONE, rows])
    header = read(tmp_path, file)
    start = -(-len(file.header()) // 32) * 32
    first, second = header.tensors.values()
    assert (first.name, first.shape, first.type, first.offset, first.size) == ("a", (8,), F32, start, 32)
    assert (second.shape, second.type, second.offset, second.size) == ((2, 256), Q6_K, start + 32, 420)
    assert second.path == tmp_path / "m.gguf"


def test_alignment_is_the_metadata_s(tmp_path: Path) -> None:
    file = GgufFile({"general.alignment": 8}, [Tensor.of("b", [1.0, 2.0]), ONE])
    content = file.header()
    content += b"\0" * (-len(content) % 8)
    start = len(content)
    second = content.rindex(struct.pack("<Q", 32))
    content = content[:second] + struct.pack("<Q", 8) + content[second + 8 :] + bytes(8 + 32)
    (tmp_path / "m.gguf").write_bytes(content)
    offsets = [tensor.offset for tensor in read_header(tmp_path / "m.gguf").tensors.values()]
    assert offsets == [start, start + 8]


def test_an_empty_array_is_read_as_any_kind(tmp_path: Path) -> None:
    empty = Field(9, "IQ", 0)
    content = GgufFile({"a": 1}).header()
    content = content[: -len(struct.pack("<II", 4, 1))] + struct.pack("<IIQ", empty.kind, 5, 0)
    (tmp_path / "m.gguf").write_bytes(content)
    header = read_header(tmp_path / "m.gguf")
    strings, numbers = header.strings("a"), header.numbers("a")
    assert strings is not None
    assert numbers is not None
    assert (len(strings), len(numbers)) == (0, 0)


HUGE = 1 << 62
REFUSED: dict[str, tuple[GgufFile | bytes, str]] = {
    "empty": (b"", "m.gguf is empty"),
    "wrong magic": (b"PK\3\4" + bytes(60), r"is not a GGUF file: it begins with b'PK"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    "before gguf": (b"tjgg" + bytes(60), "a format of llama.cpp from before GGUF"),
    "big endian": (GgufFile(version=0x0300_0000), "is big endian"),
    "version 1": (GgufFile(version=1), "has GGUF version 1, which is older"),
    "version 2": (GgufFile(version=2), "has GGUF version 2, which is older"),
    "version 4": (GgufFile(version=4), "has GGUF version 4, which is newer"),
    "only a magic": (b"GGUF", "ends within the version"),
    "many tensors": (GgufFile(tensor_count=HUGE), "the tensors would be 4,611,686,018,427,387,904"),
    "many keys": (GgufFile(key_count=HUGE), "the keys would be 4,611,686,018,427,387,904"),
    "a few more tensors": (GgufFile({}, [ONE], tensor_count=2, cut=70), "the tensors would be 2"),
    "a key of huge size": (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, HUGE) + bytes(64), "the bytes of key 0"),
    "a string of huge size": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IQ", 8, HUGE),
        "the bytes of k would be",
    ),
    "an array of huge count": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 5, HUGE),
        "the elements of k would be",
    ),
    "strings of huge count": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, HUGE),
        "the strings of k would be",
    ),
    "an array of arrays": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 0),
        "k has a value of type 9",
    ),
    "an unknown type of value": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IQ", 77, 0),
        "k has a value of type 77, which GGUF does not have",
    ),
    "a key that is not UTF-8": (GgufFile({b"\xff\xfe": 1}), "key 0 is not UTF-8"),
    "a value that is not UTF-8": (GgufFile({"k": b"\xff"}), "k is not UTF-8"),
    "a token that is not UTF-8": (GgufFile({"k": ["a", b"\xc3"]}), "string 1 in k is not UTF-8"),
    "a name that is not UTF-8": (GgufFile({}, [Tensor(b"\xff", (1,), bytes(4))]), "of tensor 0 is not UTF-8"),
    "a letter that moves the cursor": (GgufFile({"a\x1b[2J": b"\xff"}), r"a\?\[2J is not UTF-8"),
    "an empty key": (GgufFile({"": 1}), "key 0 has 0 letters"),
    "a key twice": (GgufFile([("k", 1), ("k", 2)]), "it has the key k twice"),
    "a tensor twice": (GgufFile({}, [ONE, ONE]), "it has the tensor a twice"),
    "a long name": (GgufFile({}, [Tensor.of("n" * 64, [1.0])]), "longer than 63 bytes"),
    "no dimensions": (GgufFile({}, [Tensor("a", (), bytes(4))]), "the tensor a has 0 dimensions"),
    "five dimensions": (GgufFile({}, [Tensor("a", (1,) * 5, bytes(4))]), "the tensor a has 5 dimensions"),
    "a size of zero": (GgufFile({}, [Tensor("a", (0, 4), b"")]), r"the shape \[4, 0\], with nothing in it"),
    "a huge shape": (GgufFile({}, [Tensor("a", (HUGE, HUGE), bytes(32))]), "the tensor a would end at byte"),
    "a row of part of a block": (
        GgufFile({}, [Tensor("a", (2, 48), bytes(64), Q4_0)]),
        "the rows of a have 48 weights, no multiple of Q4_0's 32",
    ),
    "a type that is not read": (
        GgufFile({}, [Tensor("a", (256,), bytes(66), 16)]),
        "the tensor a of type IQ2_XXS, which is not read. .*Q4_K",
    ),
    "a type without a name": (GgufFile({}, [Tensor("a", (256,), bytes(66), 99)]), "type with the number 99"),
    "outside the file": (GgufFile({}, [Tensor.of("a", [1.0] * 8)], cut=90), "would end at byte"),
    "an offset outside the file": (
        GgufFile({}, [Tensor("a", (8,), bytes(32), offset=1 << 63)]),
        "the tensor a would end at byte",
    ),
    "not aligned": (GgufFile({}, [Tensor("a", (4,), bytes(64), offset=4)]), "not aligned to 32 bytes"),
    "overlapping": (
        GgufFile({}, [ONE, Tensor("b", (2, 8), bytes(64), F16, offset=0)]),
        "the tensors a and b overlap",
    ),
    "an odd alignment": (GgufFile({"general.alignment": 24}), "general.alignment is 24, not a power of two"),
    "an alignment in words": (GgufFile({"general.alignment": "many"}), "general.alignment is 'many'"),
    "an alignment of zero": (GgufFile({"general.alignment": 0}), "general.alignment is 0"),
}


@pytest.mark.parametrize(("file", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_file_is_refused_in_a_sentence(tmp_path: Path, file: GgufFile | bytes, reason: str) -> None:
    message = refusal(tmp_path, file)
    assert re.search(reason, message)
    assert message.isprintable()
    assert message.endswith(".")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImporterError, match=r"none.gguf cannot be read: No such file or directory"):
        read_header(tmp_path / "none.gguf")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = GgufFile(llama_metadata(), llama_tensors()).content()
    header = len(GgufFile(llama_metadata(), llama_tensors()).header())
    for end in (*range(0, header, 7), header, len(content) - 1):
        refusal(tmp_path, content[:end])


def test_a_vocabulary_takes_no_more_memory_than_the_file(tmp_path: Path) -> None:
    path = GgufFile({"tokens": [f"{index:03x}" for index in range(4096)] * 2}).write(tmp_path / "m.gguf")
    tracemalloc.start()
    try:
        header = read_header(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(header.metadata) == 1
    assert peak < path.stat().st_size
