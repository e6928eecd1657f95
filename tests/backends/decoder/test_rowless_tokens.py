"""Decoders whose tokenizer has tokens without a row, gaps in its ids, or tokens that are ruled out."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from inference.conformance.client import InProcessClient, RequestRefused, in_process_service
from inference.contracts import Route
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.support.decoders import CARD, SHAPE, write_decoder, write_json

ROWLESS = "<image>"
LIMIT = SHAPE.vocab
NEVER = 65
PARAMETERS = {"parameters": {**CARD["parameters"], "response_format": {}}}
EXTRAS = {"extras": {**CARD["extras"], "guided_grammar": {}, "guided_regex": {}}}


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[dict[Route, InProcessClient]]:
    """A chat model whose last special token has the first id beyond the logits, behind a gap of ids."""
    folder = write_decoder(tmp_path, card={**PARAMETERS, **EXTRAS})
    added = {str(LIMIT): {"content": ROWLESS, "special": True}}
    write_json(folder / "tokenizer_config.json", {"added_tokens_decoder": added})
    stops = json.loads((folder / "generation_config.json").read_text())
    write_json(folder / "generation_config.json", {**stops, "suppress_tokens": [NEVER]})
    settings = Settings(models=(folder,), max_tokens=40)
    service = in_process_service(settings, Registry(settings))
    card = service.registry.deployments[0].card
    yield {route: InProcessClient(service, card, route) for route in card.routes}
    service.close()


async def test_a_prompt_with_a_token_without_a_row_is_refused_with_place_and_id(
    clients: dict[Route, InProcessClient],
) -> None:
    chat = clients[Route.CHAT]
    messages = [{"role": "user", "content": "Hi"}, {"role": "user", "content": f"an {ROWLESS}"}]
    with pytest.raises(RequestRefused, match=rf"token id {LIMIT} has no row") as refused:
        await chat.request(messages=messages)
    assert "messages[1].content" in str(refused.value)
    assert await chat.request(messages=messages[:1])


@pytest.mark.parametrize("bias", [LIMIT, LIMIT - 1])
async def test_a_bias_of_a_token_that_cannot_be_drawn_is_refused(
    clients: dict[Route, InProcessClient], bias: int
) -> None:
    with pytest.raises(RequestRefused, match="is not a token id of the vocabulary"):
        await clients[Route.CHAT].request(logit_bias={str(bias): 100})


async def test_gaps_and_ruled_out_tokens_are_never_drawn(clients: dict[Route, InProcessClient]) -> None:
    chat = clients[Route.CHAT]
    options: dict[str, Any] = {"logprobs": True, "top_logprobs": 20, "temperature": 2, "max_tokens": 40}
    response = await chat.request(seed=1, logit_bias={str(NEVER): 100}, **options)
    tokens = response["choices"][0]["logprobs"]["content"]
    assert "A" not in {token["token"] for token in tokens}
    constrained = await chat.request(guided_regex="[AB]{3}")
    assert constrained["choices"][0]["message"]["content"] == "BBB"


async def test_a_grammar_that_names_a_token_without_a_row_is_refused(
    clients: dict[Route, InProcessClient],
) -> None:
    with pytest.raises(RequestRefused, match="guided_grammar"):
        await clients[Route.CHAT].request(guided_grammar=f"start: {ROWLESS}")
