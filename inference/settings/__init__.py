"""The settings: one frozen object, made from environment variables.

A setting is a field made by `setting`: the name of its variable, the parser of the variable's text, the
default and the sentence that `docs/settings.md` prints. Each of `serving`, `connections`, `images`,
`content_safety` and `responses` has the fields of one subject; `Settings` inherits them all.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from inference.settings.locations import Container
from inference.settings.machine import MIB, available_memory
from inference.settings.responses import ResponseSettings
from inference.settings.setting import LOOPBACK, PROJECT, InvalidSetting

__all__ = ["LOOPBACK", "PROJECT", "Container", "InvalidSetting", "Settings"]

log = logging.getLogger(__name__)

PREFIX = "INFERENCE_"
"""The prefix of every setting's variable."""
MEMORY_SHARE = 0.75
"""Share of this process's memory for models; the rest is for the host, the app and its responses."""
KV_SHARE = 0.25
"""Share of the memory for models that one deployment's KV cache may take."""
MEMORY_UNKNOWN_MB = 1024
"""Memory for models, in MiB, where neither the machine nor a container names a limit."""
URL_QUERY = re.compile(r"\?[^,\s]*")
"""The query of a URL, which may be a shared access signature."""


@dataclass(frozen=True, slots=True)
class Settings(ResponseSettings):
    """Every setting of this process; the defaults where nothing is set."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Return the settings of an environment, by default of this process's.

        Blank variables count as absent; those whose names are no setting's are named in the log. Raises
        `InvalidSetting`.
        """
        variables = os.environ if environment is None else environment
        for sentence in unknown_variables(variables):
            log.warning("%s", sentence)
        return cls(**dict(_parsed(variables)))

    def __post_init__(self) -> None:
        """Replace the sizes that are 0 by what the machine allows."""
        if not self.memory_mb:
            _assign(self, "memory_mb", int(available_memory() * MEMORY_SHARE) // MIB or MEMORY_UNKNOWN_MB)
        if not self.kv_memory_mb:
            _assign(self, "kv_memory_mb", max(1, int(self.memory_mb * KV_SHARE)))


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence about each variable that looks like a setting and is none, with the nearest one."""
    known = [setting.metadata["variable"] for setting in fields(Settings)]
    unknown = sorted(name for name in environment if name.upper().startswith(PREFIX) and name not in known)
    return [f"{name} is not a setting and has no effect{_nearest(name, known)}." for name in unknown]


def _nearest(name: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(name.upper(), known, n=1)
    return f"; the nearest setting is {nearest[0]}" if nearest else ""


def _assign(settings: Settings, name: str, value: int) -> None:
    """Set a field of settings that are frozen."""
    object.__setattr__(settings, name, value)


def _parsed(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the field name and the value of each variable that is set."""
    for setting in fields(Settings):
        variable = setting.metadata["variable"]
        text = environment.get(variable, "")
        if not text.strip():
            continue
        try:
            yield setting.name, setting.metadata["parse"](text)
        except ValueError as error:
            shown = "not valid" if setting.metadata["secret"] else repr(URL_QUERY.sub("?...", text))
            raise InvalidSetting(f"{variable} is {shown}: {error}") from None
