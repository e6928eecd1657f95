"""`/rerank`, `/classify` and `/embed_sparse` as the clients of Cohere, Jina and TEI speak them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.api.http_types import HttpRequest, resolve
from inference.auth.authority import Authenticator
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.support.scorers import CONTEXT, write_scorer

DOCUMENTS = ["7", "A ship passes the lighthouse before dawn.", "rain and fog over every harbour"]
QUERY = {"query": "lighthouse", "documents": DOCUMENTS}
TEI = {"query": "lighthouse", "texts": DOCUMENTS}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("scorers")
    write_scorer(root, "bert")
    write_scorer(root, "classifier")
    write_scorer(root, "splade")
    settings = Settings(models=(root,), threads=1, max_inputs=8)
    made = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    assert not made.registry.broken
    yield made
    made.close()


async def call(service: Service, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
    async def read(_: int) -> bytes:
        return json.dumps(body).encode()

    async def gone() -> bool:
        return False

    response = await service.answer(HttpRequest("POST", f"/{path}", resolve(path), headers, {}, read, gone))
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


async def scored(service: Service, body: dict[str, Any]) -> dict[int, float]:
    status, answer = await call(service, "rerank", body)
    assert status == 200, answer
    rows = answer if isinstance(answer, list) else answer["results"]
    return {row["index"]: row.get("relevance_score", row.get("score")) for row in rows}


@pytest.mark.parametrize(
    "path", ["rerank", "v1/rerank", "v2/rerank", "openai/v1/rerank", "deployments/bert/rerank"]
)
async def test_a_ranking_has_what_cohere_s_and_jina_s_clients_read(service: Service, path: str) -> None:
    status, body = await call(service, path, {"model": "bert", **QUERY})
    assert status == 200
    assert (body["object"], body["model"]) == ("list", "bert")
    scores = [row["relevance_score"] for row in body["results"]]
    assert scores == sorted(scores, reverse=True)
    assert sorted(row["index"] for row in body["results"]) == [0, 1, 2]
    assert all(row.keys() == {"index", "relevance_score"} for row in body["results"])
    tokens = body["usage"]["total_tokens"]
    assert body["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert body["meta"]["billed_units"] == {"search_units": 1}
    assert body["meta"]["tokens"] == {"input_tokens": tokens, "output_tokens": 0}


async def test_top_n_returns_the_most_relevant(service: Service) -> None:
    _, whole = await call(service, "rerank", QUERY)
    for top, count in ((1, 1), (2, 2), (9, 3), (0, 3)):
        _, body = await call(service, "rerank", {**QUERY, "top_n": top})
        assert body["results"] == whole["results"][:count]


async def test_documents_are_returned_where_they_are_wanted(service: Service) -> None:
    documents = [{"text": "fog", "id": 5}, "rain"]
    body = {"query": "wind", "documents": documents, "return_documents": True}
    _, answer = await call(service, "rerank", body)
    found = {row["index"]: row["document"] for row in answer["results"]}
    assert found == {0: {"text": "fog", "id": 5}, 1: {"text": "rain"}}


async def test_texts_ask_for_the_answer_of_tei(service: Service) -> None:
    body = {
        **TEI,
        "raw_scores": False,
        "return_text": True,
        "truncate": True,
        "truncation_direction": "Right",
    }
    status, rows = await call(service, "rerank", body)
    assert status == 200
    assert {row["index"]: row["text"] for row in rows} == dict(enumerate(DOCUMENTS))
    assert {row["index"]: row["score"] for row in rows} == await scored(service, QUERY)


async def test_raw_scores_are_those_before_the_sigmoid(service: Service) -> None:
    from math import exp

    raw, plain = await scored(service, {**TEI, "raw_scores": True}), await scored(service, TEI)
    assert {index: 1 / (1 + exp(-score)) for index, score in raw.items()} == pytest.approx(plain, abs=1e-6)


async def test_only_the_first_tokens_of_a_document_are_read(service: Service) -> None:
    short, long = "a ship", "a ship passes the lighthouse"
    cut = await scored(service, {"query": "wind", "documents": [long], "max_tokens_per_doc": 1})
    assert cut == await scored(service, {"query": "wind", "documents": [short], "max_tokens_per_doc": 1})
    assert cut != await scored(service, {"query": "wind", "documents": [long]})


async def test_the_direction_says_which_end_is_cut(service: Service) -> None:
    long = "fog " + "the tide " * 40 + "rain"
    right = await scored(service, {"query": "wind", "documents": [long]})
    left = await scored(service, {"query": "wind", "documents": [long], "truncation_direction": "left"})
    assert right == await scored(service, {"query": "wind", "documents": [long + " rain"]})
    assert left == await scored(
        service, {"query": "wind", "documents": ["fog " + long], "truncation_direction": "Left"}
    )
    assert left != right


@pytest.mark.parametrize(
    ("body", "status", "code", "place"),
    [
        ({"documents": ["a"]}, 422, "Invalid input", ["body", "query"]),
        ({"query": "", "documents": ["a"]}, 422, "Invalid input", ["body", "query"]),
        ({"query": "a"}, 422, "Invalid input", ["body", "documents"]),
        ({"query": "a", "documents": []}, 422, "Invalid input", ["body", "documents"]),
        ({"query": "a", "documents": ["b", 5]}, 422, "Invalid input", ["body", "documents", 1]),
        (
            {"query": "a", "documents": [{"title": "b"}]},
            422,
            "Invalid input",
            ["body", "documents", 0, "text"],
        ),
        ({"query": "a", "documents": ["b"], "texts": ["b"]}, 422, "Invalid input", ["body", "texts"]),
        ({**QUERY, "top_n": -1}, 422, "Invalid input", ["body", "top_n"]),
        ({**QUERY, "truncate": "END"}, 422, "Invalid input", ["body", "truncate"]),
        ({**QUERY, "documents": ["b"] * 9}, 413, "request_too_large", None),
        ({**QUERY, "max_chunks_per_doc": 10}, 400, "extra_parameters_not_allowed", None),
        ({**QUERY, "rank_fields": ["title"]}, 400, "extra_parameters_not_allowed", None),
        ({**QUERY, "mood": 1}, 400, "extra_parameters_not_allowed", None),
        ({**QUERY, "documents": ["tide " * 60], "truncate": False}, 422, "parameter_not_supported", None),
    ],
)
async def test_wrong_rankings_are_refused_at_their_place(
    service: Service, body: dict[str, Any], status: int, code: str, place: list[Any] | None
) -> None:
    found, refusal = await call(service, "rerank", body)
    assert (found, refusal["error"]["code"]) == (status, code)
    if place is not None:
        assert refusal["detail"]["loc"] == place


async def test_values_that_ask_for_nothing_are_taken(service: Service) -> None:
    body = {**QUERY, "max_chunks_per_doc": 1, "rank_fields": ["text"], "return_documents": False, "user": ""}
    assert await scored(service, body) == await scored(service, QUERY)


async def test_a_ranking_can_be_run_dry(service: Service) -> None:
    status, report = await call(service, "rerank", QUERY, **{"x-dry-run": "true"})
    assert (status, report["status"], report["context"]) == (200, 200, CONTEXT)
    _, body = await call(service, "rerank", QUERY)
    assert sum(report["prompt_tokens"]) == body["usage"]["total_tokens"]


@pytest.mark.parametrize("path", ["classify", "predict"])
async def test_a_text_has_its_labels_and_several_have_theirs(service: Service, path: str) -> None:
    status, alone = await call(service, path, {"inputs": "fog"})
    assert (status, {row["label"] for row in alone}) == (200, {"calm", "windy", "stormy"})
    assert sum(row["score"] for row in alone) == pytest.approx(1)
    _, several = await call(service, path, {"inputs": ["fog", ["fog"], ["fog", "rain"]]})
    assert several[:2] == [alone, alone]
    assert several[2] != alone


async def test_a_classifier_s_raw_scores_are_its_logits(service: Service) -> None:
    _, raw = await call(service, "classify", {"inputs": "fog", "raw_scores": True})
    assert sum(row["score"] for row in raw) != pytest.approx(1)


@pytest.mark.parametrize(
    ("route", "inputs", "place"),
    [
        ("classify", "", ["body", "inputs"]),
        ("classify", [], ["body", "inputs"]),
        ("classify", ["fog", ""], ["body", "inputs", 1]),
        ("classify", [["a", "b", "c"]], ["body", "inputs", 0]),
        ("classify", [5], ["body", "inputs", 0]),
        ("embed_sparse", "", ["body", "inputs"]),
        ("embed_sparse", [], ["body", "inputs"]),
        ("embed_sparse", [["a", "b"]], ["body", "inputs", 0]),
    ],
)
async def test_wrong_inputs_are_refused_at_their_place(
    service: Service, route: str, inputs: Any, place: list[Any]
) -> None:
    status, refusal = await call(service, route, {"inputs": inputs})
    assert (status, refusal["detail"]["loc"]) == (422, place)


@pytest.mark.parametrize("route", ["classify", "embed_sparse"])
async def test_long_inputs_are_refused_unless_they_may_be_cut(service: Service, route: str) -> None:
    long = {"inputs": "the tide " * 60}
    status, refusal = await call(service, route, long)
    assert (status, refusal["code"]) == (422, "parameter_not_supported")
    status, report = await call(service, route, {**long, "truncate": True}, **{"x-dry-run": "true"})
    assert (status, report["prompt_tokens"]) == (200, [CONTEXT])


async def test_weights_are_of_rising_tokens_and_above_zero(service: Service) -> None:
    status, rows = await call(service, "embed_sparse", {"inputs": "fog"})
    assert (status, len(rows)) == (200, 1)
    indices = [entry["index"] for entry in rows[0]]
    assert indices == sorted(indices)
    assert all(entry["value"] > 0 for entry in rows[0])
    assert rows + rows == (await call(service, "embed_sparse", {"inputs": ["fog", "fog"]}))[1]


async def test_info_names_the_routes_of_scores(service: Service) -> None:
    listed = {one.name: sorted(one.card.routes) for one in service.registry.deployments}
    assert listed == {"bert": ["rerank"], "classifier": ["classify"], "splade": ["embed_sparse"]}


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("rerank", {"query": "zounds", "documents": ["fog"]}, "query"),
        ("rerank", {"query": "fog", "documents": ["rain", {"text": "zounds"}]}, "query"),
        ("rerank", {"query": "fog", "texts": ["zounds"]}, "query"),
        ("classify", {"inputs": [["fog", "zounds"]]}, "inputs"),
        ("embed_sparse", {"inputs": ["zounds"]}, "inputs"),
    ],
)
async def test_every_text_is_judged_as_input(
    tmp_path: Path, path: str, body: dict[str, Any], key: str
) -> None:
    for source in ("bert", "classifier", "splade"):
        write_scorer(tmp_path / "models", source)
    (tmp_path / "words.txt").write_text("zounds\n")
    settings = Settings(
        models=(tmp_path / "models",), threads=1, content_safety_blocklist_files=(tmp_path / "words.txt",)
    )
    made = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    try:
        status, refusal = await call(made, path, body)
        assert (status, refusal["error"]["code"], refusal["error"]["param"]) == (400, "content_filter", key)
    finally:
        made.close()
