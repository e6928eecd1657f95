import json
from pathlib import Path
from typing import Any

import pytest

from inference.importer.gguf.side_files import provider, sentences, side_files
from tests.importer.gguf.test_config_json import metadata_of
from tests.importer.gguf.vocabularies import CONTROL, byte_level, embedding, header_of

MORE = [("<|endoftext|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL)]


def files_of(folder: Path, architecture: str = "llama", **keys: Any) -> dict[str, Any]:
    stated = {name.replace("__", "."): value for name, value in keys.items()}
    metadata = {
        **metadata_of(architecture),
        **byte_level([], MORE, architecture=architecture, bos_token_id=257, eos_token_id=256),
        **stated,
    }
    files = side_files(header_of(folder, metadata, [embedding(300)]))
    readme = files["README.md"].decode()
    return {name: json.loads(data) for name, data in files.items() if name != "README.md"} | {
        "README.md": readme
    }


def test_a_decoder_has_the_files_of_a_checkpoint(tmp_path: Path) -> None:
    files = files_of(tmp_path, tokenizer__chat_template="{{ messages }}", general__sampling__temp=0.75)
    assert sorted(files) == [
        *("README.md", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
    ]
    assert files["generation_config.json"] == {
        "bos_token_id": 257,
        "eos_token_id": [256, 258],
        "temperature": 0.75,
    }
    assert files["tokenizer_config.json"] == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": "<|im_start|>",
        "eos_token": "<|endoftext|>",
        "chat_template": "{{ messages }}",
    }


def test_several_templates_are_a_list_by_name(tmp_path: Path) -> None:
    files = files_of(
        tmp_path, tokenizer__chat_template="plain", **{"tokenizer.chat_template.tool_use": "tools"}
    )
    assert files["tokenizer_config.json"]["chat_template"] == [
        {"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "tools"},
    ]


@pytest.mark.parametrize(
    ("architecture", "pooling", "mode"),
    [
        ("bert", 2, "cls_token"),
        ("bert", 0, "mean_tokens"),
        ("nomic-bert", 1, "mean_tokens"),
        ("qwen3", 3, "lasttoken"),
    ],
)
def test_an_embedding_model_has_its_modules(
    tmp_path: Path, architecture: str, pooling: int, mode: str
) -> None:
    files = files_of(tmp_path, architecture, **{f"{architecture}.pooling_type": pooling})
    assert [(step["path"], step["type"].rpartition(".")[2]) for step in files["modules.json"]] == [
        *(("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    ]
    pooling_config = files["1_Pooling/config.json"]
    assert pooling_config.pop("word_embedding_dimension") == 64
    assert [name for name, chosen in pooling_config.items() if chosen] == [f"pooling_mode_{mode}"]
    assert files["sentence_bert_config.json"]["max_seq_length"] == 512
    assert "generation_config.json" not in files


def test_the_licence_is_where_the_importer_looks(tmp_path: Path) -> None:
    readme = files_of(tmp_path, general__license="apache-2.0", general__name="A model")["README.md"]
    assert readme.startswith("---\nlicense: apache-2.0\n---\n\n# A model\n")
    assert files_of(tmp_path)["README.md"].startswith("---\n---\n")


@pytest.mark.parametrize(
    ("keys", "maker"),
    [
        ({"general.source.url": "https://huggingface.co/Owner/name"}, "Owner"),
        ({"general.source.huggingface.repository": "Owner/name"}, "Owner"),
        (
            {
                "general.base_model.0.repo_url": "https://huggingface.co/Owner/name",
                "general.organization": "X",
            },
            "Owner",
        ),
        ({"general.organization": "Some Lab"}, "Some Lab"),
        ({}, None),
    ],
)
def test_the_maker_is_the_source_s_owner_or_the_organization(
    tmp_path: Path, keys: dict[str, str], maker: str | None
) -> None:
    assert provider(header_of(tmp_path, {**metadata_of("llama"), **keys})) == maker


def test_the_sentences_say_what_the_file_leaves_out(tmp_path: Path) -> None:
    metadata = metadata_of("llama")
    del metadata["tokenizer.ggml.pre"]
    header = header_of(
        tmp_path, {**metadata, "general.name": "Tiny", "general.source.url": "https://huggingface.co/a/b"}
    )
    said = list(sentences(header))
    assert said[:2] == ["The file is Tiny, of the architecture llama.", "It was made from a/b."]
    assert "does not say how its tokenizer splits texts" in said[2]
