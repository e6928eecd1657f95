"""Requests become plans: of the kind of their model, in a thread where lowering takes long."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.validation import AnyRequest, validate
from inference.backends.loaded_models import (
    ChatModel,
    ClassifierModel,
    GenerativeModel,
    ImageEmbeddingModel,
    LoadedModel,
    OpenModel,
    RemoteDeployment,
    TextEmbeddingModel,
)
from inference.cards.card import Card, Deployment
from inference.contracts import ApiStyle, Events, GenerationRequest, HarmCategory
from inference.errors import DeploymentBroken
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.generate import LocalGeneration
from inference.pipeline.image_embedding import ImageInputs
from inference.pipeline.planner import SHORT, Planner, expect, text_embedding_model
from inference.pipeline.proxy import RemoteEmbedding, RemoteGeneration
from inference.pipeline.text_embedding import TextInputs
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from tests.http.pictures import data_url
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES
from tests.support.decoders import byte_tokenizer
from tests.support.embedders import FixedImageEmbedder, FixedScorer, FixedTextEmbedder
from tests.support.exchanges import exchange_of, http_request

PLANNER = Planner(Settings())


class Silent:
    """A generator and classifier that can do nothing."""

    context = 8192
    categories: frozenset[HarmCategory] = frozenset()

    def generate(self, request: GenerationRequest) -> Events:
        raise NotImplementedError

    async def classify(self, text: str) -> dict[HarmCategory, int]:
        raise NotImplementedError

    def close(self) -> None: ...


class Endpoint:
    """An endpoint that can do nothing."""

    def generate(self, request: Any) -> list[Events]:
        raise NotImplementedError

    async def embed(self, request: Any) -> Any:
        raise NotImplementedError

    async def rerank(self, request: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None: ...

    def close(self) -> None: ...


class WatchedTokenizer(Tokenizer):
    """A tokenizer that notes the threads it encodes in."""

    threads: list[threading.Thread]

    def encode(self, text: str, *, special: bool) -> list[int]:
        self.threads.append(threading.current_thread())
        return super().encode(text, special=special)

    def encode_prompt(self, text: str) -> list[int]:
        self.threads.append(threading.current_thread())
        return super().encode_prompt(text)

    def encode_batch(self, texts: Any, *, special: bool) -> list[list[int]]:
        self.threads.append(threading.current_thread())
        return super().encode_batch(texts, special=special)


def watched() -> WatchedTokenizer:
    tokenizer = WatchedTokenizer(byte_tokenizer())
    tokenizer.threads = []
    return tokenizer


TOKENIZER = Tokenizer(byte_tokenizer())
TOWER = TextEmbeddingModel(embedder=FixedTextEmbedder((1,), 8192), tokenizer=TOKENIZER)
TEMPLATE = ChatTemplate({"default": "{{ messages[0].content }}"}, {})
MODELS: dict[str, LoadedModel] = {
    "text": GenerativeModel(generator=Silent(), tokenizer=TOKENIZER),
    "chat": ChatModel(generator=Silent(), tokenizer=TOKENIZER, chat_template=TEMPLATE),
    "embeddings": TOWER,
    "images": ImageEmbeddingModel(embedder=FixedImageEmbedder()),
    "dual": ImageEmbeddingModel(embedder=FixedImageEmbedder(), text=TOWER),
    "classifier": ClassifierModel(classifier=Silent(), scorer=FixedScorer(), tokenizer=TOKENIZER),
    "remote": RemoteDeployment(endpoint=Endpoint()),
}
KINDS: dict[str, set[type[OpenModel]]] = {
    "text": {GenerativeModel},
    "chat": {GenerativeModel, ChatModel},
    "embeddings": {TextEmbeddingModel},
    "images": {ImageEmbeddingModel},
    "dual": {ImageEmbeddingModel},
    "classifier": {ClassifierModel},
    "remote": {RemoteDeployment},
}
"""The kinds that each model is."""


def resolve(
    request_type: type[AnyRequest], card: dict[str, Any], body: dict[str, Any], characters: int = 1
) -> tuple[AnyRequest, ResolvedRequest]:
    request, deployment = validate(request_type, body), Deployment(Card.model_validate(card), Path())
    route = request_type.route
    return request, ResolvedRequest(route, deployment, ApiStyle.OPENAI, "openai", (), characters, body)


async def plan(name: str, model: LoadedModel) -> Any:
    """Return the plan of the planner's method of this name."""
    exchange = exchange_of(http_request("chat/completions"))
    match name:
        case "chat":
            body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
            return await PLANNER.chat(*resolve(ChatRequest, CHAT, body), model, exchange)
        case "completion":
            return await PLANNER.completion(
                *resolve(CompletionRequest, CHAT, {"prompt": "a"}), model, exchange
            )
        case "texts":
            body = {"input": "a"}
            return await PLANNER.texts(*resolve(EmbeddingsRequest, EMBEDDINGS, body), model, exchange)
        case _:
            body = {"input": [{"image": data_url()}]}
            return await PLANNER.images(*resolve(ImageEmbeddingsRequest, IMAGES, body), model, exchange)


PLANS: dict[str, tuple[type, set[str], type]] = {
    "chat": (LocalGeneration, {"chat"}, RemoteGeneration),
    "completion": (LocalGeneration, {"chat", "text"}, RemoteGeneration),
    "texts": (TextInputs, {"embeddings", "dual"}, RemoteEmbedding),
    "images": (ImageInputs, {"images", "dual"}, RemoteEmbedding),
}
"""The plan of each method, the models that it is made for, and its plan for an endpoint."""


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("model", MODELS)
async def test_a_plan_is_made_for_the_models_that_serve_its_route(name: str, model: str) -> None:
    local, serving, remote = PLANS[name]
    if model == "remote":
        assert type(await plan(name, MODELS[model])) is remote
    elif model in serving:
        assert type(await plan(name, MODELS[model])) is local
    else:
        with pytest.raises(DeploymentBroken):
            await plan(name, MODELS[model])


@pytest.mark.parametrize(("characters", "on_the_loop"), [(SHORT, True), (SHORT + 1, False)])
async def test_a_long_text_is_tokenised_in_a_thread(characters: int, *, on_the_loop: bool) -> None:
    tokenizer = watched()
    model = TextEmbeddingModel(embedder=FixedTextEmbedder((1,), 8192), tokenizer=tokenizer)
    request, resolved = resolve(EmbeddingsRequest, EMBEDDINGS, {"input": "a" * characters}, characters)
    await PLANNER.texts(request, resolved, model, exchange_of(http_request("embeddings")))
    assert [thread is threading.current_thread() for thread in tokenizer.threads] == [on_the_loop]


@pytest.mark.parametrize(("choice", "on_the_loop"), [("auto", True), ("required", False)])
async def test_a_constrained_answer_is_lowered_in_a_thread(choice: str, *, on_the_loop: bool) -> None:
    tokenizer = watched()
    model = ChatModel(generator=Silent(), tokenizer=tokenizer, chat_template=TEMPLATE)
    tools = [{"type": "function", "function": {"name": "look"}}]
    body = {"messages": [{"role": "user", "content": "hi"}], "tools": tools, "tool_choice": choice}
    request, resolved = resolve(ChatRequest, CHAT, body)
    await PLANNER.chat(request, resolved, model, exchange_of(http_request("chat/completions")))
    assert {thread is threading.current_thread() for thread in tokenizer.threads} == {on_the_loop}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "kind",
    [
        GenerativeModel,
        ChatModel,
        TextEmbeddingModel,
        ImageEmbeddingModel,
        ClassifierModel,
        RemoteDeployment,
    ],
    ids=lambda kind: str(kind.__name__),
)
def test_a_model_is_taken_as_the_kinds_that_it_is_and_no_other(name: str, kind: type[OpenModel]) -> None:
    model = MODELS[name]
    if kind in KINDS[name]:
        assert expect(model, kind, "mine") is model
        return
    with pytest.raises(DeploymentBroken) as refusal:
        expect(model, kind, "mine")
    assert refusal.value.status == 424
    assert refusal.value.message == (
        f"mine was opened as {type(model).__name__}, its route needs {kind.__name__}."
    )


def test_texts_are_embedded_by_the_model_itself_or_by_its_tower() -> None:
    assert text_embedding_model(MODELS["embeddings"], "mine") is TOWER
    assert text_embedding_model(MODELS["dual"], "mine") is TOWER


@pytest.mark.parametrize("name", ["images", "chat", "classifier", "remote"])
def test_a_model_without_a_part_that_embeds_texts_is_broken(name: str) -> None:
    with pytest.raises(DeploymentBroken, match=r"mine was opened as .*, its route needs TextEmbeddingModel"):
        text_embedding_model(MODELS[name], "mine")
