"""Log probabilities, echoed prompts and the best of several, through the openai client."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.http.refusals import offender, openai_refusal
from tests.http.servers import Server

SAY: Any = [{"role": "user", "content": "Say something."}]


@pytest.fixture(scope="module")
def client(endpoint: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{endpoint.url}/openai/v1", api_key="any", max_retries=0)


def test_a_chat_tells_each_token(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tiny-chat", messages=SAY, max_tokens=6, temperature=0, logprobs=True, top_logprobs=3
    )
    (choice,) = answer.choices
    assert choice.logprobs is not None
    content = choice.logprobs.content
    assert content is not None
    assert answer.usage is not None
    assert len(content) == answer.usage.completion_tokens == 6
    assert (
        bytes(b for one in content for b in one.bytes or []).decode("utf-8", "replace")
        == choice.message.content
    )
    for one in content:
        assert len(one.top_logprobs) == 3
        assert one.top_logprobs[0].token == one.token  # greedy takes the likeliest
        assert one.top_logprobs[0].logprob == pytest.approx(one.logprob)
        assert 0 >= one.top_logprobs[0].logprob >= one.top_logprobs[1].logprob >= one.top_logprobs[2].logprob


def test_a_streamed_chat_tells_the_same(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny-chat",
        "messages": SAY,
        "max_tokens": 6,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 2,
    }
    whole = client.chat.completions.create(**asked).choices[0].logprobs
    chunks = list(client.chat.completions.create(stream=True, **asked))
    told = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices and chunk.choices[0].logprobs]
    assert whole is not None
    assert [one for logprobs in told for one in logprobs.content or []] == whole.content


def test_without_asking_nothing_is_told(client: openai.OpenAI) -> None:
    assert (
        client.chat.completions.create(model="tiny-chat", messages=SAY, max_tokens=2).choices[0].logprobs
        is None
    )


def test_a_completion_tells_its_prompt_too(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="tiny-chat", prompt="Once upon", max_tokens=3, temperature=0, logprobs=2, echo=True
    )
    (choice,) = answer.choices
    logprobs = choice.logprobs
    assert logprobs is not None
    assert choice.text.startswith("Once upon")
    assert logprobs.tokens is not None
    assert logprobs.tokens[:9] == list("Once upon")
    assert len(logprobs.tokens) == 12
    told: list[Any] = list(logprobs.token_logprobs or [])
    assert told[0] is None
    assert all(value < 0 for value in told[1:])
    assert logprobs.text_offset is not None
    assert logprobs.text_offset[:10] == list(range(10))


def test_a_prompt_alone_can_be_scored(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny-chat",
        "prompt": "Once upon",
        "logprobs": 1,
        "echo": True,
        "temperature": 0,
    }
    alone = client.completions.create(max_tokens=0, **asked)
    longer = client.completions.create(max_tokens=2, **asked)
    assert alone.choices[0].text == "Once upon"
    assert alone.usage is not None
    assert alone.usage.completion_tokens == 0
    scored, first = (answer.choices[0].logprobs for answer in (alone, longer))
    assert scored is not None
    assert first is not None
    assert scored.token_logprobs == (first.token_logprobs or [])[:9]


def test_a_streamed_completion_tells_the_same(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny-chat", "prompt": [1, 2, 3, 4], "max_tokens": 5, "logprobs": 0}
    asked["temperature"] = 0
    whole = client.completions.create(**asked).choices[0].logprobs
    assert whole is not None
    assert len(whole.token_logprobs or []) == 5
    pieces = [chunk.choices[0].logprobs for chunk in client.completions.create(stream=True, **asked)]
    values = [value for piece in pieces if piece for value in piece.token_logprobs or []]
    assert values == whole.token_logprobs


def test_an_echo_alone_is_the_prompt_before_the_answer(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny-chat", "prompt": "Once", "max_tokens": 4, "temperature": 0}
    plain = client.completions.create(**asked).choices[0].text
    assert client.completions.create(echo=True, **asked).choices[0].text == "Once" + plain
    streamed = client.completions.create(echo=True, stream=True, **asked)
    assert "".join(chunk.choices[0].text for chunk in streamed) == "Once" + plain


def test_the_likeliest_of_several_is_given(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny-chat",
        "prompt": "Once",
        "max_tokens": 4,
        "seed": 3,
    }
    every = client.completions.create(n=5, logprobs=0, **asked)
    best = client.completions.create(n=2, best_of=5, logprobs=0, **asked)
    means = {c.text: sum(c.logprobs.token_logprobs or []) / 4 for c in every.choices if c.logprobs}
    ranked = sorted(means, key=lambda text: -means[text])
    assert [choice.text for choice in best.choices] == ranked[:2]
    assert best.usage is not None
    assert best.usage.completion_tokens == 20
    hidden = client.completions.create(best_of=5, **asked)
    assert hidden.choices[0].text == ranked[0]
    assert hidden.choices[0].logprobs is None


def test_the_native_route_takes_them_as_extras(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="pass-through", max_tokens=2, logprobs=True, top_logprobs=1)
    assert len(answer.json()["choices"][0]["logprobs"]["content"]) == 2
    refused = endpoint.chat("tiny-chat", extra="pass-through", top_logprobs=1)
    assert offender(refused, 422, "Invalid input") == (["body", "top_logprobs"], 1)


@pytest.mark.parametrize(
    ("body", "loc"), [({"best_of": 1, "n": 2}, "best_of"), ({"best_of": 3, "stream": True}, "best_of")]
)
def test_the_best_of_too_few_is_refused(endpoint: Server, body: dict[str, Any], loc: str) -> None:
    answer = endpoint.post("/openai/v1/completions", {"model": "tiny-chat", "prompt": "a", **body})
    error = openai_refusal(answer, 400, "invalid_value")
    assert error["param"] == loc
