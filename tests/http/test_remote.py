"""This app behind this app: a deployment elsewhere answers as one here does, to every client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient, ImageEmbeddingsClient, load_client
from azure.ai.inference.models import ImageEmbeddingInput, UserMessage
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError

from tests.encoders import DIMENSIONS
from tests.http.pictures import data_url
from tests.http.servers import Server, running
from tests.http.zoo import GREETING, SHORTER, TOOL, tools, write_several
from tests.decoders import CARD

KEY = "upstream-secret-4711"
SAY: list[Any] = [UserMessage("Say something.")]
TOLD: Any = [{"role": "user", "content": "Say something."}]
DIALECTS = ("this", "openai", "azure")


def write_remote(folder: Path, name: str, where: dict[str, Any], **card: Any) -> None:
    target = folder / name
    target.mkdir(parents=True)
    whole = {"name": name, "provider": "elsewhere", "type": "chat-completions", "backend": "remote"}
    described = {"parameters": CARD["parameters"], "extras": CARD["extras"], "remote": where, **card}
    (target / "model.json").write_text(json.dumps({**whole, **described}))


def endpoints(url: str, model: str) -> dict[str, dict[str, Any]]:
    """The ways to speak with the same deployment."""
    key = {"key_setting": "UPSTREAM_KEY", "model": model}
    return {
        "this": {"url": url, "dialect": "azure-ai-inference", **key},
        "openai": {"url": f"{url}/openai/v1", "dialect": "openai", **key},
        "azure": {"url": url, "dialect": "azure-openai", **key},
    }


@pytest.fixture(scope="module")
def elsewhere(workplace: Path) -> Iterator[Server]:
    """The app that is asked by the app."""
    models = write_several(workplace / "elsewhere")
    with running(models, workplace / "elsewhere.log", INFERENCE_API_KEYS=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def front(elsewhere: Server, workplace: Path) -> Iterator[Server]:
    folder = workplace / "front"
    called = {"tools": {}, "tool_choice": {}}
    vectors = {"dimensions": {}, "encoding_format": {}}
    sizes = {"dimensions": DIMENSIONS, "matryoshka": [SHORTER]}
    for word in DIALECTS:
        for model in ("greeter", "breaker", "tiny-chat"):
            write_remote(folder, f"{model}-{word}", endpoints(elsewhere.url, model)[word])
        caller = {**CARD["parameters"], **called}
        write_remote(folder, f"caller-{word}", endpoints(elsewhere.url, "caller")[word], parameters=caller)
        write_remote(
            folder,
            f"embed-{word}",
            endpoints(elsewhere.url, "tiny-embed")[word],
            type="embeddings",
            parameters=vectors,
            extras={},
            embedding=sizes,
        )
    this = endpoints(elsewhere.url, "tiny-image")["this"]
    write_remote(folder, "pictures", this, type="image-embeddings", parameters=vectors, extras={})
    write_remote(folder, "any", endpoints(elsewhere.url, "tiny-chat")["this"], extras="any")
    lost = {"url": "http://127.0.0.1:9", "dialect": "openai", "model": "x", "retries": 0}
    write_remote(folder, "lost", lost)
    wrong = {**endpoints(elsewhere.url, "greeter")["this"], "key_setting": "WRONG_KEY"}
    write_remote(folder, "locked-out", wrong)
    write_remote(folder, "keyless", {**wrong, "key_setting": "NO_SUCH_KEY"})
    settings = {"UPSTREAM_KEY": KEY, "WRONG_KEY": "not-the-key"}
    with running(folder, workplace / "front.log", **settings) as server:
        yield server


def azure(front: Server, name: str) -> ChatCompletionsClient:
    return ChatCompletionsClient(f"{front.url}/deployments/{name}", AzureKeyCredential("any"), retry_total=0)


@pytest.mark.parametrize("word", DIALECTS)
def test_whole(front: Server, word: str) -> None:
    with azure(front, f"greeter-{word}") as client:
        answer = client.complete(messages=SAY)
    assert answer.choices[0].message.content == GREETING
    assert answer.model == f"greeter-{word}"
    assert answer.usage.completion_tokens == 9
