"""Turns and silence: threads meet at barriers, nobody sleeps."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np

from inference.images.decode import ImageFile, decode_image
from inference.images.queue import DecodeQueue, StderrSilencer
from tests.images.bombs import written

PATIENCE = 30
"""Seconds; only a test that fails waits so long."""


def test_as_many_as_fit_are_inside_at_once() -> None:
    turns, inside = DecodeQueue(), Barrier(3)

    def take() -> None:
        with turns.of(3, 10):
            inside.wait(PATIENCE)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(take) for _ in range(3)]:
            done.result()


def test_who_does_not_fit_waits() -> None:
    turns, entered, let_go, order = DecodeQueue(), Event(), Event(), []

    def first() -> None:
        with turns.of(7, 10):
            entered.set()
            let_go.wait(PATIENCE)
            order.append("first")

    def second() -> None:
        with turns.of(4, 10):
            order.append("second")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        entered.wait(PATIENCE)
        two = pool.submit(second)
        let_go.set()
        one.result()
        two.result()
    assert order == ["first", "second"]


def test_nobody_passes_who_waits() -> None:
    """A small one that would fit comes after a large one that does not yet."""
    turns, entered, let_go, order = DecodeQueue(), Event(), Event(), []

    def hold() -> None:
        with turns.of(2, 10):
            entered.set()
            let_go.wait(PATIENCE)

    def take(pixels: int) -> None:
        with turns.of(pixels, 10):
            order.append(pixels)

    with ThreadPoolExecutor(3) as pool:
        holding = pool.submit(hold)
        entered.wait(PATIENCE)
        large = pool.submit(take, 10)
        while not turns.waiting:
            pass
        small = pool.submit(take, 1)
        while turns.waiting < 2:
            pass
        let_go.set()
        for done in (holding, large, small):
            done.result()
    assert order == [10, 1]


def test_a_larger_one_is_let_in_alone_and_a_failure_gives_its_turn_back() -> None:
    turns = DecodeQueue()
    for _ in range(2):
        try:
            with turns.of(100, 10):
                raise ValueError
        except ValueError:
            pass
    with turns.of(10, 10):
        pass


def test_warnings_are_silent_inside_and_as_before_outside() -> None:
    silence, inside = StderrSilencer(), Barrier(4)

    def warn() -> None:
        with silence:
            inside.wait(PATIENCE)
            warnings.warn("inside", stacklevel=1)
            inside.wait(PATIENCE)

    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(warn) for _ in range(4)]:
            done.result()
    assert list(warnings.filters) == before


def test_many_threads_decode_the_same() -> None:
    files = [written(name, 40) for name in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")] * 8
    alone = [decode_image(file, 10_000) for file in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda file: decode_image(file, 10_000), files))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_header_tells_the_size_before_the_pixels_are_decoded() -> None:
    file = ImageFile.open(written("PNG", 40), 10_000)
    assert (file.format, file.width, file.height, file.pixels) == ("PNG", 40, 40, 1600)
