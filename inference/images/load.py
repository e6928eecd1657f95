"""The pictures of a request: fetched where they are not in it, measured before any is decoded, then decoded.

What is wrong is said of every picture at its place. Memory stays within what the settings allow: a request
holds no more bytes of files than its body may have, sent or fetched, and no more pixels than it may have
together, which is known before the first pixel is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from inference.api.validation import MOST_OFFENDERS, abridged
from inference.errors import InvalidInput, Location, Offender, RequestTooLarge
from inference.images.addresses import FetchRefused
from inference.images.decode import ImageError, ImageFile, data_of, is_data_url
from inference.images.fetch import Fetcher
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray

AT_ONCE = 4
"""So many of a request's pictures are fetched, or decoded, at the same time."""

Asked = tuple[Location, str]
"""Where a picture's URL stands, and the URL."""
Item = TypeVar("Item")
Result = TypeVar("Result")


async def read_images(asked: Sequence[Asked], settings: Settings) -> list[ImageArray]:
    """The pictures of these URLs, in their order. Raises `InvalidInput` and `RequestTooLarge`."""
    fetched = await _fetched([url for _, url in asked], settings)
    files = await asyncio.to_thread(_files, asked, fetched, settings)

    async def decode(file: ImageFile) -> ImageArray | ImageError:
        return await asyncio.to_thread(_decoded, file, settings)

    return _sound(asked, await _few_at_once(decode, files))


def _decoded(file: ImageFile, settings: Settings) -> ImageArray | ImageError:
    try:
        return file.decode(settings.max_image_pixels)
    except ImageError as error:
        return error


async def _fetched(urls: Sequence[str], settings: Settings) -> Mapping[str, bytes | FetchRefused]:
    """The files of the URLs that are no data URLs, each fetched once. Without allowed hosts none is."""
    wanted = [url for url in dict.fromkeys(urls) if not is_data_url(url)]
    if not wanted or not settings.image_hosts:
        return {}
    seconds = settings.image_seconds
    deadline = asyncio.get_running_loop().time() + seconds
    fetcher = Fetcher(
        settings.image_hosts, most=settings.max_image_bytes, most_together=settings.max_body_bytes
    )

    async def fetch(url: str) -> bytes | FetchRefused:
        try:
            async with asyncio.timeout_at(deadline):
                return await fetcher.fetch(url)
        except TimeoutError:
            return FetchRefused(f"The picture was not fetched within {seconds} seconds.")
        except FetchRefused as refused:
            return refused

    async with fetcher:
        return dict(zip(wanted, await _few_at_once(fetch, wanted), strict=True))


def _files(
    asked: Sequence[Asked], fetched: Mapping[str, bytes | FetchRefused], settings: Settings
) -> list[ImageFile]:
    """Every file's header, read. Raises `InvalidInput` that names all that cannot be, `RequestTooLarge`."""

    def opened(url: str) -> ImageFile | ValueError:
        file = fetched.get(url)
        if isinstance(file, FetchRefused):
            return file
        try:
            data = data_of(url) if file is None else file
            return ImageFile.open(data, settings.max_image_pixels, settings.max_image_bytes)
        except ImageError as error:
            return error

    files = _sound(asked, [opened(url) for _, url in asked])
    _limit_pixels(asked, files, settings.max_request_pixels)
    return files


def _sound(asked: Sequence[Asked], results: Sequence[Result | ValueError]) -> list[Result]:
    """The results, none of which is an error. Raises `InvalidInput` that names every picture with one."""
    offenders = [
        Offender(loc, abridged(url), str(result))
        for (loc, url), result in zip(asked, results, strict=True)
        if isinstance(result, ValueError)
    ]
    if offenders:
        raise InvalidInput(offenders[:MOST_OFFENDERS])
    return [result for result in results if not isinstance(result, ValueError)]


def _limit_pixels(asked: Sequence[Asked], files: Sequence[ImageFile], most: int) -> None:
    """A small body can hold many large pictures: what they take decoded is what must be bounded."""
    left = most
    for (loc, url), file in zip(asked, files, strict=True):
        left -= file.pixels
        if left < 0:
            message = f"the pictures have more than {most} pixels together"
            raise RequestTooLarge(message, offenders=[Offender(loc, abridged(url), message)])


async def _few_at_once(work: Callable[[Item], Awaitable[Result]], items: Sequence[Item]) -> list[Result]:
    """The work's results, in the items' order."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> Result:
        async with turns:
            return await work(item)

    return await asyncio.gather(*(one(item) for item in items))
