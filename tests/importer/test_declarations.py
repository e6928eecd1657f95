"""What a model's files declare is followed, or said when the model is added."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.backends.encoder import text_encoder
from inference.cards.card import load
from inference.importer.add import AddOptions, add
from inference.importer.findings import ImporterError
from inference.importer.sources import FolderSource
from inference.settings import Settings
from tests.importer.models import HERMES, decoder
from tests.support.decoders import write_json
from tests.support.encoders import write_image_encoder, write_text_encoder

GOLDEN = Path(__file__).parents[1] / "golden" / "side_files" / "lower-case"


def added(source: Path, into: Path, *, opens: bool = False) -> tuple[Path, str]:
    """Add a model; its folder and all sentences are returned."""
    reports: list[str] = []
    options = AddOptions(name="added", into=into, opens=opens)
    return add(FolderSource(source), options, Settings(models=(into,)), reports.append), "\n".join(reports)


def bare_encoder(folder: Path) -> Path:
    source = write_text_encoder(folder, name="source")
    (source / "model.json").unlink()
    return source


def test_vectors_are_those_of_sentence_transformers_in_lower_case_and_cut(tmp_path: Path) -> None:
    folder, said = added(GOLDEN, tmp_path, opens=True)
    assert "Texts are put in lower case before they are tokenised (sentence_bert_config.json)." in said
    assert "Vectors are cut to their first 12 numbers" in said
    expected = json.loads((GOLDEN / "expected.json").read_text())
    model = text_encoder.open(load(folder), Settings())
    try:
        ids = model.tokenizer.encode_batch(expected["texts"], special=True)
        found = asyncio.run(model.embedder.embed(ids))
    finally:
        model.close()
    np.testing.assert_allclose(found, expected["vectors"], atol=1e-5)
    assert load(folder).card.embedding.dimensions == 12


@pytest.mark.parametrize("inline", [False, True])
def test_a_tool_template_of_its_own_declares_tools(tmp_path: Path, inline: bool) -> None:
    source = decoder(tmp_path, "source")
    plain = "{% for message in messages %}{{ message.content }}{% endfor %}"
    if inline:
        (source / "chat_template.jinja").unlink()
        named = {"default": plain, "tool_use": HERMES, "rag": plain}
        templates = [{"name": name, "template": text} for name, text in named.items()]
        write_json(source / "tokenizer_config.json", {"chat_template": templates})
    else:
        (source / "chat_template.jinja").write_text(plain)
        (source / "additional_chat_templates").mkdir()
        for name, text in {"tool_use": HERMES, "rag": plain}.items():
            (source / "additional_chat_templates" / f"{name}.jinja").write_text(text)
    folder, said = added(source, tmp_path / "into", opens=True)
    tools = load(folder).card.parameters["tools"]
    assert tools.dialect == "hermes"
    assert "Requests with tools are rendered by the chat template tool_use." in said
    assert "No parameter of a request chooses the chat templates rag" in said


def test_the_image_processor_of_a_processor_config_is_read(tmp_path: Path) -> None:
    source = write_image_encoder(tmp_path, name="source", with_text=False)
    (source / "model.json").unlink()
    older = source / "preprocessor_config.json"
    write_json(source / "processor_config.json", {"image_processor": json.loads(older.read_text())})
    older.unlink()
    folder, said = added(source, tmp_path / "into", opens=True)
    assert load(folder).card.files["preprocessor"] == "processor_config.json"
    assert "Images are resized to 32 by 32 pixels (processor_config.json)." in said


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("config_sentence_transformers", {"similarity_fn_name": "dot"}, "made to be compared by dot, not by"),
        ("config_sentence_transformers", {"prompts": {"STS": "x: "}}, "no input_type stands for: STS."),
        (
            "config_sentence_transformers",
            {"new_key": 1},
            "keys that are not known and have no effect: new_key.",
        ),
        ("sentence_bert_config", {"query_length": 32, "max_seq_length": 64}, "has query_length 32, at which"),
        (
            "sentence_bert_config",
            {"modality_config": {"image": {}}},
            "inputs of the kinds image besides text",
        ),
        (
            "tokenizer_config",
            {"truncation_side": "left"},
            "has truncation_side left: inputs that are too long",
        ),
        ("tokenizer_config", {"padding_side": "left"}, "has padding_side left: padding is masked"),
        ("tokenizer_config", {"do_lower_case": True}, "has do_lower_case, which a tokenizer of this kind"),
    ],
)
def test_what_an_encoder_does_not_follow_is_said(
    tmp_path: Path, file: str, content: dict[str, Any], sentence: str
) -> None:
    source = bare_encoder(tmp_path)
    write_json(source / f"{file}.json", content)
    assert sentence in added(source, tmp_path / "into")[1]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("sentence_bert_config", {"transformer_task": "fill-mask"}, "transformer_task is fill-mask"),
        (
            "sentence_bert_config",
            {"processing_kwargs": {"text": {"add_special_tokens": False}}},
            "changes the",
        ),
        ("sentence_bert_config", {"query_expansion": {"strategy": "fixed"}}, "query_expansion adds tokens"),
        ("config_sentence_transformers", {"model_type": "SparseEncoder"}, "the model is a sparse encoder"),
    ],
)
def test_what_would_change_every_vector_is_refused(
    tmp_path: Path, file: str, content: dict[str, Any], message: str
) -> None:
    source = bare_encoder(tmp_path)
    write_json(source / f"{file}.json", {"max_seq_length": 64, **content})
    with pytest.raises(ImporterError, match=message):
        added(source, tmp_path / "into")


def test_what_a_decoder_does_not_follow_is_said(tmp_path: Path) -> None:
    source = decoder(tmp_path, "source")
    generation = {
        "eos_token_id": [258],
        "temperature": 0.6,
        "top_k": 20,
        "do_sample": True,
        "top_p": 1.0,
        "suppress_tokens": [7],
        "bad_words_ids": [[8], [9, 10]],
        "no_repeat_ngram_size": 3,
        "odd": 1,
    }
    write_json(source / "generation_config.json", generation)
    ends = {"eos_token": "<|im_end|>", "add_eos_token": True}
    write_json(source / "tokenizer_config.json", {**ends, "clean_up_tokenization_spaces": True})
    said = added(source, tmp_path / "into")[1]
    for sentence in (
        "Tokens 7, 8 are never drawn (generation_config.json).",
        "generation_config.json recommends temperature 0.6, top_k 20: ",
        "generation_config.json also has no_repeat_ngram_size 3, bad_words_ids [[9, 10]]: answers are",
        "generation_config.json has keys that are not known and have no effect: odd.",
        "has clean_up_tokenization_spaces, which is not followed",
        "Every text that is no chat has the eos_token after it (tokenizer_config.json).",
    ):
        assert sentence in said


def test_tokens_without_a_row_are_named(tmp_path: Path) -> None:
    source = decoder(tmp_path, "source")
    more = {str(number): {"content": f"<extra-{number}>", "special": True} for number in range(259, 290)}
    write_json(source / "tokenizer_config.json", {"added_tokens_decoder": more})
    assert (
        "has 288 rows for tokens, none for <extra-288> (288), <extra-289> (289): "
        in added(source, tmp_path / "into")[1]
    )


def test_files_are_not_changed_by_reading_them(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(GOLDEN, source)
    folder, _ = added(source, tmp_path / "into")
    assert (folder / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
