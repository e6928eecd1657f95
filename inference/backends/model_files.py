"""The facts that a model's own JSON files state: context, head size, padding, prompts and vocabulary.

The files are config.json, genai_config.json and tokenizer_config.json, and those of sentence-transformers:
modules.json, sentence_bert_config.json and config_sentence_transformers.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference.backends.encoder.tasks import tasks_of
from inference.cards.card import CARD_FILE, CardError, Deployment
from inference.cards.json_files import (
    Json,
    inner_object,
    positive_int,
    read_json,
    read_object,
    read_role,
    special_token,
)
from inference.prompt.tokenizer import Tokenizer

CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
"""The names under which config.json states the longest sequence, by model family."""
UNBOUNDED = 1_000_000
"""The least number that is no limit: tokenizer_config.json writes "no limit" as a huge number."""
MODULES_FILE = "modules.json"
SPLADE_POOLING = "SpladePooling"
"""The step of modules.json that pools logits into weights of tokens."""
SENTENCE_CONFIG = "sentence_bert_config.json"
SENTENCE_CONFIGS = "sentence_*_config.json"
"""The pattern of its names: older checkpoints have another family than bert in it."""
POSITIONS_AFTER_PADDING = frozenset(
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
"""The values of `model_type` whose positions start after the padding token's id, so that their position
tables have `pad_token_id` + 1 rows that no token can use."""
PROMPT_NAMES: Mapping[str, tuple[str, ...]] = {
    "text": (),
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
"""`input_type` to the names of the model's prompts that serve it, as in sentence-transformers."""


def text_part(config: Json) -> Json:
    """Return the keys of config.json that describe its text model: those of `text_config` come first."""
    return {**config, **inner_object(config, "text_config")}


def stated_context(config: Json) -> tuple[str, object] | None:
    """Return the key of config.json that states the longest sequence, with its value; None without one."""
    return next(((key, config[key]) for key in CONTEXT_KEYS if config.get(key) is not None), None)


def usable_positions(config: Json) -> tuple[str, int] | None:
    """Return the key of config.json that states the longest sequence, with how many tokens can use it."""
    stated = stated_context(config)
    positions = positive_int(stated[1]) if stated else None
    if stated is None or positions is None:
        return None
    if str(config.get("model_type")) in POSITIONS_AFTER_PADDING:
        padding = config.get("pad_token_id")
        positions -= 1 + (padding if isinstance(padding, int) else 1)
    return stated[0], positions


def limit_files(folder: Path) -> Sequence[str]:
    """Return the names of the files that may limit an encoder's input."""
    others = {path.name for path in folder.glob(SENTENCE_CONFIGS)}
    return [*sorted({SENTENCE_CONFIG, *others}), "tokenizer_config.json", "config.json"]


def input_limits(files: Mapping[str, Json]) -> Mapping[str, int]:
    """Return every limit that the `limit_files` state for an input, in tokens, by file and key.

    `files` has their contents by name.
    """
    return {source: int(limit) for source, limit in _limits(files) if 0 < limit < UNBOUNDED}


def _limits(files: Mapping[str, Json]) -> Iterator[tuple[str, float]]:
    for name, content in files.items():
        if name == "config.json":
            if (positions := usable_positions(text_part(content))) is not None:
                yield f"{name}'s {positions[0]}", positions[1]
            continue
        key = "model_max_length" if name == "tokenizer_config.json" else "max_seq_length"
        if isinstance(limit := content.get(key), int | float):
            yield f"{name}'s {key}", limit


def encoder_context(deployment: Deployment) -> int:
    """Return the most tokens of an encoder's input: the card's `context`, else the least limit of its files.

    Raises `CardError` where none states it.
    """
    if deployment.card.context is not None:
        return deployment.card.context
    folder = deployment.folder
    limits = input_limits({name: read_object(folder / name) for name in limit_files(folder)})
    if not limits:
        raise CardError(f"{CARD_FILE}: context is missing, and none of the model's files states it")
    return min(limits.values())


def decoder_context(deployment: Deployment) -> int:
    """Return the most tokens of a decoder's sequence: the card's `context`, else that of config.json.

    Raises `CardError` where neither states it, and where the card's is more than the model was trained for.
    """
    declared, config = deployment.card.context, text_part(read_role(deployment, "config"))
    key, stated = stated_context(config) or (CONTEXT_KEYS[0], None)
    trained = positive_int(stated)
    if stated is not None and trained is None:
        raise CardError(f"config.json: {key} is {stated!r}, not a number of tokens")
    if declared is not None and trained is not None and declared > trained:
        raise CardError(f"context: {declared} is more than config.json's {key}, {trained}")
    context = declared or trained
    if context is None:
        raise CardError(f"context is missing, and no config.json has {key}")
    return context


def sentence_steps(folder: Path) -> Sequence[tuple[str, str]]:
    """Return the steps of modules.json in their sequence: the last word of each one's type, and its folder.

    None where there is no such file. Raises `CardError` where it is no list of steps.
    """
    try:
        listed = read_json(folder / MODULES_FILE) or []
        return [(str(step["type"]).rpartition(".")[2], str(step["path"])) for step in listed]
    except (KeyError, TypeError):
        raise CardError(f"{MODULES_FILE} is not a list of steps with type and path") from None


@dataclass(frozen=True, slots=True)
class NamedPrompts:
    """Texts to put before an input, by name, and the name of that of requests that name none."""

    texts: Mapping[str, str] = field(default_factory=dict)
    usual: str | None = None

    def text(self, name: str | None) -> str:
        """Return the prompt of a name, the usual one without a name; empty where there is none."""
        return self.texts.get(name or self.usual or "", "")


def prompts_of(deployment: Deployment) -> Mapping[str, str]:
    """Return the text put before an input of each `input_type`: the card's, else the model's own.

    Those of a model's tasks come before those of config_sentence_transformers.json. Raises `CardError` where
    either are not texts.
    """
    declared = {str(kind): text for kind, text in deployment.card.embedding.prompts.items()}
    if (tasks := tasks_of(deployment)) is not None:
        return {**tasks.input_prompts(PROMPT_NAMES), **declared}
    named = _sentence_prompts(deployment.folder)
    found = {kind: _prompt(named.texts, names, named.usual) for kind, names in PROMPT_NAMES.items()}
    return {**found, **declared}


def named_prompts(deployment: Deployment) -> NamedPrompts:
    """Return the prompts that a request names: the card's, else the model's own. Raises `CardError`."""
    card = deployment.card
    if card.named_prompts:
        return NamedPrompts(card.named_prompts, card.default_prompt)
    return _sentence_prompts(deployment.folder)


def _sentence_prompts(folder: Path) -> NamedPrompts:
    """Return the prompts of config_sentence_transformers.json. Raises `CardError` for other values."""
    name = "config_sentence_transformers.json"
    config = read_object(folder / name)
    prompts, default = config.get("prompts") or {}, config.get("default_prompt_name")
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str) for text in prompts.values()):
        raise CardError(f"{name}: prompts is not an object of texts")
    if default is not None and (not isinstance(default, str) or default not in prompts):
        raise CardError(
            f"{name}: default_prompt_name is {default!r}, prompts has {', '.join(prompts) or 'none'}"
        )
    return NamedPrompts(prompts, default)


def _prompt(prompts: Mapping[str, str], names: Sequence[str], default: str | None) -> str:
    chosen = next((name for name in names if name in prompts), default)
    return prompts[chosen] if chosen is not None else ""


def head_size(config: Json, genai: Json) -> int | None:
    """Return the size of an attention head, for graphs that leave it open; None where no file states it.

    genai_config.json (`model.decoder.head_size`) comes first, as for onnxruntime-genai, then config.json
    with its `text_config`.
    """
    decoder = inner_object(inner_object(genai, "model"), "decoder")
    for stated in (decoder, inner_object(config, "text_config"), config):
        for key in ("head_size", "head_dim"):
            if (size := positive_int(stated.get(key))) is not None:
                return size
        hidden, heads = stated.get("hidden_size"), stated.get("num_attention_heads")
        if isinstance(hidden, int) and isinstance(heads, int) and 0 < heads <= hidden:
            return hidden // heads
    return None


def text_config(folder: Path) -> Json:
    """Return config.json as the text model of a dual encoder has it, or as it is for any other model."""
    return text_part(read_object(folder / "config.json"))


def vision_config(folder: Path) -> Json:
    """Return `vision_config` of a dual encoder's config.json, or config.json for any other model."""
    config = read_object(folder / "config.json")
    return inner_object(config, "vision_config") or config


def is_dual_encoder(folder: Path) -> bool:
    """Return True if config.json describes a dual encoder, of which the text model is one of two."""
    return "text_config" in read_object(folder / "config.json")


def pad_token(folder: Path, tokenizer: Tokenizer) -> int:
    """Return the id that pads an input's tokens; 0 where no file states one that the model has.

    Any id will do, since it is masked.
    """
    text = special_token(read_object(folder / "tokenizer_config.json"), "pad_token")
    pad = tokenizer.token_id(text) if text is not None else text_config(folder).get("pad_token_id")
    return pad if isinstance(pad, int) and tokenizer.usable.first_other([pad]) is None else 0
