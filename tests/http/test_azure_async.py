"""`azure-ai-inference.aio`: the same over aiohttp."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from azure.ai.inference.aio import ChatCompletionsClient, EmbeddingsClient, ImageEmbeddingsClient, load_client
from azure.ai.inference.models import ImageEmbeddingInput, UserMessage
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError

from tests.http.pictures import data_url
from tests.http.servers import Server
from tests.http.zoo import GREETING
from tests.support.encoders import DIMENSIONS

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The client leaves the connection of a refused request to the garbage collector, and aiohttp warns of it."""
SAY: list[Any] = [UserMessage("Say something.")]


@pytest.fixture(autouse=True)
def left_connections_are_collected() -> Iterator[None]:
    """Collect what a test leaves before it ends: in a later module the warning would be an error."""
    yield
    gc.collect()


def chat_client(server: Server, deployment: str) -> ChatCompletionsClient:
    return ChatCompletionsClient(
        f"{server.url}/deployments/{deployment}", AzureKeyCredential("any"), retry_total=0
    )


async def test_whole_answer(endpoint: Server) -> None:
    async with chat_client(endpoint, "greeter") as client:
        answer = await client.complete(messages=SAY)

    assert answer.choices[0].message.content == GREETING


async def test_stream(endpoint: Server) -> None:
    async with chat_client(endpoint, "greeter") as client:
        got = [update async for update in await client.complete(messages=SAY, stream=True)]

    deltas = [update.choices[0].delta for update in got]
    assert len(got) > 2
    assert len({update.id for update in got}) == 1
    assert [delta.role for delta in deltas] == ["assistant"] + [None] * (len(got) - 1)
    assert "".join(delta.content or "" for delta in deltas) == GREETING
    assert got[-1].choices[0].finish_reason == "stop"
    assert got[-1].usage is not None


async def test_stream_that_fails_is_raised(endpoint: Server) -> None:
    async def consume(client: ChatCompletionsClient, said: list[Any]) -> None:
        async for update in await client.complete(messages=SAY, stream=True):
            said += [choice.delta.content for choice in update.choices or ()]

    said: list[Any] = []
    async with chat_client(endpoint, "breaker") as client:
        with pytest.raises(HttpResponseError):
            await consume(client, said)
    assert "".join(said) == "So far so good"


async def test_refusal(endpoint: Server) -> None:
    async with chat_client(endpoint, "greeter") as client:
        with pytest.raises(HttpResponseError) as refused:
            await client.complete(messages=SAY, response_format="json_object")

    assert refused.value.status_code == 422
    assert refused.value.error is not None
    assert refused.value.error.code == "parameter_not_supported"


async def test_many_at_once(endpoint: Server) -> None:
    async with chat_client(endpoint, "greeter") as client:
        answers = await asyncio.gather(*(client.complete(messages=SAY) for _ in range(8)))

    assert {answer.choices[0].message.content for answer in answers} == {GREETING}


@pytest.mark.parametrize(
    ("deployment", "kind"),
    [
        ("greeter", ChatCompletionsClient),
        ("tiny-embed", EmbeddingsClient),
        ("tiny-images", ImageEmbeddingsClient),
    ],
)
async def test_load_client(endpoint: Server, deployment: str, kind: type) -> None:
    client = await load_client(f"{endpoint.url}/deployments/{deployment}", AzureKeyCredential("any"))
    async with client:
        assert type(client) is kind
        info = await client.get_model_info()

    assert info.model_name == deployment


async def test_embeddings(endpoint: Server) -> None:
    endpoint_url = f"{endpoint.url}/deployments/tiny-embed"
    async with EmbeddingsClient(endpoint_url, AzureKeyCredential("any")) as client:
        answer = await client.embed(input=["one", "two"])

    assert [len(item.embedding) for item in answer.data] == [DIMENSIONS, DIMENSIONS]


async def test_image_embeddings(endpoint: Server) -> None:
    endpoint_url = f"{endpoint.url}/deployments/tiny-images"
    async with ImageEmbeddingsClient(endpoint_url, AzureKeyCredential("any")) as client:
        answer = await client.embed(input=[ImageEmbeddingInput(image=data_url())])

    assert answer.usage.prompt_tokens > 0
