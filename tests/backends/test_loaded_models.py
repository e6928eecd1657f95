"""Open models: the kind that a route needs, and everything closed once."""

from __future__ import annotations

import pytest

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
from inference.contracts import Embeddings, Events, GenerationRequest, HarmCategory, ProxyRequest
from inference.errors import DeploymentBroken
from inference.pipeline.planner import expect, text_embedding_model
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from tests.support.decoders import byte_tokenizer
from tests.support.embedders import FixedImageEmbedder, FixedTextEmbedder

TOKENIZER = Tokenizer(byte_tokenizer())
TEMPLATE = ChatTemplate({"default": ""}, {})


class Closed:
    """Notes the names of the parts that were closed, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []


class Part:
    """A generator, classifier and endpoint that can do nothing but be closed."""

    context, scores = 8, False
    categories: frozenset[HarmCategory] = frozenset()

    def __init__(self, closed: Closed, name: str) -> None:
        self._closed, self._name = closed, name

    def generate(self, request: GenerationRequest) -> Events:
        raise NotImplementedError

    async def classify(self, text: str) -> dict[HarmCategory, int]:
        raise NotImplementedError

    def close(self) -> None:
        self._closed.names.append(self._name)


class Endpoint:
    """An endpoint that can do nothing but be closed."""

    def __init__(self, closed: Closed) -> None:
        self._closed = closed

    def generate(self, request: ProxyRequest) -> list[Events]:
        raise NotImplementedError

    async def embed(self, request: ProxyRequest) -> Embeddings:
        raise NotImplementedError

    async def aclose(self) -> None:
        self._closed.names.append("connections")

    def close(self) -> None:
        self._closed.names.append("endpoint")


class TextEmbedder(FixedTextEmbedder):
    def __init__(self, closed: Closed) -> None:
        super().__init__((1,))
        self._notes = closed

    def close(self) -> None:
        self._notes.names.append("texts")


class ImageEmbedder(FixedImageEmbedder):
    def __init__(self, closed: Closed) -> None:
        super().__init__()
        self._notes = closed

    def close(self) -> None:
        self._notes.names.append("images")


def models(closed: Closed) -> dict[str, LoadedModel]:
    """Return a model of each kind."""
    tower = TextEmbeddingModel(embedder=TextEmbedder(closed), tokenizer=TOKENIZER)
    generator, images = Part(closed, "generator"), ImageEmbedder(closed)
    return {
        "text": GenerativeModel(generator=generator, tokenizer=TOKENIZER),
        "chat": ChatModel(generator=generator, tokenizer=TOKENIZER, chat_template=TEMPLATE),
        "embeddings": tower,
        "images": ImageEmbeddingModel(embedder=images),
        "dual": ImageEmbeddingModel(embedder=images, text=tower),
        "classifier": ClassifierModel(classifier=Part(closed, "classifier")),
        "remote": RemoteDeployment(endpoint=Endpoint(closed)),
    }


CLOSED = {
    "text": ["generator"],
    "chat": ["generator"],
    "embeddings": ["texts"],
    "images": ["images"],
    "dual": ["texts", "images"],
    "classifier": ["classifier"],
    "remote": ["endpoint"],
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


@pytest.mark.parametrize("name", CLOSED)
def test_a_model_closes_each_of_its_parts_once(name: str) -> None:
    closed = Closed()
    models(closed)[name].close()
    assert closed.names == CLOSED[name]


@pytest.mark.parametrize("name", CLOSED)
async def test_a_model_that_is_closed_in_its_loop_closes_connections_first(name: str) -> None:
    closed = Closed()
    await models(closed)[name].aclose()
    assert closed.names == (["connections", "endpoint"] if name == "remote" else CLOSED[name])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "kind",
    sorted({kind for kinds in KINDS.values() for kind in kinds}, key=str),
    ids=lambda kind: kind.__name__,
)
def test_a_model_is_taken_as_the_kinds_that_it_is_and_no_other(name: str, kind: type[OpenModel]) -> None:
    model = models(Closed())[name]
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
    every = models(Closed())
    assert text_embedding_model(every["embeddings"], "mine") is every["embeddings"]
    dual = every["dual"]
    assert isinstance(dual, ImageEmbeddingModel)
    assert text_embedding_model(dual, "mine") is dual.text


@pytest.mark.parametrize("name", ["images", "chat", "classifier", "remote"])
def test_a_model_without_a_part_that_embeds_texts_is_broken(name: str) -> None:
    with pytest.raises(DeploymentBroken, match=r"mine was opened as .*, its route needs TextEmbeddingModel"):
        text_embedding_model(models(Closed())[name], "mine")
