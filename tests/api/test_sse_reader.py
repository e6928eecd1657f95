"""Events come out whole, however the bytes come in."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.backends.remote import response_events
from inference.backends.remote.response_events import EventReader
from inference.errors import UpstreamError


def read(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [data for piece in pieces for data in reader.feed(piece)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end(end: bytes) -> None:
    assert read(b"data: one" + end + end + b"data: two" + end + end) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data:tight\n\n", [b"tight"]),
        (b"data:  two spaces\n\n", [b" two spaces"]),
        (b": a comment\n\ndata: x\n\n", [b"x"]),
        (b"event: message\nid: 7\nretry: 1\ndata: x\n\n", [b"x"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"\xef\xbb\xbfdata: after a byte order mark\n\n", [b"after a byte order mark"]),
        (b"data\n\n", [b""]),
        (b"\n\n\n", []),
        (b"data: never ended", []),
        (b"data: never ended\n", []),
    ],
)
def test_what_the_standard_says(stream: bytes, events: list[bytes]) -> None:
    assert read(stream) == events


@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=5),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_cut_anywhere_it_is_the_same(texts: list[str], end: bytes, cuts: list[int]) -> None:
    bodies = [json.dumps({"text": text}, ensure_ascii=False).encode() for text in texts]
    stream = b"".join(b": beat" + end + end + b"data: " + body + end + end for body in bodies)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert read(*pieces) == bodies


def test_byte_by_byte() -> None:
    stream = 'data: {"é": "日本"}\r\n\r\ndata: [DONE]\r\n\r\n'.encode()
    assert read(*(stream[n : n + 1] for n in range(len(stream)))) == ['{"é": "日本"}'.encode(), b"[DONE]"]


def test_an_event_is_given_at_the_end_of_its_line_not_one_byte_later() -> None:
    assert read(b"data: x\r\r") == [b"x"]
    assert read(b"data: x\r\n\r") == [b"x"]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 90, b"data: xxxxxxx\n"])
def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    monkeypatch.setattr(response_events, "LARGEST", 200)
    with pytest.raises(UpstreamError):
        read(*[piece] * 100)
