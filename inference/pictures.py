"""The pictures of a request: fetched where they are not in it, measured before any is decoded, then decoded.

What is wrong is said of every picture at its place. Memory stays within what the settings allow: a request
holds no more bytes of files than its body may have, sent or fetched, and no more pixels than it may have
together, which is known before the first pixel is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from inference.errors import InvalidInput, Location, Offender, RequestTooLarge
from inference.fetching.fetcher import Fetcher
from inference.fetching.refused import FetchRefused
from inference.prompt.media import MediaError, PictureFile, data_of
from inference.settings import Settings
from inference.wire.request import MOST_OFFENDERS, abridged

if TYPE_CHECKING:
    from inference.contracts import Picture

AT_ONCE = 4
"""So many of a request's pictures are fetched, or decoded, at the same time."""

Asked = tuple[Location, str]
"""Where a picture's URL stands, and the URL."""
Result = TypeVar("Result")


async def read_pictures(asked: Sequence[Asked], settings: Settings) -> list[Picture]:
    """The pictures of these URLs, in their order. Raises `InvalidInput` and `RequestTooLarge`."""
    fetched = await _fetched(asked, settings)
    files = await asyncio.to_thread(_files, asked, fetched, settings)
    _limit_pixels(asked, files, settings.max_request_pixels)

    async def decode(index: int) -> Picture:
        return await asyncio.to_thread(files[index].decode, settings.max_image_pixels)

    return await _each(asked, range(len(asked)), decode)


async def _fetched(asked: Sequence[Asked], settings: Settings) -> dict[int, bytes]:
    """The files of the URLs that are no data URLs, by index. Without allowed hosts nothing is fetched."""
    places = [index for index, (_, url) in enumerate(asked) if not _holds_data(url)]
    if not places or not settings.image_hosts:
        return {}
    seconds = settings.image_seconds
    deadline = asyncio.get_running_loop().time() + seconds
    fetcher = Fetcher(
        settings.image_hosts, most=settings.max_image_bytes, most_together=settings.max_body_bytes
    )

    async def fetch(index: int) -> bytes:
        try:
            async with asyncio.timeout_at(deadline):
                return await fetcher.fetch(asked[index][1])
        except TimeoutError:
            raise FetchRefused(f"The picture was not fetched within {seconds} seconds.") from None

    async with fetcher:
        return dict(zip(places, await _each(asked, places, fetch), strict=True))


def _files(asked: Sequence[Asked], fetched: dict[int, bytes], settings: Settings) -> list[PictureFile]:
    """Every file's header, read. Raises `InvalidInput` that names all that cannot be read."""
    files, offenders = [], []
    for index, (loc, url) in enumerate(asked):
        try:
            data = fetched[index] if index in fetched else data_of(url)
            files.append(PictureFile.open(data, settings.max_image_pixels, settings.max_image_bytes))
        except MediaError as error:
            offenders.append(Offender(loc, abridged(url), str(error)))
    if offenders:
        raise InvalidInput(offenders[:MOST_OFFENDERS])
    return files


def _limit_pixels(asked: Sequence[Asked], files: Sequence[PictureFile], most: int) -> None:
    """A small body can hold many large pictures: what they take decoded is what must be bounded."""
    left = most
    for (loc, url), file in zip(asked, files, strict=True):
        left -= file.pixels
        if left < 0:
            message = f"the pictures have more than {most} pixels together"
            raise RequestTooLarge(message, offenders=[Offender(loc, abridged(url), message)])


async def _each(
    asked: Sequence[Asked], indexes: Sequence[int], work: Callable[[int], Awaitable[Result]]
) -> list[Result]:
    """The work's results, a few at a time. Raises `InvalidInput` that names every picture it failed on."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> Result | Offender:
        loc, url = asked[index]
        async with turns:
            try:
                return await work(index)
            except (MediaError, FetchRefused) as error:
                return Offender(loc, abridged(url), str(error))

    done = await asyncio.gather(*(one(index) for index in indexes))
    if offenders := [result for result in done if isinstance(result, Offender)]:
        raise InvalidInput(offenders[:MOST_OFFENDERS])
    return [result for result in done if not isinstance(result, Offender)]


def _holds_data(url: str) -> bool:
    return url[:5].lower() == "data:"
