"""What a file may be made of, at the bounds and beyond."""

import struct

import pytest

from inference.images.bounds import CHUNKS, SCANS, SEGMENTS, STRIPS, excess
from inference.images.decode import decode_image
from tests.images.bombs import LONG, chunk, tiff_of, with_chunks, written


def jpeg_of(scans: int) -> bytes:
    data = written("JPEG")
    start = data.index(b"\xff\xda")
    return data[:start] + data[start:-2] * scans + data[-2:]


@pytest.mark.parametrize(("scans", "fine"), [(1, True), (SCANS, True), (SCANS + 1, False)])
def test_scans(scans: int, fine: bool) -> None:
    assert (excess(jpeg_of(scans), "JPEG") is None) is fine


@pytest.mark.parametrize(("more", "fine"), [(0, True), (SEGMENTS - 20, True), (SEGMENTS, False)])
def test_segments(more: int, fine: bool) -> None:
    data = written("JPEG")
    made = data[:2] + b"\xff\xfe\x00\x03x" * more + data[2:]
    assert (excess(made, "JPEG") is None) is fine


def test_of_segments_what_looks_like_a_scan_is_not_counted() -> None:
    """A thumbnail within the metadata has scans of its own."""
    data = written("JPEG")
    body = b"\xff\xda" * 200
    made = data[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + data[2:]
    assert excess(made, "JPEG") is None
    assert decode_image(made, 10_000).shape == (16, 16, 3)


@pytest.mark.parametrize(("more", "fine"), [(0, True), (CHUNKS - 10, True), (CHUNKS, False)])
def test_chunks(more: int, fine: bool) -> None:
    made = with_chunks(chunk(b"aaAa", b"") * more)
    assert (excess(made, "PNG") is None) is fine


@pytest.mark.parametrize(("strips", "fine"), [(1, True), (STRIPS, True), (STRIPS + 1, False)])
@pytest.mark.parametrize("tag", [273, 279, 324, 325])
def test_strips(tag: int, strips: int, fine: bool) -> None:
    assert (excess(tiff_of(4, 4, (tag, LONG, strips, 8)), "TIFF") is None) is fine


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP"])
def test_sound_and_cut_off_files_have_nothing_in_excess(name: str) -> None:
    data = written(name)
    for end in range(0, len(data), 7):
        assert excess(data[:end], name) is None
    assert excess(data, name) is None
