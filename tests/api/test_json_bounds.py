"""The structure of a body is counted before it is parsed."""

import pytest

from inference.api import validation
from inference.api.validation import check_structure
from inference.errors import InvalidJson, RequestTooLarge


def refusal_of(body: bytes) -> str:
    with pytest.raises(RequestTooLarge) as refused:
        check_structure(body)
    return refused.value.message


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"[" + b"[]," * 50_000 + b"[]]", "50002 arrays and objects"),
        (b"[" + b"{}," * 50_000 + b"{}]", "50002 arrays and objects"),
        (b"{" + b",".join([b'"a":1'] * 100_001) + b"}", "100001 keys"),
        (b"[" + b"1," * 300_001 + b"1]", "300001 items"),
        (b"[" + b'"",' * 200_001 + b"1]", "200001 strings"),
        (b'"' + rb"\n" * 4_000_001 + b'"', "4000001 backslashes"),
        (b" " * (8 * 2**20 + 1) + b"1", f"{8 * 2**20 + 2} bytes outside strings"),
        ('"' + "é" * (4 * 2**20 + 1) + '"', f"{8 * 2**20 + 2} characters beyond ASCII, in bytes,"),
    ],
)
def test_a_body_beyond_a_bound_is_too_large(body: bytes | str, found: str) -> None:
    content = body if isinstance(body, bytes) else body.encode()
    assert refusal_of(content).startswith(f"The body has {found}, this endpoint takes at most ")


def test_the_text_of_strings_is_not_counted_as_structure() -> None:
    text = rb"[{:,\"[\\" * 60_000
    check_structure(b'{"messages": [{"role": "user", "content": "' + text + b'"}]}')


def test_a_string_that_ends_in_an_escaped_backslash_ends_there() -> None:
    bare = validation._outside_strings(rb'{"a": "\\", "b\"": ["\\\"[", 1]}')
    assert bare == b"{: , : [, 1]}"


def test_many_arrays_without_an_end_are_no_json() -> None:
    with pytest.raises(InvalidJson, match="not every array and object has an end"):
        check_structure(b"[" * 50_001)


def test_thirty_mebibytes_of_base64_are_within_the_bounds() -> None:
    check_structure(b'{"input": [{"image": "data:image/png;base64,' + b"A" * (30 * 2**20) + b'"}]}')
