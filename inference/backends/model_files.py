"""What a model's own files say where its card is silent: context, prompts, padding, size of the vocabulary
and of attention heads.

Read are config.json, genai_config.json, tokenizer_config.json, and what sentence-transformers writes:
sentence_bert_config.json, config_sentence_transformers.json. What modules.json says stands in `modules.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.cards.card import CARD_FILE, CardError, Deployment
from inference.prompt.tokenizer import Tokenizer

UNBOUNDED = 1_000_000
"""tokenizer_config.json writes "no limit" as a huge number."""

SENTENCE_CONFIGS = "sentence_*_config.json"
"""sentence_bert_config.json; older checkpoints name another family in it."""
POSITIONS_BEHIND_PAD = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "mpnet",
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
"""`model_type`s whose first token has the position behind the padding token's id: their tables of positions
have so many rows that no token can use."""
PROMPT_NAMES: Mapping[str, tuple[str, ...]] = {
    "text": (),
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
"""`input_type` to the names under which a model's prompts are looked for, as sentence-transformers does."""


def read_object(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file; an empty one where there is no file. Raises `CardError`."""
    value = read_json(path)
    if not isinstance(value, Mapping):
        raise CardError(f"{path.name} is not an object")
    return value


def read_json(path: Path) -> Any:
    """What a JSON file holds; an empty object where there is no file. Raises `CardError`."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CardError(f"{path.name} cannot be read: {error}") from None


def context_of(deployment: Deployment) -> int:
    """The most tokens of an input: the card's, else the least that any file says.

    Raises `CardError` when nothing says it.
    """
    context = deployment.card.context or min(_limits(deployment.folder), default=None)
    if context is None:
        raise CardError(f"{CARD_FILE}: context is missing, and none of the model's files says it")
    return context


def _limits(folder: Path) -> Iterator[int]:
    config = text_config(folder)
    said = [read_object(path).get("max_seq_length") for path in sorted(folder.glob(SENTENCE_CONFIGS))]
    said.append(read_object(folder / "tokenizer_config.json").get("model_max_length"))
    said.append(config.get("n_positions"))
    positions, unused = config.get("max_position_embeddings"), config.get("pad_token_id")
    if config.get("model_type") in POSITIONS_BEHIND_PAD and isinstance(positions, int):
        positions -= 1 + (unused if isinstance(unused, int) else 1)
    for limit in (*said, positions):
        if isinstance(limit, int | float) and 0 < limit < UNBOUNDED:
            yield int(limit)


def prompts_of(deployment: Deployment) -> Mapping[str, str]:
    """What stands before an input of each `input_type`: the card's words, else the model's own.

    Raises `CardError` where config_sentence_transformers.json says something else than texts.
    """
    name = "config_sentence_transformers.json"
    config = read_object(deployment.folder / name)
    prompts, usual = config.get("prompts") or {}, config.get("default_prompt_name")
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str) for text in prompts.values()):
        raise CardError(f"{name}: prompts is not an object of texts")
    if usual is not None and usual not in prompts:
        raise CardError(
            f"{name}: default_prompt_name is {usual!r}, prompts has {', '.join(prompts) or 'none'}"
        )
    found = {kind: _prompt(prompts, names, usual) for kind, names in PROMPT_NAMES.items()}
    declared = deployment.card.embedding.prompts
    return {**found, **{str(kind): text for kind, text in declared.items()}}


def _prompt(prompts: Mapping[str, str], names: Sequence[str], usual: str | None) -> str:
    chosen = next((name for name in names if name in prompts), usual)
    return prompts[chosen] if chosen is not None else ""


def text_config(folder: Path) -> Mapping[str, Any]:
    """config.json, or the part of it that describes the text tower of a dual encoder."""
    return _part("text_config", folder)


def head_size(config: Mapping[str, Any], genai: Mapping[str, Any]) -> int | None:
    """The size of an attention head, for graphs that leave it open, as onnxruntime-genai's builder does.

    By genai_config.json (`model.decoder.head_size`), else by config.json or its `text_config`.
    """
    decoder = _inner(_inner(genai, "model"), "decoder")
    for said in (decoder, _inner(config, "text_config"), config):
        for key in ("head_size", "head_dim"):
            if isinstance(size := said.get(key), int) and size > 0:
                return size
        hidden, heads = said.get("hidden_size"), said.get("num_attention_heads")
        if isinstance(hidden, int) and isinstance(heads, int) and 0 < heads <= hidden:
            return hidden // heads
    return None


def _inner(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = config.get(name)
    return part if isinstance(part, Mapping) else {}


def is_tower(folder: Path) -> bool:
    """Whether config.json describes a dual encoder, of which the texts' part is one of two."""
    return "text_config" in read_object(folder / "config.json")


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
    return max(tokenizer.vocabulary_size, text_config(folder).get("vocab_size") or 0)
