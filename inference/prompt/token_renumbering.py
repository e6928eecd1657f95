"""A `tokenizer.json` whose added tokens keep their declared ids.

The library that reads it gives an added token the next free id, whatever id the file states, unless its
vocabulary has the token already. Vocabularies with gaps in their ids would be counted without them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FILLER = "\ufffe{}"
"""The text of an entry that fills a gap in a list of scored pieces: a noncharacter, which no text has."""
UNLIKELY = -1e6
"""The score of such an entry."""


def declared_ids(data: bytes) -> Mapping[str, int]:
    """Return the ids that a `tokenizer.json` states for its added tokens, by their texts.

    Only that part of the file is parsed, since vocabularies have many megabytes. Where it is of another form,
    the library refuses the file.
    """
    start = data.find(b"[", data.find(b'"added_tokens"'))
    try:
        entries, _ = json.JSONDecoder().raw_decode(data[start:].decode(errors="replace"))
        return {str(entry["content"]): int(entry["id"]) for entry in entries}
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}


def renumbered(data: bytes, ids: Mapping[str, int]) -> str:
    """Return a `tokenizer.json` in which tokens have these ids: they stand in the vocabulary itself."""
    tokenizer: dict[str, Any] = json.loads(data)
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, dict):
        vocabulary.update(ids)
    else:
        texts = {token_id: text for text, token_id in ids.items()}
        while len(vocabulary) <= max(texts):
            here = len(vocabulary)
            vocabulary.append([texts.get(here, FILLER.format(here)), UNLIKELY])
    return json.dumps(tokenizer, ensure_ascii=False)
