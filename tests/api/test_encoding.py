import json
from base64 import b64decode

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from inference.api.encoding import ENCODERS, EncodingError, Row, encode, shorten, written
from inference.settings import PROJECT

Floats = NDArray[np.float32]

EXAMPLE = np.array([[0.6, -0.8, 0, 0, 0, 0, 0, 0]], np.float32)


def unit(rows: int, dimensions: int) -> Floats:
    vectors = np.random.default_rng(7).standard_normal((rows, dimensions)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def on_the_wire(rows: list[Row]) -> list[object]:
    return list(orjson.loads(orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)))


matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 6).map(lambda octets: octets * 8)),
    elements=st.floats(-1, 1, width=32),
)


@pytest.mark.parametrize(
    ("encoding_format", "row"),
    [
        ("float", [0.6, -0.8, 0, 0, 0, 0, 0, 0]),
        ("base64", "mpkZP83MTL8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("int8", [76, -102, 0, 0, 0, 0, 0, 0]),
        ("uint8", [204, 26, 128, 128, 128, 128, 128, 128]),
        ("ubinary", [128]),
        ("binary", [0]),
    ],
)
def test_the_documented_example(encoding_format: str, row: object) -> None:
    assert on_the_wire(encode(EXAMPLE, encoding_format)) == [row]
    shown = json.dumps(row)
    assert f"| `{encoding_format}` | `{shown}` |" in (PROJECT / "docs" / "embeddings.md").read_text("utf-8")


@pytest.mark.parametrize("encoding_format", ENCODERS)
def test_one_row_a_vector_in_order(encoding_format: str) -> None:
    vectors = unit(5, 16)
    alone = [on_the_wire(encode(row[None], encoding_format))[0] for row in vectors]
    assert on_the_wire(encode(vectors, encoding_format)) == alone


@settings(deadline=None)
@given(matrices)
def test_float_and_base64_lose_nothing(vectors: Floats) -> None:
    floats = np.array(on_the_wire(encode(vectors, "float")), np.float32)
    decoded = [np.frombuffer(b64decode(str(row)), "<f4") for row in encode(vectors, "base64")]
    np.testing.assert_array_equal(floats, vectors)
    np.testing.assert_array_equal(np.stack(decoded), vectors)


@settings(deadline=None)
@given(matrices)
def test_int8_is_within_half_a_step_and_uint8_is_128_more(vectors: Floats) -> None:
    signed = np.array(on_the_wire(encode(vectors, "int8")))
    unsigned = np.array(on_the_wire(encode(vectors, "uint8")))
    assert np.abs(signed - vectors.astype(np.float64) * 127).max() <= 0.5 + 1e-5
    np.testing.assert_array_equal(unsigned, signed + 128)


def test_int8_is_clipped_where_vectors_are_longer_than_one() -> None:
    vectors = np.array([[3.0, -3.0, 1.0, -1.0]], np.float32)
    assert on_the_wire(encode(vectors, "int8")) == [[127, -128, 127, -127]]
    assert on_the_wire(encode(vectors, "uint8")) == [[255, 0, 255, 1]]


@settings(deadline=None)
@given(matrices)
def test_bits_unpack_to_the_signs_and_binary_is_128_less(vectors: Floats) -> None:
    unsigned = np.array(on_the_wire(encode(vectors, "ubinary")))
    signed = np.array(on_the_wire(encode(vectors, "binary")))
    np.testing.assert_array_equal(np.unpackbits(unsigned.astype(np.uint8), axis=1) == 1, vectors > 0)
    np.testing.assert_array_equal(signed, unsigned - 128)


@pytest.mark.parametrize("encoding_format", ["binary", "ubinary"])
def test_bits_need_whole_bytes(encoding_format: str) -> None:
    with pytest.raises(EncodingError, match="12 numbers"):
        encode(unit(1, 12), encoding_format)


def test_an_unknown_format_is_named_with_the_known_ones() -> None:
    with pytest.raises(EncodingError, match="'hex' is none of float, base64, int8"):
        encode(EXAMPLE, "hex")


def test_rows_of_a_sliced_matrix_are_written() -> None:
    vectors = unit(3, 16)
    assert on_the_wire(encode(vectors[:, :8], "float")) == on_the_wire(encode(vectors[:, :8].copy(), "float"))


@pytest.mark.parametrize("encoding_format", ENCODERS)
def test_rows_written_one_by_one_are_the_same_bytes(encoding_format: str) -> None:
    rows = encode(unit(3, 16), encoding_format)
    together = orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)
    assert orjson.dumps(written(rows)) == together


def test_shorten_cuts_and_brings_back_to_length_one() -> None:
    shorter = shorten(unit(4, 16), 8)
    assert shorter.dtype == np.float32
    assert shorter.shape == (4, 8)
    np.testing.assert_allclose(np.linalg.norm(shorter, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(shorten(EXAMPLE, 1), [[1]])


def test_shorten_leaves_a_row_of_zeros_alone() -> None:
    np.testing.assert_array_equal(shorten(np.zeros((1, 8), np.float32), 4), np.zeros((1, 4)))


@pytest.mark.parametrize("dimensions", [0, -1, 9])
def test_shorten_refuses_what_is_not_there(dimensions: int) -> None:
    with pytest.raises(EncodingError, match=f"{dimensions} dimensions cannot be cut from 8"):
        shorten(EXAMPLE, dimensions)
