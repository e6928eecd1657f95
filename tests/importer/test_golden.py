"""Every recorded model is added without options, as a hub has it, and answers as its own library does.

The models and their answers: tests/golden/make_decoders.py, make_encoders.py, make_dual_encoders.py.
"""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from inference.api.embeddings import EmbeddingsRequest
from inference.api.validation import validate
from inference.backends import BACKENDS
from inference.backends.loaded_models import GenerativeModel, LoadedModel
from inference.cards.card import load
from inference.contracts import GenerationRequest
from inference.pipeline.planner import expect, text_embedding_model
from inference.pipeline.request_check import UNCHECKED
from inference.pipeline.text_embedding import lower_texts
from inference.settings import Settings
from tests.backends.decoder.running import GREEDY, answer
from tests.golden.make_dual_encoders import IMAGE_SIZES, TEXTS
from tests.golden.make_preprocessing import sample_image
from tests.importer.models import added, card
from tests.support import models
from tests.support.decoders import write_json

GOLDEN = Path(__file__).parents[1] / "golden"
DECODERS, ENCODERS, DUAL = (
    sorted(folder.name for folder in (GOLDEN / kind).iterdir() if folder.is_dir())
    for kind in ("decoders", "encoders", "dual_encoders")
)
VOCABULARY, END = 128, 2
TOLERANCE = 2e-5
"""Difference of numbers of normalized vectors between torch and onnxruntime."""


def opened(deployment: Path) -> LoadedModel:
    found = load(deployment)
    return BACKENDS[found.card.backend].open(found, Settings(threads=1))


def published(name: str, folder: Path) -> Path:
    """Write the graph where its exporter puts it, with the other files of a repository."""
    source = shutil.copytree(GOLDEN / "decoders" / name, folder / name)
    (source / "tokens.json").unlink()
    words = {str(token): token for token in range(VOCABULARY)}
    Tokenizer(WordLevel(words, unk_token="0")).save(str(source / "tokenizer.json"))
    config = json.loads((source / "config.json").read_text())
    if name.startswith("genai"):
        decoder = {
            "head_size": config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        }
        genai = {"context_length": 256, "eos_token_id": END, "type": config["model_type"], "decoder": decoder}
        write_json(source / "genai_config.json", {"model": genai})
    if name.endswith("-merged"):
        (source / "onnx").mkdir()
        (source / "model.onnx").rename(source / "onnx" / "decoder_model_merged.onnx")
    if config["model_type"] == "bloom":
        write_json(source / "config.json", {**config, "seq_length": 256})
    return source


@pytest.mark.parametrize("name", DECODERS)
async def test_an_imported_decoder_gives_its_golden_tokens(tmp_path: Path, name: str) -> None:
    deployment = added_in_thread(published(name, tmp_path), tmp_path / "deployments")
    context = card(deployment)["context"]
    model = expect(opened(deployment), GenerativeModel, name)
    golden = json.loads((GOLDEN / "decoders" / name / "tokens.json").read_text())
    cases = [case for case in golden if case["context"] == context]
    assert cases
    try:
        for case in cases:
            request = GenerationRequest(
                tuple(case["prompt"]), len(case["tokens"]), GREEDY, stop_tokens=model.stop_tokens
            )
            assert (await answer(model, request))[0] == before(END, case["tokens"])
    finally:
        model.close()


@pytest.mark.parametrize("name", [name for name in DECODERS if name.startswith("genai")])
def test_a_folder_of_the_builder_needs_no_config(tmp_path: Path, name: str) -> None:
    source = published(name, tmp_path)
    (source / "config.json").unlink()
    assert card(added_in_thread(source, tmp_path / "deployments"))["context"] == 256


@pytest.mark.parametrize("name", ENCODERS)
async def test_an_imported_encoder_gives_its_golden_vectors(tmp_path: Path, name: str) -> None:
    source = shutil.copytree(GOLDEN / "encoders" / name, tmp_path / name)
    (source / "model.json").unlink()
    deployment = added_in_thread(source, tmp_path / "deployments")
    golden = json.loads((source / "expected.json").read_text())
    model = opened(deployment)
    try:
        for kind, rows in golden["vectors"].items():
            request = validate(EmbeddingsRequest, {"input": golden["texts"], "input_type": kind})
            inputs = lower_texts(request, load(deployment).card, text_embedding_model(model, name))
            found = await inputs.embed(UNCHECKED)
            np.testing.assert_allclose(found.vectors, rows, atol=TOLERANCE, err_msg=kind)
    finally:
        model.close()


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "split"])
@pytest.mark.parametrize("name", DUAL)
async def test_an_imported_dual_encoder_gives_its_golden_vectors(
    tmp_path: Path, name: str, joint: bool
) -> None:
    source = shutil.copytree(GOLDEN / "dual_encoders" / name, tmp_path / name)
    for unused in ("text_model.onnx", "vision_model.onnx") if joint else ("model.onnx",):
        (source / unused).unlink()
    deployment = added_in_thread(source, tmp_path / "deployments")
    files = card(deployment)["files"]
    assert (files["model"] == files["text_model"]) is joint
    model = opened(deployment)
    try:
        with np.load(GOLDEN / "dual_encoders" / name / "expected.npz") as expected:
            images = await models.image_embedder(model).embed_images(
                [sample_image(*one) for one in IMAGE_SIZES]
            )
            np.testing.assert_allclose(images, expected["images"], atol=TOLERANCE)
            ids = models.text_tokenizer(model).encode_batch(list(TEXTS), special=True)
            texts = await models.text_embedder(model).embed(ids)
            np.testing.assert_allclose(texts, expected["texts"], atol=TOLERANCE)
    finally:
        model.close()


def before(end: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens


def added_in_thread(source: Path, into: Path, **options: Any) -> Path:
    """Import in a thread, since an import runs an event loop of its own."""

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(added, source, into, **options).result()
