"""The images of a request: fetched where they are not in it, all measured, then all decoded.

Errors name every bad image at its location. Memory stays within the settings: a request holds no more bytes
of files than its body may have, sent or fetched, and no more pixels than it may have together, which is known
before the first pixel is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from inference.api.offenders import MOST_OFFENDERS, abridged
from inference.cancellation import within
from inference.errors import InvalidInput, Location, Offender, RequestTooLarge
from inference.images.addresses import FetchRefused
from inference.images.data_urls import data_url_bytes, is_data_url
from inference.images.decode import ImageFile
from inference.images.fetch import Fetcher
from inference.images.formats import ImageError
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray

CONCURRENCY = 4
"""Images of one request that are fetched, or decoded, at the same time."""

LocatedUrl = tuple[Location, str]
"""The location of an image's URL in the request, and the URL."""
Item = TypeVar("Item")
Result = TypeVar("Result")


async def read_images(urls: Sequence[LocatedUrl], settings: Settings) -> list[ImageArray]:
    """Return the images at these URLs, in order. Raises `InvalidInput` and `RequestTooLarge`."""
    fetched = await _fetch([url for _, url in urls], settings)
    files = await asyncio.to_thread(_open_files, urls, fetched, settings)

    async def decode(file: ImageFile) -> ImageArray | ImageError:
        return await asyncio.to_thread(_decode, file, settings)

    return _require_valid(urls, await _gather_limited(decode, files))


def _decode(file: ImageFile, settings: Settings) -> ImageArray | ImageError:
    try:
        return file.decode(settings.max_image_pixels)
    except ImageError as error:
        return error


async def _fetch(urls: Sequence[str], settings: Settings) -> Mapping[str, bytes | FetchRefused]:
    """Return the files of the URLs that are no data URLs, each fetched once; none without allowed hosts."""
    remote = [url for url in dict.fromkeys(urls) if not is_data_url(url)]
    if not remote or not settings.image_hosts:
        return {}
    seconds = settings.image_seconds
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    fetcher = Fetcher(
        settings.image_hosts, max_bytes=settings.max_image_bytes, max_total_bytes=settings.max_body_bytes
    )

    async def fetch(url: str) -> bytes | FetchRefused:
        try:
            return await within(deadline - loop.time(), fetcher.fetch(url))
        except TimeoutError:
            return FetchRefused(f"The image was not fetched within {seconds} seconds.")
        except FetchRefused as refused:
            return refused

    async with fetcher:
        return dict(zip(remote, await _gather_limited(fetch, remote), strict=True))


def _open_files(
    urls: Sequence[LocatedUrl], fetched: Mapping[str, bytes | FetchRefused], settings: Settings
) -> list[ImageFile]:
    """Read the header of every file.

    Raises:
        InvalidInput: Files that cannot be read, every one named.
        RequestTooLarge: More pixels than a request may have together.
    """

    def open_file(url: str) -> ImageFile | ValueError:
        file = fetched.get(url)
        if isinstance(file, FetchRefused):
            return file
        try:
            data = data_url_bytes(url) if file is None else file
            return ImageFile.open(data, settings.max_image_pixels, settings.max_image_bytes)
        except ImageError as error:
            return error

    files = _require_valid(urls, [open_file(url) for _, url in urls])
    _limit_pixels(urls, files, settings.max_request_pixels)
    return files


def _require_valid(urls: Sequence[LocatedUrl], results: Sequence[Result | ValueError]) -> list[Result]:
    """Return the results if none is an error. Raises `InvalidInput` that names every image with one."""
    offenders = [
        Offender(loc, abridged(url), str(result), "invalid_image")
        for (loc, url), result in zip(urls, results, strict=True)
        if isinstance(result, ValueError)
    ]
    if offenders:
        raise InvalidInput(offenders[:MOST_OFFENDERS])
    return [result for result in results if not isinstance(result, ValueError)]


def _limit_pixels(urls: Sequence[LocatedUrl], files: Sequence[ImageFile], max_pixels: int) -> None:
    """Bound the decoded size of all images: a small body can hold many large ones."""
    pixels_left = max_pixels
    for (loc, url), file in zip(urls, files, strict=True):
        pixels_left -= file.pixels
        if pixels_left < 0:
            message = f"the images have more than {max_pixels} pixels together"
            offender = Offender(loc, abridged(url), message, "image_too_large")
            raise RequestTooLarge(offender.sentence, offenders=[offender])


async def _gather_limited(work: Callable[[Item], Awaitable[Result]], items: Sequence[Item]) -> list[Result]:
    """Return the results of the work on each item, in order, `CONCURRENCY` items at a time."""
    semaphore = asyncio.Semaphore(CONCURRENCY)

    async def work_on(item: Item) -> Result:
        async with semaphore:
            return await work(item)

    return await asyncio.gather(*(work_on(item) for item in items))
