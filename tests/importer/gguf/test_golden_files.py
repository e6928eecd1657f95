"""Models that llama.cpp's converter wrote, against the logits and vectors of transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.api.embeddings import EmbeddingsRequest
from inference.api.validation import validate
from inference.cards.card import load
from inference.importer.add import AddOptions, add
from inference.importer.findings import ImporterError
from inference.importer.gguf.config_json import config_json
from inference.importer.gguf.intake import write_model
from inference.importer.gguf.parts import read_parts
from inference.importer.gguf.vocabulary import read_vocabulary
from inference.importer.gguf.weights import GgufWeights
from inference.importer.graph.checkpoint_graph import write_graph
from inference.importer.model_folder import read_object
from inference.importer.sources import FileSource
from inference.pipeline.planner import text_embedding_model
from inference.pipeline.request_check import UNCHECKED
from inference.pipeline.text_embedding import lower_texts
from inference.settings import Settings
from tests.golden.make_gguf_cases import LENGTH, TEXTS, tokens
from tests.importer.gguf.golden_files import CASES, DECODERS, ENCODERS, FloatsOf, unpack
from tests.importer.graph.test_decoder import decoder_of, silent
from tests.importer.test_golden import added_in_thread, opened

PROMPT = 24
TOLERANCE = 2e-4
"""Of logits of unit scale; the fixtures have five digits."""


@pytest.mark.parametrize("name", DECODERS)
def test_logits_and_greedy_tokens_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    header = read_parts([unpack(name, tmp_path)])
    config = config_json(header, read_vocabulary(header))
    write_graph(config, FloatsOf(GgufWeights(header)), tmp_path / "model.onnx", progress=silent)
    prompt, wanted = tokens(), CASES[name]
    with decoder_of(tmp_path / "model.onnx", 64) as decoder:
        found = {PROMPT - 1: decoder.prefill(0, tuple(prompt[:PROMPT]), 0).reshape(-1).copy()}
        for token in (*prompt[PROMPT:], *wanted["greedy"]):
            found[max(found) + 1] = (
                decoder.decode(np.array([token]), np.array([max(found) + 2])).reshape(-1).copy()
            )
    for place in (place for place in found if str(place) in wanted["logits"]):
        np.testing.assert_allclose(found[place], wanted["logits"][str(place)], atol=TOLERANCE, err_msg=name)
    greedy = [int(found[place].argmax()) for place in range(LENGTH - 1, LENGTH - 1 + len(wanted["greedy"]))]
    assert greedy == wanted["greedy"]


@pytest.mark.parametrize("name", ENCODERS)
async def test_vectors_are_those_of_sentence_transformers(name: str, tmp_path: Path) -> None:
    header = read_parts([unpack(name, tmp_path)])
    folder = tmp_path / "source"
    folder.mkdir()
    write_model(GgufWeights(header), folder, silent)
    weights = FloatsOf(GgufWeights(header))  # their graph does not round its inputs
    write_graph(read_object(folder / "config.json"), weights, folder / "model.onnx", progress=silent)
    deployment = added_in_thread(folder, tmp_path / "deployments")
    model, wanted = opened(deployment), CASES[name]
    try:
        for texts in (list(range(len(TEXTS))), [2], [3, 0]):
            request = validate(EmbeddingsRequest, {"input": [TEXTS[text] for text in texts]})
            inputs = lower_texts(request, load(deployment).card, text_embedding_model(model, name))
            found = (await inputs.embed(UNCHECKED)).vectors
            np.testing.assert_allclose(found, np.array(wanted["vectors"])[texts], atol=2e-5)
    finally:
        model.close()


ADDED = {
    "llama-q8": ["/completions", "without loss"],
    "gemma3": ["/completions"],
    "phi3-long": ["/completions", "become float32: exact and slow"],
    "bert-cls": ["/embeddings", "Pooling is cls (modules.json)."],
    "nomic-bert": ["/embeddings", "Pooling is mean (modules.json)."],
    "qwen3-embedding": ["/embeddings", "Pooling is last (modules.json)."],
}
"""What `models add` says of some files."""


@pytest.mark.parametrize("name", ADDED)
def test_a_file_is_added_and_answers(name: str, tmp_path: Path) -> None:
    said: list[str] = []
    into = tmp_path / "into"
    options, settings = AddOptions("tiny", into), Settings(models=(into,))
    folder = add(FileSource(unpack(name, tmp_path)), options, settings, said.append)
    assert load(folder).card.files["model"] == "model.onnx"
    for part in ADDED[name]:
        assert any(part in sentence for sentence in said), said
    assert [path.name for path in into.iterdir() if path.is_dir()] == ["tiny"]


@pytest.mark.parametrize("name", ["gemma2", "qwen3-embedding", "nomic-bert"])
def test_metadata_that_contradict_the_model_are_read_or_refused(name: str, tmp_path: Path) -> None:
    """Each number of the architecture is replaced by others; nothing but a refusal is raised."""
    original = read_parts([unpack(name, tmp_path)])
    keys = [key for key in original.metadata if key.startswith(f"{original.architecture}.")]
    refused: list[str] = []
    for key in keys:
        for value in (0, 1, -1, 2**63, 1e300, True, "text"):
            header = replace(original, metadata={**original.metadata, key: value})
            try:
                write_model(GgufWeights(header), tmp_path, silent)
            except ImporterError as error:
                refused.append(str(error))
    assert len(refused) > 3 * len(keys)
    assert all(message.endswith(".") for message in refused)
