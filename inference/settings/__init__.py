"""Every setting, once: environment variables in, one frozen object out.

A setting is a field made by `setting`: its variable's name, how its text is read, its default and the
sentence that the documentation prints. `serving`, `pictures` and `content_safety` have the fields of one
subject each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from inference.settings.content_safety import ContentSafetySettings
from inference.settings.locations import Container
from inference.settings.machine import MIB, memory
from inference.settings.setting import LOOPBACK, PROJECT, InvalidSetting

__all__ = ["LOOPBACK", "PROJECT", "Container", "InvalidSetting", "Settings"]

MEMORY_SHARE = 0.75
"""Of the memory that this process can have, for models: the rest is the host's, the app's and answers'."""
KV_SHARE = 0.25
"""Of the memory for models, for one deployment's KV cache."""
MEMORY_UNKNOWN_MB = 1024
SIGNED = re.compile(r"\?[^,\s]*")
"""The query of an address: a shared access signature stands there."""


@dataclass(frozen=True, slots=True)
class Settings(ContentSafetySettings):
    """What the operator chose. Every field says which variable it comes from."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Reads every setting that is set and not blank. Raises `InvalidSetting`."""
        source = os.environ if environment is None else environment
        return cls(**dict(_read(source)))

    def __post_init__(self) -> None:
        """What is 0 for "from the machine" gets its number here, so that readers meet numbers only."""
        if not self.memory_mb:
            _settle(self, "memory_mb", int(memory() * MEMORY_SHARE) // MIB or MEMORY_UNKNOWN_MB)
        if not self.kv_memory_mb:
            _settle(self, "kv_memory_mb", max(1, int(self.memory_mb * KV_SHARE)))


def _settle(settings: Settings, name: str, value: int) -> None:
    object.__setattr__(settings, name, value)


def _read(source: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for setting in fields(Settings):
        variable = setting.metadata["variable"]
        text = source.get(variable, "")
        if not text.strip():
            continue
        try:
            yield setting.name, setting.metadata["read"](text)
        except ValueError as error:
            shown = "set" if setting.metadata["secret"] else repr(SIGNED.sub("?...", text))
            raise InvalidSetting(f"{variable} is {shown}: {error}") from None
