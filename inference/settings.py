"""Every setting, once: environment variables in, one frozen object out.

A setting is a field of `Settings` made by `_setting`: its variable's name, how its text is read, its default
and the sentence that the documentation prints.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds `function_app.py` and the starter deployments in `models/`."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that may be asked over plain http: nobody stands between."""


class InvalidSetting(ValueError):
    """A variable holds text that cannot be read; the message names the variable and the text."""


def _setting(
    variable: str, read: Callable[[str], Any], default: Any, meaning: str, *, secret: bool = False
) -> Any:
    metadata = {"variable": variable, "read": read, "meaning": meaning}
    return field(default=default, metadata=metadata, repr=not secret)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _folders(text: str) -> tuple[Path, ...]:
    return tuple((PROJECT / Path(name).expanduser()).resolve() for name in _names(text))


def _flag(text: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.strip().lower() not in words:
        raise ValueError("expected true or false")
    return words[text.strip().lower()]


def _tenant(text: str) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise ValueError("expected a tenant's id, such as 00000000-0000-0000-0000-000000000000") from None


def _authority(text: str) -> str:
    parts = urlsplit(text.strip())
    trusted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (trusted and parts.hostname) or parts.query or parts.fragment or parts.username:
        raise ValueError("expected https://HOST; http:// only for localhost, 127.0.0.1 and [::1]")
    return text.strip().rstrip("/")


def _at_least(minimum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise ValueError(f"expected a whole number from {minimum}")
        return number

    return read


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator chose. Every field says which variable it comes from."""

    models: tuple[Path, ...] = _setting(
        "INFERENCE_MODELS",
        _folders,
        (PROJECT / "models",),
        "Folders, separated by commas, that hold deployments; relative ones start at the project.",
    )
    defaults: tuple[str, ...] = _setting(
        "INFERENCE_DEFAULT_DEPLOYMENTS",
        _names,
        (),
        "Deployments, separated by commas, that answer when a request names none: per route the first that "
        "serves it.",
    )
    api_keys: tuple[str, ...] = _setting(
        "INFERENCE_API_KEYS",
        _names,
        (),
        "Keys, separated by commas; a request must carry one in `api-key` or `Authorization: Bearer`.",
        secret=True,
    )
    anonymous: bool = _setting(
        "INFERENCE_ANONYMOUS",
        _flag,
        False,
        "Answer without any key or token although the endpoint may be reached from other machines.",
    )
    entra_tenant: str = _setting(
        "INFERENCE_ENTRA_TENANT",
        _tenant,
        "",
        "Id of the Microsoft Entra tenant whose access tokens are accepted beside keys; without it no token "
        "is.",
    )
    entra_audiences: tuple[str, ...] = _setting(
        "INFERENCE_ENTRA_AUDIENCES",
        _names,
        ("https://ml.azure.com", "https://cognitiveservices.azure.com", "https://ai.azure.com"),
        "Audiences, separated by commas, one of which a token must be for; a slash at the end makes no "
        "difference.",
    )
    entra_authority: str = _setting(
        "INFERENCE_ENTRA_AUTHORITY",
        _authority,
        "https://login.microsoftonline.com",
        "Where the tenant's tokens come from; sovereign clouds have other hosts.",
    )
    entra_roles: tuple[str, ...] = _setting(
        "INFERENCE_ENTRA_ROLES",
        _names,
        (),
        "App roles, separated by commas, one of which a token must carry; without any, every token of the "
        "tenant for an audience will do.",
    )
    require_api_version: bool = _setting(
        "INFERENCE_REQUIRE_API_VERSION",
        _flag,
        False,
        "Refuse a request without `api-version` on the native routes instead of serving 2024-05-01-preview.",
    )
    max_body_bytes: int = _setting(
        "INFERENCE_MAX_BODY_BYTES", _at_least(1), 32 * 1024 * 1024, "The largest request body, in bytes."
    )
    max_messages: int = _setting(
        "INFERENCE_MAX_MESSAGES", _at_least(1), 2048, "The most messages of one conversation."
    )
    max_tools: int = _setting("INFERENCE_MAX_TOOLS", _at_least(1), 128, "The most tools offered at once.")
    max_text_characters: int = _setting(
        "INFERENCE_MAX_TEXT_CHARACTERS",
        _at_least(1),
        1_000_000,
        "The most characters that are tokenised for one request: a rendered prompt, or all inputs together.",
    )
    max_inputs: int = _setting(
        "INFERENCE_MAX_INPUTS",
        _at_least(1),
        2048,
        "The most inputs of one embeddings request.",
    )
    max_image_pixels: int = _setting(
        "INFERENCE_MAX_IMAGE_PIXELS", _at_least(1), 24_000_000, "The largest picture, in pixels."
    )
    max_request_pixels: int = _setting(
        "INFERENCE_MAX_REQUEST_PIXELS",
        _at_least(1),
        96_000_000,
        "The most pixels of all pictures of one request together.",
    )
    max_tokens: int = _setting(
        "INFERENCE_MAX_TOKENS",
        _at_least(1),
        4096,
        "The most tokens an answer gets when the request sets no `max_tokens`; the context may leave fewer.",
    )
    max_choices: int = _setting(
        "INFERENCE_MAX_CHOICES", _at_least(1), 32, "The most choices (`n` times prompts) of one generation."
    )
    slots: int = _setting(
        "INFERENCE_SLOTS", _at_least(1), 8, "How many sequences a generating deployment decodes at once."
    )
    queue_limit: int = _setting(
        "INFERENCE_QUEUE_LIMIT",
        _at_least(1),
        64,
        "How many sequences (of an embedding model: requests) may wait before more are refused with 429.",
    )
    kv_memory_mb: int = _setting(
        "INFERENCE_KV_MEMORY_MB",
        _at_least(1),
        512,
        "The most memory, in MiB, that a deployment's KV cache may take; fewer slots are opened to keep it.",
    )
    threads: int = _setting(
        "INFERENCE_THREADS",
        _at_least(0),
        0,
        "Threads of each inference session; 0 takes the processors this process may use.",
    )
    providers: tuple[str, ...] = _setting(
        "INFERENCE_PROVIDERS",
        _names,
        ("CPUExecutionProvider",),
        "Execution providers of onnxruntime, separated by commas, in the order they are tried; each must be "
        "one that the installed onnxruntime has.",
    )
    heartbeat_seconds: int = _setting(
        "INFERENCE_HEARTBEAT_SECONDS",
        _at_least(1),
        15,
        "A stream with nothing to say for so long sends an empty delta, so that no proxy gives it up.",
    )
    load_seconds: int = _setting(
        "INFERENCE_LOAD_SECONDS",
        _at_least(1),
        30,
        "How long a request waits for its model to load before it is told to come back (503).",
    )

    @property
    def locked(self) -> bool:
        """Whether there is anything that a caller could show."""
        return bool(self.api_keys or self.entra_tenant)

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


def settings_page() -> str:
    """The reference page of the settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "Environment variables, or `Values` of `local.settings.json`. This page is written by",
        "`python -m inference documents`.",
        "",
        "| variable | default | |",
        "|---|---|---|",
    ]
    for setting in fields(Settings):
        meaning = setting.metadata["meaning"]
        lines.append(f"| `{setting.metadata['variable']}` | {_shown(setting.default)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        names = (str(item.relative_to(PROJECT)) if isinstance(item, Path) else item for item in default)
        text = ",".join(names)
    else:
        text = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{text}`" if text else "none"
