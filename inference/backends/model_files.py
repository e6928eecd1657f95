"""What a model's own files say where its card is silent: config.json and what sentence-transformers writes.

modules.json lists the steps after the tokenizer: Transformer, Pooling (a folder with config.json), Normalize.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.backends.pooling import POOLINGS, Head
from inference.card import CARD_FILE, CardError, Deployment
from inference.prompt.tokenizer import Tokenizer

MODULES = "modules.json"
UNBOUNDED = 1_000_000
"""tokenizer_config.json writes "no limit" as a huge number."""

POOLING_MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}


def read_object(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file; an empty one where there is no file. Raises `CardError`."""
    value = _read(path)
    if not isinstance(value, Mapping):
        raise CardError(f"{path.name} is not an object")
    return value


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CardError(f"{path.name} cannot be read: {error}") from None


def context_of(deployment: Deployment) -> int:
    """The most tokens of an input. Raises `CardError` when nothing says it."""
    folder = deployment.folder
    sentence = read_object(folder / "sentence_bert_config.json")
    context = deployment.card.context or sentence.get("max_seq_length") or _model_limit(folder)
    if not isinstance(context, int):
        raise CardError(f"{CARD_FILE}: context is missing, and none of the model's files says it")
    return context


def _model_limit(folder: Path) -> int | None:
    limits = (
        read_object(folder / "tokenizer_config.json").get("model_max_length"),
        text_config(folder).get("max_position_embeddings"),
    )
    return min((int(limit) for limit in limits if limit and limit < UNBOUNDED), default=None)


def text_config(folder: Path) -> Mapping[str, Any]:
    """config.json, or the part of it that describes the text tower of a dual encoder."""
    return _part("text_config", folder)


def vision_config(folder: Path) -> Mapping[str, Any]:
    """config.json, or the part of it that describes the vision tower of a dual encoder."""
    return _part("vision_config", folder)


def _part(name: str, folder: Path) -> Mapping[str, Any]:
    config = read_object(folder / "config.json")
    part = config.get(name)
    return part if isinstance(part, Mapping) else config


def pad_token(folder: Path, tokenizer: Tokenizer) -> int:
    """The id that stands behind an input's tokens; a graph with an attention mask takes any, and so 0."""
    token = read_object(folder / "tokenizer_config.json").get("pad_token")
    text = token.get("content") if isinstance(token, Mapping) else token
    pad = tokenizer.token_id(text) if isinstance(text, str) else text_config(folder).get("pad_token_id")
    return pad if isinstance(pad, int) and pad >= 0 else 0


def vocabulary_of(folder: Path, tokenizer: Tokenizer) -> int:
    """One more than the highest token id: some models have rows for more tokens than their tokenizer."""
    return max(tokenizer.vocabulary, text_config(folder).get("vocab_size") or 0)


def head_of(deployment: Deployment, *, pooled: bool) -> Head:
    """How the vectors are made: `pooled` says that the graph's output is already one vector an input.

    Raises `CardError` naming what has to be declared.
    """
    declared = deployment.card.embedding
    modules = _modules(deployment.folder)
    pooling = declared.pooling or ("none" if pooled else _pooling(deployment.folder, modules))
    if pooled != (pooling == "none"):
        shape = "[inputs, dimensions]" if pooled else "[inputs, positions, dimensions]"
        raise CardError(f"{CARD_FILE}: embedding.pooling is {pooling}, the graph's output is {shape}")
    if declared.normalize is None and not modules:
        raise CardError(f"{CARD_FILE}: embedding.normalize is missing, and there is no {MODULES}")
    normalize = "Normalize" in modules if declared.normalize is None else declared.normalize
    return Head(pooling, normalize)


def _modules(folder: Path) -> Mapping[str, str]:
    """The steps of modules.json: the last word of each one's type to its folder."""
    steps = _read(folder / MODULES)
    try:
        return {str(step["type"]).rpartition(".")[2]: str(step["path"]) for step in steps}
    except (KeyError, TypeError):
        raise CardError(f"{MODULES} is not a list of steps with type and path") from None


def _pooling(folder: Path, modules: Mapping[str, str]) -> str:
    beyond = modules.keys() - {"Transformer", "Pooling", "Normalize"}
    if beyond:
        raise CardError(f"{MODULES}: {', '.join(sorted(beyond))} is not in a graph that gives token vectors")
    if "Pooling" not in modules:
        raise CardError(f"{CARD_FILE}: embedding.pooling is missing: {', '.join(POOLINGS)} or none")
    place = f"{modules['Pooling']}/config.json"
    config = read_object(folder / place)
    modes = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    if len(modes) != 1 or modes[0] not in POOLING_MODES or config.get("include_prompt") is False:
        raise CardError(
            f"{place}: {', '.join(modes) or 'no mode'} is no known pooling; declare embedding.pooling"
        )
    return POOLING_MODES[modes[0]]
