"""modules.json of sentence-transformers: what happens to a text, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from inference.importer.refusal import ImporterError


def read_steps(path: Path) -> Mapping[str, str]:
    """The last word of each step's type to its folder; none where there is no file. Raises `ImporterError`."""
    try:
        steps = json.loads(path.read_bytes())
        return {str(step["type"]).rpartition(".")[2]: str(step["path"]) for step in steps}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise ImporterError(f"{path.name} is not a list of steps with type and path.") from None
