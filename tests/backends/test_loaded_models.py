"""Open models: each of their parts is closed once."""

from __future__ import annotations

import pytest

from inference.backends.loaded_models import (
    ChatModel,
    ClassifierModel,
    GenerativeModel,
    ImageEmbeddingModel,
    LoadedModel,
    RemoteDeployment,
    TextEmbeddingModel,
)
from inference.contracts import Embeddings, Events, GenerationRequest, HarmCategory, ProxyRequest, Ranking
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from tests.support.decoders import byte_tokenizer
from tests.support.embedders import FixedImageEmbedder, FixedScorer, FixedTextEmbedder

TOKENIZER = Tokenizer(byte_tokenizer())
TEMPLATE = ChatTemplate({"default": ""}, {})


class Closed:
    """Notes the names of the parts that were closed, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []


class Part:
    """A generator, classifier and endpoint that can do nothing but be closed."""

    context = 8
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

    async def rerank(self, request: ProxyRequest) -> Ranking:
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
        "classifier": ClassifierModel(
            classifier=Part(closed, "classifier"), scorer=FixedScorer(), tokenizer=TOKENIZER
        ),
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
