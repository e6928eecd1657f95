"""The files that a deployment needs beside its graph, made of a GGUF file's metadata.

They are those of a checkpoint on the hub: config.json, tokenizer.json, tokenizer_config.json,
generation_config.json, the chat templates, README.md, and of an embedding model modules.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from inference.cards.json_files import Json
from inference.importer.gguf.config_json import config_json, pooling_of
from inference.importer.gguf.header import GgufHeader
from inference.importer.gguf.pre_tokenizers import SEPARATED
from inference.importer.gguf.tokenizer import tokenizer_json
from inference.importer.gguf.vocabulary import KEY, GgufVocabulary, adds, read_vocabulary

TEMPLATE_KEY = "tokenizer.chat_template"
SAMPLING_KEYS: Mapping[str, str] = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}
"""Sampling that a file recommends (`general.sampling.*`), by its name in generation_config.json."""
REPOSITORY = re.compile(r"https?://huggingface\.co/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)/?", re.ASCII)
POOLING_FOLDER = "1_Pooling"
STEPS = "sentence_transformers.models"


def side_files(header: GgufHeader) -> Mapping[str, bytes]:
    """Return the files by name. Raises `ImporterError` for a model or a tokenizer that is not supported."""
    vocabulary = read_vocabulary(header)
    config = config_json(header, vocabulary)
    repository = _repository(header)
    files: dict[str, Json | list[Json]] = {
        "config.json": {**config, **({"_name_or_path": repository} if repository else {})},
        "tokenizer.json": tokenizer_json(header, vocabulary),
        "tokenizer_config.json": _tokenizer_config(header, vocabulary, config),
    }
    pooling = pooling_of(header) or ("mean" if "layer_norm_eps" in config else None)
    if pooling:
        files |= _pooling_files(config, pooling)
    else:
        files["generation_config.json"] = _generation_config(header, vocabulary)
    texts = {name: json.dumps(content, ensure_ascii=False) for name, content in files.items()}
    texts["README.md"] = _readme(header, repository)
    return {name: text.encode() for name, text in texts.items()}


def provider(header: GgufHeader) -> str | None:
    """Return the maker of the model, None where no key names it."""
    repository = _repository(header)
    return repository.partition("/")[0] if repository else header.text("general.organization")


def sentences(header: GgufHeader) -> Iterator[str]:
    """Yield what a user should know of the file: its name, its origin, and what it does not say."""
    named = header.text("general.name")
    yield f"The file is {named or header.path.name}, of the architecture {header.architecture}."
    if (repository := _repository(header)) is not None:
        yield f"It was made from {repository}."
    if header.text(f"{KEY}model") == "gpt2" and header.text(f"{KEY}pre") is None:
        yield (
            "The file does not say how its tokenizer splits texts, as files of before May 2024 do not: it is "
            "read as llama.cpp does, and a newer file of the model may answer better."
        )


def _tokenizer_config(header: GgufHeader, vocabulary: GgufVocabulary, config: Json) -> Json:
    begins, ends = adds(header, vocabulary.kind)
    names = {"bos": "bos_token", "eos": "eos_token", "unk": "unk_token", "pad": "pad_token"}
    if vocabulary.kind == "bert" or header.text(f"{KEY}pre") in SEPARATED:
        names |= {"sep": "sep_token", "cls": "cls_token", "mask": "mask_token"}
    if vocabulary.kind == "bert":
        names = {name: key for name, key in names.items() if name not in ("bos", "eos")}
    special = {key: vocabulary.text(name) for name, key in names.items()}
    template = _templates(header)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config["max_position_embeddings"],
        "add_bos_token": begins,
        "add_eos_token": ends,
        **{key: text for key, text in special.items() if text is not None},
        **({"chat_template": template} if template else {}),
    }


def _templates(header: GgufHeader) -> str | list[Json] | None:
    """Return the chat template, a list by name where there are several."""
    default = header.text(TEMPLATE_KEY)
    prefix = f"{TEMPLATE_KEY}."
    named = {key.removeprefix(prefix): header.text(key) for key in header.metadata if key.startswith(prefix)}
    if default is None and named:
        default = next(iter(named.values()))
    if default is None or not named:
        return default
    templates = {"default": default, **named}
    return [{"name": name, "template": text} for name, text in templates.items()]


def _generation_config(header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    sampling = {
        name: header.number(f"general.sampling.{key}")
        for key, name in SAMPLING_KEYS.items()
        if header.metadata.get(f"general.sampling.{key}") is not None
    }
    special = {f"{name}_token_id": vocabulary.special.get(name) for name in ("bos", "pad")}
    return {
        **{name: token for name, token in special.items() if token is not None},
        "eos_token_id": vocabulary.end_tokens,
        **sampling,
    }


def _pooling_files(config: Json, pooling: str) -> Mapping[str, Json | list[Json]]:
    """Return the modules of an embedding model; llama.cpp brings all vectors to length 1, and so do these."""
    steps = ("", "Transformer"), (POOLING_FOLDER, "Pooling"), ("2_Normalize", "Normalize")
    modules: list[Json] = [
        {"idx": index, "name": str(index), "path": path, "type": f"{STEPS}.{kind}"}
        for index, (path, kind) in enumerate(steps)
    ]
    flags = {"mean": "mean_tokens", "cls": "cls_token", "lasttoken": "lasttoken"}
    return {
        "modules.json": modules,
        f"{POOLING_FOLDER}/config.json": {
            "word_embedding_dimension": config["hidden_size"],
            **{f"pooling_mode_{flag}": name == pooling for name, flag in flags.items()},
        },
        "sentence_bert_config.json": {
            "max_seq_length": config["max_position_embeddings"],
            "do_lower_case": False,
        },
    }


def _repository(header: GgufHeader) -> str | None:
    """Return owner and name of the repository that the model came from, None where no key has it."""
    keys = ("general.source.huggingface.repository", "general.source.repo_url", "general.source.url")
    for key in (*keys, "general.base_model.0.repo_url"):
        text = header.text(key) or ""
        if found := REPOSITORY.fullmatch(text):
            return f"{found['owner']}/{found['name']}"
        if re.fullmatch(r"[\w.-]+/[\w.-]+", text, re.ASCII):
            return text
    return None


def _readme(header: GgufHeader, repository: str | None) -> str:
    """Return a page with the licence in its front matter, where the importer looks for it."""
    fields: dict[str, Any] = {
        "license": header.text("general.license"),
        "license_name": header.text("general.license.name"),
        "license_link": header.text("general.license.link"),
        "base_model": repository,
    }
    front = "".join(f"{name}: {_line(text)}\n" for name, text in fields.items() if text)
    lines = [f"# {_line(header.text('general.name') or header.path.stem)}", ""]
    if (described := header.text("general.description")) is not None:
        lines += [_line(described), ""]
    lines.append(f"Made from {header.path.name}, a GGUF file of the architecture {header.architecture}.")
    return f"---\n{front}---\n\n" + "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())
