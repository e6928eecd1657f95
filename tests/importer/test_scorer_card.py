"""Recorded cross-encoders, classifiers and sparse encoders are added, and score as their libraries do.

The models and their answers: tests/golden/make_scorers.py.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.conformance.check import probe_deployment
from inference.conformance.client import InProcessClient, RequestRefused, in_process_service
from inference.contracts import Route
from inference.importer.findings import ImporterError
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.importer.models import added, card
from tests.importer.test_golden import GOLDEN, added_in_thread

SCORERS = GOLDEN / "scorers"
CROSS_ENCODERS = ("bert", "xlm-roberta", "modernbert", "deberta")
TOLERANCE = 1e-4


def source_of(name: str, folder: Path) -> Path:
    return shutil.copytree(SCORERS / name, folder / name)


def expected(name: str) -> Any:
    return json.loads((SCORERS / name / "expected.json").read_text())


@contextmanager
def serving(deployment: Path, route: Route) -> Iterator[InProcessClient]:
    settings = Settings(models=(deployment,), threads=1)
    service = in_process_service(settings, Registry(settings))
    try:
        (only,) = service.registry.deployments
        yield InProcessClient(service, only.card, route)
    finally:
        service.close()


async def answered(deployment: Path, route: Route, **body: Any) -> Any:
    with serving(deployment, route) as client:
        return await client.request(**body)


def scores_of(answer: Any) -> list[float]:
    """Return the scores of a ranking in the documents' sequence."""
    return [one["score"] for one in sorted(answer, key=lambda one: one["index"])]


@pytest.mark.parametrize("name", CROSS_ENCODERS)
async def test_an_imported_cross_encoder_gives_its_golden_scores(tmp_path: Path, name: str) -> None:
    deployment = added_in_thread(source_of(name, tmp_path), tmp_path / "deployments")
    made, golden = card(deployment), expected(name)
    assert (made["type"], made["backend"]) == ("rerank", "onnx-cross-encoder")
    with serving(deployment, Route.RERANK) as client:
        for key, raw in (("scores", False), ("raw", True)):
            found = []
            for query, document in golden["pairs"]:
                body = {"query": query, "documents": None, "texts": [document], "raw_scores": raw}
                found += scores_of(await client.request(**body))
            np.testing.assert_allclose(found, golden[key], atol=TOLERANCE, err_msg=key)


async def test_documents_of_one_request_score_as_pairs_alone(tmp_path: Path) -> None:
    deployment = added_in_thread(source_of("bert", tmp_path), tmp_path / "deployments")
    golden = [
        (pair, score)
        for pair, score in zip(expected("bert")["pairs"], expected("bert")["scores"], strict=True)
        if pair[0] == "wind"
    ]
    body = {"query": "wind", "documents": [pair[1] for pair, _ in golden]}
    results = (await answered(deployment, Route.RERANK, **body))["results"]
    found = {result["index"]: result["relevance_score"] for result in results}
    np.testing.assert_allclose([found[0], found[1]], [score for _, score in golden], atol=TOLERANCE)
    assert [result["relevance_score"] for result in results] == sorted(found.values(), reverse=True)


async def test_an_imported_classifier_gives_its_golden_scores(tmp_path: Path) -> None:
    deployment = added_in_thread(source_of("classifier", tmp_path), tmp_path / "deployments")
    golden = expected("classifier")
    assert card(deployment)["type"] == "text-classification"
    rows = await answered(deployment, Route.CLASSIFY, inputs=golden["texts"])
    for row, scores in zip(rows, golden["scores"], strict=True):
        found = {entry["label"]: entry["score"] for entry in row}
        np.testing.assert_allclose([found[label] for label in golden["labels"]], scores, atol=TOLERANCE)
        assert [entry["score"] for entry in row] == sorted(found.values(), reverse=True)


async def test_an_imported_sparse_encoder_gives_its_golden_weights(tmp_path: Path) -> None:
    deployment = added_in_thread(source_of("splade", tmp_path), tmp_path / "deployments")
    golden = expected("splade")
    assert card(deployment)["type"] == "sparse-embeddings"
    rows = await answered(deployment, Route.EMBED_SPARSE, inputs=golden["texts"])
    for row, weights in zip(rows, golden["weights"], strict=True):
        assert [entry["index"] for entry in row] == [int(index) for index in weights]
        np.testing.assert_allclose([entry["value"] for entry in row], list(weights.values()), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["bert", "classifier", "splade"])
async def test_models_check_passes_on_them(tmp_path: Path, name: str) -> None:
    deployment = added_in_thread(source_of(name, tmp_path), tmp_path / "deployments")
    results = [
        result async for result in probe_deployment(card(deployment)["name"], Settings(models=(deployment,)))
    ]
    assert [(result.parameter, result.problem) for result in results] == [("", None)]


async def test_a_pair_that_is_too_long_is_refused_where_it_may_not_be_cut(tmp_path: Path) -> None:
    deployment = added_in_thread(source_of("bert", tmp_path), tmp_path / "deployments")
    with pytest.raises(RequestRefused, match=r"documents\[1\] resulted in"):
        await answered(
            deployment, Route.RERANK, query="wind", documents=["tide", "the tide " * 40], truncate=False
        )


def test_a_model_of_masks_without_the_pooling_of_splade_is_refused(tmp_path: Path) -> None:
    source = source_of("splade", tmp_path)
    (source / "modules.json").unlink()
    with pytest.raises(ImporterError, match=r"fills in masked tokens, .* with SpladePooling in modules.json"):
        added(source, tmp_path / "deployments")


def prompted(source: Path, **config: Any) -> Path:
    """Write prompts into the file of sentence-transformers."""
    path = source / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return source


async def test_the_default_prompt_stands_before_every_query(tmp_path: Path) -> None:
    golden, reports = expected("bert"), list[str]()
    prompts = {"prompts": {"find": golden["prompt"], "other": "o "}, "default_prompt_name": "find"}
    source = prompted(source_of("bert", tmp_path), **prompts)
    deployment = added_in_thread(source, tmp_path / "deployments", reports=reports)
    assert card(deployment)["default_prompt"] == "find"
    with serving(deployment, Route.RERANK) as client:
        found = []
        for query, document in golden["pairs"]:
            found += scores_of(await client.request(query=query, documents=None, texts=[document]))
    np.testing.assert_allclose(found, golden["prompted"], atol=TOLERANCE)
    assert any("The prompt find stands before every query" in sentence for sentence in reports)
    assert any("no request can name: other." in sentence for sentence in reports)


async def test_a_prompt_name_puts_its_prompt_before_a_text(tmp_path: Path) -> None:
    source = prompted(source_of("splade", tmp_path), prompts={"query": "fog ", "document": ""})
    deployment = added_in_thread(source, tmp_path / "deployments")
    assert card(deployment)["extras"] == {"prompt_name": {}}
    with serving(deployment, Route.EMBED_SPARSE) as client:
        plain = await client.request(inputs=["rain", "fog rain"])
        named = [await client.request(inputs="rain", prompt_name=name) for name in ("document", "query")]
        assert [one[0] for one in named] == plain
        with pytest.raises(
            RequestRefused, match="passage is not supported by splade, which takes query, doc"
        ):
            await client.request(inputs="rain", prompt_name="passage")


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        (
            "bert",
            "modules.json",
            [{"type": "a.Transformer", "path": ""}, {"type": "a.Dense", "path": "1"}],
            "Dense",
        ),
        ("bert", "sentence_bert_config.json", {"transformer_task": "text-generation"}, "need sequence-class"),
        (
            "bert",
            "config_sentence_transformers.json",
            {"prompts": {"a": 5}},
            "prompts is not an object of texts",
        ),
        ("splade", "sentence_bert_config.json", {"query_expansion": True}, "query_expansion"),
    ],
)
def test_what_would_change_every_score_is_refused(
    tmp_path: Path, name: str, file: str, content: Any, message: str
) -> None:
    source = source_of(name, tmp_path)
    (source / file).write_text(json.dumps(content))
    with pytest.raises(ImporterError, match=message):
        added(source, tmp_path / "deployments")


async def test_the_three_outputs_of_one_model_are_served_as_far_as_routes_take_them(tmp_path: Path) -> None:
    golden, reports = expected("bge-m3"), list[str]()
    deployment = added_in_thread(source_of("bge-m3", tmp_path), tmp_path / "deployments", reports=reports)
    made = card(deployment)
    assert (made["type"], made["embedding"]["sparse"]) == ("embeddings", "sparse_vecs")
    assert (
        "Its output sparse_vecs weighs the tokens of a text: /embed_sparse serves it. Its output "
        "colbert_vecs, a vector for each token, is not served."
    ) in reports
    vectors = (await answered(deployment, Route.EMBEDDINGS, input=golden["texts"]))["data"]
    np.testing.assert_allclose([one["embedding"] for one in vectors], golden["vectors"], atol=TOLERANCE)
    rows = await answered(deployment, Route.EMBED_SPARSE, inputs=golden["texts"])
    for row, weights in zip(rows, golden["weights"], strict=True):
        assert [entry["index"] for entry in row] == [int(index) for index in weights]
        np.testing.assert_allclose([entry["value"] for entry in row], list(weights.values()), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bert", "scores of sample pairs"), ("classifier", "scores of sample texts"), ("splade", "weights of")],
)
def test_int8_says_how_far_scores_lie_apart(tmp_path: Path, name: str, kind: str) -> None:
    reports = list[str]()
    deployment = added(source_of(name, tmp_path), tmp_path / "deployments", reports, int8=True)
    assert card(deployment)["files"]["model"] == "model_int8.onnx"
    (sentence,) = (one for one in reports if one.startswith("In int8 the"))
    assert kind in sentence
    numbers = [float(one) for one in re.findall(r"\d\.\d{4}", sentence)]
    assert 0 < numbers[1] <= numbers[0] < 1
    assert numbers[2] < numbers[3]
