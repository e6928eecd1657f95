"""The parts of an open model, by its kind."""

from inference.backends.loaded_models import (
    ClassifierModel,
    GenerativeModel,
    ImageEmbeddingModel,
    LoadedModel,
    RemoteDeployment,
    TextEmbeddingModel,
)
from inference.contracts import Generator, ImageEmbedder, RemoteModel, TextClassifier, TextEmbedder
from inference.pipeline.planner import expect, text_embedding_model
from inference.prompt.tokenizer import Tokenizer


def generative(model: LoadedModel) -> GenerativeModel:
    return expect(model, GenerativeModel, "test")


def generator(model: LoadedModel) -> Generator:
    return generative(model).generator


def text_embedder(model: LoadedModel) -> TextEmbedder:
    return text_embedding_model(model, "test").embedder


def text_tokenizer(model: LoadedModel) -> Tokenizer:
    if isinstance(model, GenerativeModel):
        return model.tokenizer
    return text_embedding_model(model, "test").tokenizer


def image_embedder(model: LoadedModel) -> ImageEmbedder:
    return expect(model, ImageEmbeddingModel, "test").embedder


def classifier(model: LoadedModel) -> TextClassifier:
    return expect(model, ClassifierModel, "test").classifier


def endpoint(model: LoadedModel) -> RemoteModel:
    return expect(model, RemoteDeployment, "test").endpoint


def prompts(model: LoadedModel) -> dict[str, str]:
    return dict(expect(model, TextEmbeddingModel, "test").prompts)
