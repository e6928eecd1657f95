"""The queue before the decoders and the silenced warnings: threads meet at barriers, and none sleeps."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np

from inference.images.decode import ImageFile, decode_image
from inference.images.decode_guards import DecodeQueue, WarningSilencer
from tests.images.bombs import written

TIMEOUT = 30
"""Seconds that only a failing test waits."""


def test_images_that_fit_together_are_admitted_at_once() -> None:
    queue, inside = DecodeQueue(), Barrier(3)

    def take() -> None:
        with queue.slot(3, 10):
            inside.wait(TIMEOUT)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(take) for _ in range(3)]:
            done.result()


def test_an_image_that_does_not_fit_waits() -> None:
    queue, entered, release, admitted = DecodeQueue(), Event(), Event(), []

    def first() -> None:
        with queue.slot(7, 10):
            entered.set()
            release.wait(TIMEOUT)
            admitted.append("first")

    def second() -> None:
        with queue.slot(4, 10):
            admitted.append("second")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        entered.wait(TIMEOUT)
        two = pool.submit(second)
        release.set()
        one.result()
        two.result()
    assert admitted == ["first", "second"]


def test_a_waiting_image_is_not_passed_by_a_smaller_one() -> None:
    """A small image that would fit comes after a large one that does not fit yet."""
    queue, entered, release, admitted = DecodeQueue(), Event(), Event(), []

    def hold() -> None:
        with queue.slot(2, 10):
            entered.set()
            release.wait(TIMEOUT)

    def take(pixels: int) -> None:
        with queue.slot(pixels, 10):
            admitted.append(pixels)

    with ThreadPoolExecutor(3) as pool:
        holding = pool.submit(hold)
        entered.wait(TIMEOUT)
        large = pool.submit(take, 10)
        while not queue.waiting:
            pass
        small = pool.submit(take, 1)
        while queue.waiting < 2:
            pass
        release.set()
        for done in (holding, large, small):
            done.result()
    assert admitted == [10, 1]


def test_an_oversized_image_is_admitted_alone_and_a_failure_frees_its_slot() -> None:
    queue = DecodeQueue()
    for _ in range(2):
        try:
            with queue.slot(100, 10):
                raise ValueError
        except ValueError:
            pass
    with queue.slot(10, 10):
        pass


def test_warnings_are_ignored_inside_and_filters_restored_outside() -> None:
    silencer, inside = WarningSilencer(), Barrier(4)

    def warn() -> None:
        with silencer:
            inside.wait(TIMEOUT)
            warnings.warn("inside", stacklevel=1)
            inside.wait(TIMEOUT)

    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(warn) for _ in range(4)]:
            done.result()
    assert list(warnings.filters) == before


def test_threads_decode_what_one_thread_decodes() -> None:
    files = [written(name, 40) for name in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")] * 8
    alone = [decode_image(file, 10_000) for file in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda file: decode_image(file, 10_000), files))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_header_gives_the_size_before_pixels_are_decoded() -> None:
    file = ImageFile.open(written("PNG", 40), 10_000)
    assert (file.format, file.width, file.height, file.pixels) == ("PNG", 40, 40, 1600)
