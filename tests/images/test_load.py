"""The pictures of a request: fetched, measured, decoded, and what is said of those that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from inference.errors import InvalidInput, RequestTooLarge
from inference.images.load import AT_ONCE, read_images
from inference.settings import Settings
from inference.settings.images import AllowedHost
from tests.http.pictures import data_url
from tests.images.hosting import PICTURE, Host, hosting


@pytest.fixture
def host() -> Iterator[Host]:
    with hosting() as host:
        yield host


def settings(host: Host, **changes: Any) -> Settings:
    return Settings(image_hosts=(AllowedHost.read(host.url),), **changes)


def asked(*urls: str) -> list[Any]:
    return [(("body", "input", index, "image"), url) for index, url in enumerate(urls)]


async def refused(urls: list[Any], chosen: Settings) -> dict[int, str]:
    """The sentences by the input's index."""
    with pytest.raises(InvalidInput) as error:
        await read_images(urls, chosen)
    return {int(offender.loc[2]): offender.message for offender in error.value.offenders}


async def test_sent_and_fetched_in_their_order_and_each_url_fetched_once(host: Host) -> None:
    fetched, colors = f"{host.url}/red.png", ("blue", "lime", "black", "white", "yellow", "navy")
    urls = [fetched, *(data_url(color) for color in colors), fetched]
    pictures = await read_images(asked(*urls), settings(host))
    middles = [tuple(int(number) for number in picture[4, 4]) for picture in pictures]
    blue, lime, black, white, yellow, navy = (
        (0, 0, 255),
        (0, 255, 0),
        (0, 0, 0),
        (255, 255, 255),
        (255, 255, 0),
        (0, 0, 128),
    )
    assert middles == [(255, 0, 0), blue, lime, black, white, yellow, navy, (255, 0, 0)]
    assert host.paths == ["/red.png"]
    np.testing.assert_array_equal(pictures[0], pictures[-1])


async def test_all_that_is_wrong_is_said_at_its_place(host: Host) -> None:
    urls = asked(
        f"{host.url}/nowhere", data_url(), "data:,", "ftp://a", f"{host.url}/nowhere", data_url(edge=99)
    )
    said = await refused(urls, settings(host, max_image_pixels=5000))
    assert list(said) == [0, 2, 3, 4, 5]
    assert said[0] == said[4] == "The host answered 404 instead of the file."


async def test_one_request_fetches_no_more_bytes_than_its_body_may_have(host: Host) -> None:
    urls = [f"{host.url}/red.png?{number}" for number in range(AT_ONCE + 2)]
    enough = settings(host, max_body_bytes=len(urls) * len(PICTURE))
    assert len(await read_images(asked(*urls), enough)) == len(urls)
    said = await refused(asked(*urls), settings(host, max_body_bytes=2 * len(PICTURE)))
    assert len(said) == len(urls) - 2
    assert set(said.values()) == {"The pictures of this request are too large together to be fetched."}


@pytest.mark.parametrize("fetches", [False, True])
async def test_a_file_is_bounded_whether_sent_or_fetched(host: Host, fetches: bool) -> None:
    url = f"{host.url}/red.png" if fetches else data_url()
    assert await read_images(asked(url), settings(host, max_image_bytes=len(PICTURE)))
    said = await refused(asked(url), settings(host, max_image_bytes=len(PICTURE) - 1))
    assert f"{len(PICTURE) - 1}" in said[0]


async def test_together_pixels_are_judged_before_any_is_decoded(host: Host) -> None:
    """The last file holds no pixels, which nobody finds out."""
    header = data_url(edge=30)[:120]
    urls = asked(data_url(edge=30), data_url(edge=30), header)
    with pytest.raises(RequestTooLarge) as error:
        await read_images(urls, settings(host, max_request_pixels=2 * 900))
    assert error.value.offenders[0].loc == ("body", "input", 2, "image")
    assert list(await refused(urls, settings(host, max_request_pixels=3 * 900))) == [2]


async def test_without_hosts_urls_are_refused_and_nobody_is_asked(host: Host) -> None:
    said = await refused(asked(f"{host.url}/red.png"), Settings())
    assert "data URLs only" in said[0]
    assert host.asked == []
