"""Exports of the common families of text encoders against the vectors of their own library.

The folders are made by tests/golden/make_encoders.py. Their weights are random and large, so that
a wrong mask, position, prompt or pooling shows far above the tolerance.
"""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.api.embeddings import EmbeddingsRequest
from inference.api.validation import validate
from inference.backends.loaded_models import LoadedModel
from inference.cards.card import Card, Deployment, load
from inference.errors import ParameterNotSupported
from inference.pipeline.planner import text_embedding_model
from inference.pipeline.request_check import UNCHECKED
from inference.pipeline.text_embedding import lower_texts
from tests.backends.encoder.test_text_encoder import opened
from tests.support.decoders import write_json

Floats = NDArray[np.float32]

FOLDERS = sorted(
    path for path in (Path(__file__).parents[2] / "golden" / "encoders").iterdir() if path.is_dir()
)
TOLERANCE = 2e-5
"""The difference of torch's arithmetic and onnxruntime's in vectors of length one, alone and in a batch."""
UNSCALED = 2e-4
"""The same in vectors of length up to thirty."""
CONTEXT = 64


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda path: path.name)
def family(request: pytest.FixtureRequest) -> Iterator[tuple[Deployment, LoadedModel]]:
    deployment = load(request.param)
    with opened(request.param) as model:
        yield deployment, model


def expected(deployment: Deployment) -> Any:
    return json.loads((deployment.folder / "expected.json").read_bytes())


async def vectors(card: Card, model: LoadedModel, **body: Any) -> Floats:
    request = validate(EmbeddingsRequest, body)
    inputs = lower_texts(request, card, text_embedding_model(model, card.name))
    return (await inputs.embed(UNCHECKED)).vectors


async def test_vectors_match_the_model_s_own_library(
    family: tuple[Deployment, LoadedModel],
) -> None:
    deployment, model = family
    golden = expected(deployment)
    for kind, rows in golden["vectors"].items():
        found = await vectors(deployment.card, model, input=golden["texts"], input_type=kind)
        np.testing.assert_allclose(found, rows, atol=TOLERANCE, err_msg=kind)


async def test_a_text_has_the_same_vector_alone_and_in_a_batch(
    family: tuple[Deployment, LoadedModel],
) -> None:
    deployment, model = family
    golden = expected(deployment)
    for text, row in zip(golden["texts"], golden["vectors"]["text"], strict=True):
        np.testing.assert_allclose(
            (await vectors(deployment.card, model, input=text))[0], row, atol=TOLERANCE
        )


async def test_long_texts_are_truncated_as_the_library_truncates(
    family: tuple[Deployment, LoadedModel],
) -> None:
    deployment, model = family
    golden = expected(deployment)
    with pytest.raises(ParameterNotSupported) as refused:
        await vectors(deployment.card, model, input=golden["long"], truncate="NONE")
    (offender,) = refused.value.offenders
    assert re.fullmatch(f"the input has [0-9]+ tokens, {deployment.name} takes {CONTEXT}", offender.message)
    if default_prompt(deployment):
        return  # the library's vector is that of the text without it
    (found,) = await vectors(deployment.card, model, input=golden["long"], truncate="END")
    np.testing.assert_allclose(found, golden["cut"], atol=TOLERANCE)


def default_prompt(deployment: Deployment) -> str | None:
    path = deployment.folder / "config_sentence_transformers.json"
    found: str | None = json.loads(path.read_bytes())["default_prompt_name"] if path.is_file() else None
    return found


inputs = st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=CONTEXT), min_size=1, max_size=12)


@settings(deadline=None, max_examples=25)
@given(inputs)
def test_batches_of_any_lengths_give_the_vectors_of_single_inputs(
    family: tuple[Deployment, LoadedModel], inputs: list[list[int]]
) -> None:
    card, model = family[0].card, family[1]
    together = asyncio.run(vectors(card, model, input=inputs))
    alone = [asyncio.run(vectors(card, model, input=tokens))[0] for tokens in inputs]
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)


POOLINGS = json.loads((FOLDERS[0] / "poolings.json").read_bytes())


@pytest.mark.parametrize("case", POOLINGS["vectors"])
@pytest.mark.parametrize("switches", [True, False], ids=["a key a mode", "one key"])
async def test_every_pooling_and_excluded_prompts_match_the_library(
    tmp_path: Path, case: str, switches: bool
) -> None:
    mode, _, _ = case.partition(" without prompt")
    folder = shutil.copytree(FOLDERS[0], tmp_path / "bert")
    key = {"cls": "pooling_mode_cls_token", "lasttoken": "pooling_mode_lasttoken"}
    mean = {"mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens"}
    key |= mean | {name: f"pooling_mode_{name}_tokens" for name in ("max", "mean", "weightedmean")}
    config = {key[mode]: True, "pooling_mode_other": False} if switches else {"pooling_mode": mode}
    write_json(folder / "1_Pooling" / "config.json", {**config, "include_prompt": "without" not in case})
    steps = json.loads((folder / "modules.json").read_bytes())
    write_json(folder / "modules.json", [step for step in steps if not step["type"].endswith("Normalize")])
    embedding = {"prompts": {"text": POOLINGS["prompt"]}}
    card = json.loads((folder / "model.json").read_bytes())
    write_json(folder / "model.json", {**card, "embedding": embedding})
    with opened(folder) as model:
        texts = expected(load(folder))["texts"][: len(POOLINGS["vectors"][case])]
        found = await vectors(load(folder).card, model, input=texts)
    np.testing.assert_allclose(found, POOLINGS["vectors"][case], atol=UNSCALED)
