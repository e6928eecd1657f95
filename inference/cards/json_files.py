"""JSON files of a deployment: how they are read, and small readings of their objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from inference.cards.card import CardError, Deployment

Json: TypeAlias = Mapping[str, Any]
"""The content of a JSON object."""
MAX_REASON = 300
"""Characters of a parser's own message that are repeated."""


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, an empty object where there is no file. Raises `CardError`.

    The file may begin with a byte order mark, and be in UTF-8, UTF-16 or UTF-32.
    """
    try:
        text = path.read_bytes()
        content = json.loads(text)
        if b"\\ud" in text.lower():
            # Half of a pair of escapes is no character: it could not be written, nor tokenized.
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CardError(f"{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path.name} is not JSON: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """Return the first line of an error's message, its start where it is long, or the error's kind."""
    line = next(iter(str(error).strip().splitlines()), "")
    return line[:MAX_REASON] or type(error).__name__


def read_object(path: Path) -> Json:
    """Return the object in a JSON file, an empty one where there is no file. Raises `CardError`."""
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise CardError(f"{path.name} is not a JSON object")
    return content


def read_role(deployment: Deployment, role: str) -> Json:
    """Return the object in the card's file of a role, `role`.json by default; an empty one without a file.

    Raises `CardError` for a file that the card names and the folder lacks, or that is not a JSON object.
    """
    path = deployment.optional_file(role, f"{role}.json")
    return {} if path is None else read_object(path)


def inner_object(config: Json, name: str) -> Json:
    """Return the object under a key, an empty one where there is none."""
    inner = config.get(name)
    return inner if isinstance(inner, Mapping) else {}


def positive_int(value: object) -> int | None:
    """Return the value where it is a positive whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def special_token(config: Json, name: str) -> str | None:
    """Return the text of a token such as `pad_token` of tokenizer_config.json: a text, or under `content`."""
    token = config.get(name)
    text = token.get("content") if isinstance(token, Mapping) else token
    return text if isinstance(text, str) else None


def special_tokens(config: Json) -> Mapping[str, str]:
    """Return the texts of `bos_token` and its kin, by name."""
    texts = ((name, special_token(config, name)) for name in config if name.endswith("_token"))
    return {name: text for name, text in texts if text is not None}
