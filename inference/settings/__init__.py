"""Every setting, once: environment variables in, one frozen object out.

A setting is a field made by `setting`: its variable's name, how its text is read, its default and the
sentence that the documentation prints. `serving`, `pictures` and `content_safety` have the fields of one
subject each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from inference.settings.content_safety import ContentSafety
from inference.settings.setting import LOOPBACK, PROJECT, InvalidSetting

__all__ = ["LOOPBACK", "PROJECT", "InvalidSetting", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings(ContentSafety):
    """What the operator chose. Every field says which variable it comes from."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Reads every setting that is set and not blank. Raises `InvalidSetting`."""
        source = os.environ if environment is None else environment
        return cls(**dict(_read(source)))


def _read(source: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for setting in fields(Settings):
        variable = setting.metadata["variable"]
        text = source.get(variable, "")
        if not text.strip():
            continue
        try:
            yield setting.name, setting.metadata["read"](text)
        except ValueError as error:
            raise InvalidSetting(f"{variable} is {text!r}: {error}") from None
