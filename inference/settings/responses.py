"""The settings of the Responses API's store: its place, and how much it keeps for how long."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from inference.settings.content_safety import ContentSafetySettings
from inference.settings.locations import Container, Location, is_url
from inference.settings.setting import at_least, path, setting

OFF = "off"
MEMORY = "memory"
FILE = "responses.sqlite3"
"""The file in INFERENCE_CACHE's folder that responses are kept in where nothing else is set."""
AZURE_VARIABLES = ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME", "CONTAINER_APP_NAME")
"""Variables that Azure Functions, App Service and Container Apps set in every instance."""
LONGEST_DAYS = 36_500

ResponsePlace: TypeAlias = Location | str
"""A file, a blob container, or one of the words `off` and `memory`."""


def place_of(text: str) -> ResponsePlace:
    """Return the place of a text: `off`, `memory`, a file, or a container's URL. Raises `ValueError`."""
    word = text.strip().lower()
    if word in (OFF, MEMORY):
        return word
    if is_url(text):
        return Container.parse(text)
    place = path(text)
    if place.is_dir():
        raise ValueError(
            f"expected off, memory, a file or a container's URL, and {place} is a folder: name a file in it"
        )
    return place


def days(text: str) -> int:
    """Return a whole number of days, of at least 1. Raises `ValueError`."""
    number = at_least(1)(text)
    if number > LONGEST_DAYS:
        raise ValueError(f"expected at most {LONGEST_DAYS} days")
    return number


def runs_on_azure(environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if this process is one of the instances of an app on Azure, whose disks end with them."""
    return any(environment.get(name) for name in AZURE_VARIABLES)


@dataclass(frozen=True, slots=True)
class ResponseSettings(ContentSafetySettings):
    """The settings of the responses that are kept."""

    responses: ResponsePlace | None = setting(  # noqa: RUF009  places are frozen
        "INFERENCE_RESPONSES",
        place_of,
        None,
        "Where responses of the Responses API are kept with their prompts, so that a later request can "
        "continue, fetch or delete them: `off` (nothing is kept), `memory` (of this process), a file "
        "(SQLite; processes of one machine may share it), or a blob container "
        "(`https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX`, by its own SAS, INFERENCE_STORAGE_KEY or "
        "the app's identity), which all instances share. Default: `responses.sqlite3` in the folder of "
        "INFERENCE_CACHE; `off` on Azure, where the disk of an instance ends with it, and where that folder "
        "cannot be written.",
    )
    responses_days: int = setting(
        "INFERENCE_RESPONSES_DAYS",
        days,
        30,
        "Days for which responses are kept.",
    )
    responses_max_bytes: int = setting(
        "INFERENCE_RESPONSES_MAX_BYTES",
        at_least(1024),
        1024 * 1024,
        "The largest conversation that is kept, in bytes, the images in it included; larger ones are refused "
        "with 413 unless they say `store: false`.",
    )

    @property
    def response_place(self) -> ResponsePlace:
        """The place of responses, the default one where none is set."""
        if self.responses is not None:
            return self.responses
        return OFF if runs_on_azure() else self.cache_folder / FILE
