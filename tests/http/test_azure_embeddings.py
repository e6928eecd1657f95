"""`azure-ai-inference`: text and image embeddings."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from azure.ai.inference import EmbeddingsClient, ImageEmbeddingsClient, load_client
from azure.ai.inference.models import EmbeddingInputType, ImageEmbeddingInput
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from numpy.typing import NDArray

from tests.http.pictures import data_url
from tests.http.refusals import refusal
from tests.http.servers import Server
from tests.http.zoo import AROUND, QUERY, SHORTER
from tests.support.encoders import CONTEXT, DIMENSIONS, PATCHES

KEY = AzureKeyCredential("any")
TEXTS = ["a red house", "snow"]


@pytest.fixture
def texts(endpoint: Server) -> Iterator[EmbeddingsClient]:
    with EmbeddingsClient(f"{endpoint.url}/deployments/tiny-embed", KEY, retry_total=0) as client:
        yield client


@pytest.fixture
def images(endpoint: Server) -> Iterator[ImageEmbeddingsClient]:
    with ImageEmbeddingsClient(f"{endpoint.url}/deployments/tiny-images", KEY, retry_total=0) as client:
        yield client


def vectors(client: EmbeddingsClient, **options: Any) -> NDArray[np.float64]:
    return np.array([item.embedding for item in client.embed(**{"input": TEXTS, **options}).data])


def test_load_client(endpoint: Server) -> None:
    with load_client(f"{endpoint.url}/deployments/tiny-embed", KEY) as client:
        assert isinstance(client, EmbeddingsClient)
    with load_client(f"{endpoint.url}/deployments/tiny-images", KEY) as client:
        assert isinstance(client, ImageEmbeddingsClient)
        assert client.get_model_info().model_type == "image-embeddings"


def test_list_of_texts(texts: EmbeddingsClient) -> None:
    answer = texts.embed(input=TEXTS)

    assert answer.id
    assert answer.model == "tiny-embed"
    assert answer["object"] == "list"
    assert [(item.index, len(item.embedding)) for item in answer.data] == [(0, DIMENSIONS), (1, DIMENSIONS)]
    assert (
        answer.usage.prompt_tokens == answer.usage.total_tokens == sum(len(text) + AROUND for text in TEXTS)
    )
    np.testing.assert_allclose(np.linalg.norm(vectors(texts), axis=1), 1, rtol=1e-5)


def test_texts_together_are_what_they_are_alone(texts: EmbeddingsClient) -> None:
    alone = np.concatenate([vectors(texts, input=[text]) for text in TEXTS])

    np.testing.assert_allclose(vectors(texts), alone, atol=1e-6)


def test_a_list_of_thousands_is_split_inside_and_stays_in_order(texts: EmbeddingsClient) -> None:
    """So many numbers are written beside the event loop."""
    many = [f"{number:03} {'x' * (number * 7 % 50)}" for number in range(2001)]
    whole = vectors(texts, input=many)

    assert whole.shape == (2001, DIMENSIONS)
    for place in (0, 1, 999, 2000):
        np.testing.assert_allclose(vectors(texts, input=[many[place]])[0], whole[place], atol=1e-5)


def test_dimensions_cut_and_bring_back_to_length_one(texts: EmbeddingsClient) -> None:
    whole, short = vectors(texts), vectors(texts, dimensions=SHORTER)

    expected = whole[:, :SHORTER] / np.linalg.norm(whole[:, :SHORTER], axis=1, keepdims=True)
    np.testing.assert_allclose(short, expected, atol=1e-5)
    np.testing.assert_array_equal(vectors(texts, dimensions=DIMENSIONS), whole)


def test_encoding_formats_say_the_same_vector(texts: EmbeddingsClient) -> None:
    whole = vectors(texts)
    encoded = {
        name: [item.embedding for item in texts.embed(input=TEXTS, encoding_format=name).data]
        for name in ("base64", "int8", "uint8", "binary", "ubinary")
    }

    decoded = [np.frombuffer(b64decode(str(text)), "<f4") for text in encoded["base64"]]
    np.testing.assert_array_equal(decoded, whole.astype(np.float32))
    int8 = np.array(encoded["int8"])
    np.testing.assert_array_equal(int8, np.rint(whole.astype(np.float32) * np.float32(127)))
    np.testing.assert_array_equal(encoded["uint8"], int8 + 128)
    ubinary = np.array(encoded["ubinary"])
    np.testing.assert_array_equal(ubinary, np.packbits(whole > 0, axis=1))
    np.testing.assert_array_equal(encoded["binary"], ubinary.astype(int) - 128)


def test_input_type_puts_the_prompt_before_the_text(texts: EmbeddingsClient) -> None:
    queried = vectors(texts, input_type=EmbeddingInputType.QUERY)

    np.testing.assert_array_equal(queried, vectors(texts, input=[QUERY + text for text in TEXTS]))
    np.testing.assert_array_equal(vectors(texts, input_type=EmbeddingInputType.DOCUMENT), vectors(texts))


@pytest.mark.parametrize(("side", "kept"), [("END", slice(None, 62)), ("START", slice(-62, None))])
def test_a_long_text_loses_the_side_that_is_named(texts: EmbeddingsClient, side: str, kept: slice) -> None:
    long = "".join(chr(ord("a") + number % 26) for number in range(200))
    answer = texts.embed(input=[long], model_extras={"truncate": side})

    assert answer.usage.prompt_tokens == 64
    cut = vectors(texts, input=[long], model_extras={"truncate": side})
    np.testing.assert_allclose(cut, vectors(texts, input=[long[kept]]), atol=1e-6)


@pytest.mark.parametrize("extras", [{}, {"truncate": "NONE"}])
def test_a_long_text_is_refused_with_both_lengths(endpoint: Server, extras: dict[str, Any]) -> None:
    body = {"input": ["short", "x" * 200], **extras}
    headers = {"extra-parameters": "pass-through"}
    answer = endpoint.post("/deployments/tiny-embed/embeddings", body, headers=headers)

    refused = refusal(answer, 422, "parameter_not_supported")
    assert refused["detail"]["loc"] == ["body", "input", 1]
    assert refused["error"]["details"][0]["message"] == "the input has 202 tokens, tiny-embed takes 64"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"dimensions": 7}, "parameter_not_supported"),
        ({"encoding_format": "float128"}, "Invalid input"),
        ({"input_type": "poem"}, "Invalid input"),
        ({"input": [""]}, "Invalid input"),
        ({"input": []}, "Invalid input"),
        ({"model_extras": {"n": 2}}, "parameter_not_supported"),
    ],
)
def test_refusals(texts: EmbeddingsClient, options: dict[str, Any], code: str) -> None:
    with pytest.raises(HttpResponseError) as refused:
        texts.embed(**{"input": TEXTS, **options})

    assert refused.value.status_code == 422
    assert refused.value.error is not None
    assert refused.value.error.code == code


def test_picture(images: ImageEmbeddingsClient) -> None:
    answer = images.embed(
        input=[ImageEmbeddingInput(image=data_url()), ImageEmbeddingInput(image=data_url("blue"))]
    )

    red, blue = (np.array(item.embedding) for item in answer.data)
    assert red.shape == (DIMENSIONS,)
    assert not np.allclose(red, blue)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 2 * PATCHES


def test_picture_of_another_size_and_wrong_label(images: ImageEmbeddingsClient) -> None:
    urls = [data_url(), data_url(edge=20), data_url(label="image/jpeg")]
    answer = images.embed(input=[ImageEmbeddingInput(image=url) for url in urls])

    same, larger, mislabelled = (np.array(item.embedding) for item in answer.data)
    np.testing.assert_allclose(larger, same, atol=1e-5)
    np.testing.assert_allclose(mislabelled, same, atol=1e-5)


def test_picture_encoded(images: ImageEmbeddingsClient) -> None:
    answer = images.embed(input=[ImageEmbeddingInput(image=data_url())], encoding_format="int8")

    assert {int(number) for number in answer.data[0].embedding} <= set(range(-128, 128))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (
            {"input": [ImageEmbeddingInput(image=data_url(), text="y" * CONTEXT)]},
            "parameter_not_supported",
        ),
        ({"input": [ImageEmbeddingInput(image=data_url(), text="")]}, "Invalid input"),
        ({"input": [ImageEmbeddingInput(image="https://example.com/a.png")]}, "Invalid input"),
        ({"input": [ImageEmbeddingInput(image="data:image/png;base64,AAAA")]}, "Invalid input"),
        ({"dimensions": 4}, "parameter_not_supported"),
    ],
)
def test_refused_pictures(images: ImageEmbeddingsClient, options: dict[str, Any], code: str) -> None:
    with pytest.raises(HttpResponseError) as refused:
        images.embed(**{"input": [ImageEmbeddingInput(image=data_url())], **options})

    assert refused.value.status_code == 422
    assert refused.value.error is not None
    assert refused.value.error.code == code


def test_starter_deployment_knows_what_is_alike(starter_embeddings: Server) -> None:
    with EmbeddingsClient(f"{starter_embeddings.url}/deployments/starter-embeddings", KEY) as client:
        cat, kitten, tax = vectors(client, input=["a cat", "a small kitten", "income tax law"])

    assert cat @ kitten > cat @ tax + 0.2
