"""What a model's files declare and a deployment does not follow: each is said once, or refuses the model.

A key is followed by another module or of no consequence here, or it has a sentence; of one that no table
knows, the sentence is that it has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.backends.generation_files import BAD_WORDS, suppressed_tokens
from inference.backends.token_tables import embedding_rows
from inference.cards.card import CardError
from inference.cards.json_files import Json
from inference.importer.findings import ImporterError, Report
from inference.importer.model_folder import ModelFolder
from inference.prompt.tokenizer import Tokenizer

NOTHING: tuple[object, ...] = (None, False, "", [], {})
"""Values by which a key asks for nothing."""
SHOWN = 60
"""Characters of a value that a sentence repeats."""

GENERATION_CONFIG = "generation_config.json"
SAMPLING_DEFAULTS: Mapping[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 50,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "max_length": 20,
    "max_new_tokens": None,
}
"""Parameters that a request sets, to the values that transformers has without the file."""
OTHER_GENERATION: Mapping[str, Any] = {
    **dict.fromkeys(("no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "min_length"), 0),
    **dict.fromkeys(("num_beams", "num_beam_groups", "typical_p", "encoder_repetition_penalty"), 1),
    **dict.fromkeys(("length_penalty", "guidance_scale", "top_h"), 1),
    **dict.fromkeys(("epsilon_cutoff", "eta_cutoff", "diversity_penalty"), 0),
    **dict.fromkeys(
        (
            *("begin_suppress_tokens", "dola_layers", "early_stopping", "exponential_decay_length_penalty"),
            *("force_words_ids", "forced_bos_token_id", "forced_decoder_ids", "forced_eos_token_id"),
            *("constraints", "max_time", "min_new_tokens", "penalty_alpha", "sequence_bias", "stop_strings"),
            *("renormalize_logits", "watermarking_config"),
        )
    ),
}
"""Keys that change what transformers generates and have no counterpart here, to their neutral values."""
QUIET_GENERATION = frozenset(
    {
        *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "do_sample"),
        *("suppress_tokens", BAD_WORDS, "transformers_version", "_from_model_config", "use_cache"),
        *("cache_implementation", "cache_config", "compile_config", "disable_compile", "prefill_chunk_size"),
        *("return_dict_in_generate", "return_legacy_cache", "num_return_sequences", "remove_invalid_values"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits", "low_memory"),
        *("assistant_confidence_threshold", "assistant_early_exit", "assistant_lookbehind"),
        *("is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "target_lookbehind"),
        *("max_matching_ngram_size", "prompt_lookup_num_tokens", "use_mtp", "token_healing"),
        *("trust_remote_code", "_attn_implementation", "attn_implementation"),
    }
)
"""Keys that are followed, or that say how transformers runs and not what it answers."""

TOKENIZER_CONFIG = "tokenizer_config.json"
QUIET_TOKENIZER = frozenset(
    {
        *("added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "chat_template"),
        *("add_bos_token", "add_eos_token", "add_prefix_space", "split_special_tokens", "do_lower_case"),
        *("strip_accents", "tokenize_chinese_chars", "model_max_length", "truncation_side", "padding_side"),
        *("clean_up_tokenization_spaces", "tokenizer_class", "processor_class", "auto_map", "backend"),
        *("model_input_names", "name_or_path", "special_tokens_map_file", "tokenizer_file", "vocab_file"),
        *("merges_file", "from_slow", "is_local", "local_files_only", "legacy", "errors", "sp_model_kwargs"),
        *("max_length", "stride", "truncation_strategy", "truncation", "padding", "pad_to_multiple_of"),
        *("pad_token_type_id", "pad_token_id", "do_basic_tokenize", "never_split", "trim_offsets"),
        *("spaces_between_special_tokens", "use_default_system_prompt", "add_dummy_prefix_space", "use_fast"),
        *("keep_accents", "remove_space", "model_specific_special_tokens", "return_token_type_ids"),
        *("added_tokens_file", "_commit_hash", "transformers_version", "cls_token_box", "model_type"),
        *("full_tokenizer_file", "device_map", "trust_remote_code", "response_schema", "mask_token_id"),
    }
)
"""Keys that are followed, that tokenizer.json has already, or that only other libraries read."""


def report_generation(folder: ModelFolder, report: Report) -> None:
    """Report what generation_config.json asks for beyond the stop tokens. Raises `ImporterError`."""
    config = folder.json(GENERATION_CONFIG)
    try:
        never = sorted(set(suppressed_tokens(config)))
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    if never:
        report(f"Tokens {listed(never)} are never drawn ({GENERATION_CONFIG}).")
    if defaults := differing(config, SAMPLING_DEFAULTS):
        report(
            f"{GENERATION_CONFIG} recommends {shown(defaults)}: a request sets them where it wants them, and "
            "one that does not has the API's own defaults."
        )
    others = differing(config, OTHER_GENERATION)
    words = config.get(BAD_WORDS)
    words = words if isinstance(words, list) else []
    if long := [word for word in words if isinstance(word, list) and len(word) > 1]:
        others[BAD_WORDS] = long
    if others:
        report(f"{GENERATION_CONFIG} also has {shown(others)}: answers are generated without.")
    report_unknown(
        GENERATION_CONFIG, config, {*SAMPLING_DEFAULTS, *OTHER_GENERATION, *QUIET_GENERATION}, report
    )


def report_tokenizer(folder: ModelFolder, tokenizer: Tokenizer, report: Report, *, generates: bool) -> None:
    """Report what tokenizer_config.json asks for and does not take effect."""
    config = folder.json(TOKENIZER_CONFIG)
    if config.get("do_lower_case") is True and _keeps_cases(tokenizer):
        report(
            f"{TOKENIZER_CONFIG} has do_lower_case, which a tokenizer of this kind does not follow: upper "
            "case stays, as in transformers."
        )
    for name, place in (("bos", "before"), ("eos", "after")):
        if config.get(f"add_{name}_token") is True:
            report(f"Every text that is no chat has the {name}_token {place} it ({TOKENIZER_CONFIG}).")
    if generates and config.get("clean_up_tokenization_spaces") is True:
        report(
            f"{TOKENIZER_CONFIG} has clean_up_tokenization_spaces, which is not followed: an answer's text "
            "is that of its tokens, spaces before punctuation included."
        )
    if not generates and config.get("truncation_side") == "left":
        report(
            f"{TOKENIZER_CONFIG} has truncation_side left: inputs that are too long are refused unless the "
            "request has `truncate`; set embedding.truncate to START in model.json to cut all at the start."
        )
    if not generates and config.get("padding_side") == "left":
        report(
            f"{TOKENIZER_CONFIG} has padding_side left: padding is masked here, so every input has the "
            "vector that it has alone."
        )
    names = {name for name in config if name.endswith("_token")}
    report_unknown(TOKENIZER_CONFIG, config, QUIET_TOKENIZER | names, report)


def rows_of(folder: ModelFolder, role: str) -> int | None:
    """Return the rows that the graph of a role has for tokens, None where it does not show them."""
    graph, tables = folder.graphs[role], embedding_rows(folder.path / folder.graph_files[role])
    logits = graph.outputs["logits"].dims[-1:] if graph.generates else ()
    rows = [size for size in (tables, *logits) if isinstance(size, int) and size > 0]
    return min(rows, default=None)


def report_rowless(tokenizer: Tokenizer, rows: int | None, report: Report) -> None:
    """Report the added tokens that a table of so many rows has no row for."""
    if rows is None or rows >= tokenizer.vocabulary_size:
        return
    last = tokenizer.vocabulary_size
    texts = {token: tokenizer.token_text(token) for token in range(rows, last)}
    named = [f"{text} ({token})" for token, text in texts.items() if text is not None]
    report(
        f"The graph has {rows} rows for tokens, none for {listed(named)}: a prompt with one of them is "
        "refused, and none is ever drawn."
    )


def report_unknown(file: str, config: Json, known: set[str] | frozenset[str], report: Report) -> None:
    """Report the keys of a file that no table knows."""
    unknown = sorted(key for key, value in config.items() if key not in known and value not in NOTHING)
    if unknown:
        report(f"{file} has keys that are not known and have no effect: {listed(unknown)}.")


def differing(config: Json, neutral: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a file whose values are not those that ask for nothing."""
    return {
        key: config[key]
        for key, value in neutral.items()
        if key in config and config[key] not in NOTHING and config[key] != value
    }


def shown(values: Mapping[str, Any]) -> str:
    """Return keys with their values for a sentence."""
    return ", ".join(f"{key} {_abridged(str(value))}" for key, value in values.items())


def listed(values: list[Any]) -> str:
    """Return up to ten values for a sentence, and the number of the others."""
    parts = [_abridged(str(value)) for value in values[:10]]
    return ", ".join([*parts, *([f"{len(values) - 10} others"] if len(values) > 10 else [])])


def _abridged(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _keeps_cases(tokenizer: Tokenizer) -> bool:
    upper, lower = tokenizer.encode_batch(["ABC", "abc"], special=False)
    return upper != lower
