"""The structure of image files, at the bounds and beyond them."""

import struct

import pytest

from inference.images.decode import decode_image
from inference.images.decode_guards import MAX_CHUNKS, MAX_SCANS, MAX_SEGMENTS, MAX_STRIPS, exceeded_bound
from tests.images.bombs import LONG, chunk, tiff_of, with_chunks, written


def jpeg_of(scans: int) -> bytes:
    data = written("JPEG")
    start = data.index(b"\xff\xda")
    return data[:start] + data[start:-2] * scans + data[-2:]


@pytest.mark.parametrize(("scans", "accepted"), [(1, True), (MAX_SCANS, True), (MAX_SCANS + 1, False)])
def test_jpegs_of_more_scans_than_the_bound_are_refused(scans: int, accepted: bool) -> None:
    assert (exceeded_bound(jpeg_of(scans), "JPEG") is None) is accepted


@pytest.mark.parametrize(("extra", "accepted"), [(0, True), (MAX_SEGMENTS - 20, True), (MAX_SEGMENTS, False)])
def test_jpegs_of_more_segments_than_the_bound_are_refused(extra: int, accepted: bool) -> None:
    data = written("JPEG")
    crafted = data[:2] + b"\xff\xfe\x00\x03x" * extra + data[2:]
    assert (exceeded_bound(crafted, "JPEG") is None) is accepted


def test_markers_inside_a_jpeg_segment_are_not_counted() -> None:
    """A thumbnail within the metadata has scans of its own."""
    data = written("JPEG")
    body = b"\xff\xda" * 200
    crafted = data[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + data[2:]
    assert exceeded_bound(crafted, "JPEG") is None
    assert decode_image(crafted, 10_000).shape == (16, 16, 3)


@pytest.mark.parametrize(("extra", "accepted"), [(0, True), (MAX_CHUNKS - 10, True), (MAX_CHUNKS, False)])
def test_pngs_of_more_chunks_than_the_bound_are_refused(extra: int, accepted: bool) -> None:
    crafted = with_chunks(chunk(b"aaAa", b"") * extra)
    assert (exceeded_bound(crafted, "PNG") is None) is accepted


@pytest.mark.parametrize(("strips", "accepted"), [(1, True), (MAX_STRIPS, True), (MAX_STRIPS + 1, False)])
@pytest.mark.parametrize("tag", [273, 279, 324, 325])
def test_tiffs_of_more_strips_than_the_bound_are_refused(tag: int, strips: int, accepted: bool) -> None:
    assert (exceeded_bound(tiff_of(4, 4, (tag, LONG, strips, 8)), "TIFF") is None) is accepted


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP"])
def test_whole_and_truncated_files_exceed_no_bound(name: str) -> None:
    data = written(name)
    for end in range(0, len(data), 7):
        assert exceeded_bound(data[:end], name) is None
    assert exceeded_bound(data, name) is None
