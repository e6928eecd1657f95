"""The images of a request: fetched, measured and decoded, or refused at their locations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from inference.errors import InvalidInput, RequestTooLarge
from inference.images.load import CONCURRENCY, read_images
from inference.settings import Settings
from inference.settings.images import AllowedHost
from tests.http.pictures import data_url
from tests.images.hosting import IMAGE, Host, hosting


@pytest.fixture
def host() -> Iterator[Host]:
    with hosting() as host:
        yield host


def settings(host: Host, **changes: Any) -> Settings:
    return Settings(image_hosts=(AllowedHost.parse(host.url),), **changes)


def located(*urls: str) -> list[Any]:
    return [(("body", "input", index, "image"), url) for index, url in enumerate(urls)]


async def refusals(urls: list[Any], limits: Settings) -> dict[int, str]:
    """Return the messages by the index of the input."""
    with pytest.raises(InvalidInput) as error:
        await read_images(urls, limits)
    return {int(offender.loc[2]): offender.message for offender in error.value.offenders}


async def test_images_come_in_order_and_each_url_is_fetched_once(host: Host) -> None:
    fetched, colors = f"{host.url}/red.png", ("blue", "lime", "black", "white", "yellow", "navy")
    urls = [fetched, *(data_url(color) for color in colors), fetched]
    images = await read_images(located(*urls), settings(host))
    middles = [tuple(int(number) for number in image[4, 4]) for image in images]
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
    np.testing.assert_array_equal(images[0], images[-1])


async def test_every_bad_image_is_named_at_its_location(host: Host) -> None:
    urls = located(
        f"{host.url}/nowhere", data_url(), "data:,", "ftp://a", f"{host.url}/nowhere", data_url(edge=99)
    )
    messages = await refusals(urls, settings(host, max_image_pixels=5000))
    assert list(messages) == [0, 2, 3, 4, 5]
    assert messages[0] == messages[4] == "The host answered 404 instead of the file."


async def test_a_request_fetches_no_more_bytes_than_its_body_may_have(host: Host) -> None:
    urls = [f"{host.url}/red.png?{number}" for number in range(CONCURRENCY + 2)]
    enough = settings(host, max_body_bytes=len(urls) * len(IMAGE))
    assert len(await read_images(located(*urls), enough)) == len(urls)
    messages = await refusals(located(*urls), settings(host, max_body_bytes=2 * len(IMAGE)))
    assert len(messages) == len(urls) - 2
    assert set(messages.values()) == {"The images of this request are too large together to be fetched."}


@pytest.mark.parametrize("fetches", [False, True])
async def test_a_file_is_bounded_whether_sent_or_fetched(host: Host, fetches: bool) -> None:
    url = f"{host.url}/red.png" if fetches else data_url()
    assert await read_images(located(url), settings(host, max_image_bytes=len(IMAGE)))
    messages = await refusals(located(url), settings(host, max_image_bytes=len(IMAGE) - 1))
    assert f"{len(IMAGE) - 1}" in messages[0]


async def test_pixels_are_limited_together_before_any_image_is_decoded(host: Host) -> None:
    """The last file has no pixels, which only its decoding would reveal."""
    header = data_url(edge=30)[:120]
    urls = located(data_url(edge=30), data_url(edge=30), header)
    with pytest.raises(RequestTooLarge) as error:
        await read_images(urls, settings(host, max_request_pixels=2 * 900))
    assert error.value.offenders[0].loc == ("body", "input", 2, "image")
    assert list(await refusals(urls, settings(host, max_request_pixels=3 * 900))) == [2]


async def test_urls_are_refused_without_allowed_hosts(host: Host) -> None:
    messages = await refusals(located(f"{host.url}/red.png"), Settings())
    assert "data URLs only" in messages[0]
    assert host.received == []
