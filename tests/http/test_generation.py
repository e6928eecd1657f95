"""What the sampling parameters do, seen from outside."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.http.servers import MESSAGES, PATIENCE, Server
from tests.http.zoo import GREETING, HELLO
from tests.support.decoders import VOCABULARY

HELLO_TOKEN = VOCABULARY
A_OR_B = {"65": 100, "66": 99}
"""Makes the greeter say A, and B where A is held back; its own words come third."""


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["finish_reason"])


def texts(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [choice["text"] for choice in answer.json()["choices"]]


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        ("world", "Hello, "),
        (["nothing", "o, w"], "Hell"),
        (["!", "wor"], "Hello, "),
        ("Hello", ""),
        ("é", "Hello, world! "),
        ([" bye"], "Hello, world! é"),
        ("bye!", GREETING),
        ("", GREETING),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_stop_text_ends_the_answer_and_is_not_returned(
    endpoint: Server, stop: Any, left: str, stream: bool
) -> None:
    answer = endpoint.chat("greeter", stop=stop, stream=stream)

    if stream:
        assert streamed(answer) == (left, "stop")
    else:
        assert (said(answer), reason(answer)) == (left, "stop")


def streamed(answer: httpx.Response) -> tuple[str, str]:
    """The text of a stream, and its finish reason."""
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    choices = [event["choices"][0] for event in events]
    return "".join(choice["delta"]["content"] for choice in choices), choices[-1]["finish_reason"]


def test_max_tokens_cuts(endpoint: Server) -> None:
    answer = endpoint.chat("greeter", max_tokens=3)

    assert (said(answer), reason(answer)) == ("Hello, wor", "length")
    assert answer.json()["usage"]["completion_tokens"] == 3


def test_max_tokens_zero(endpoint: Server) -> None:
    answer = endpoint.chat("greeter", max_tokens=0)

    assert (said(answer), reason(answer)) == ("", "length")
    assert answer.json()["usage"]["completion_tokens"] == 0


def test_max_completion_tokens_is_another_name(endpoint: Server) -> None:
    assert said(endpoint.chat("greeter", extra="allow", max_completion_tokens=1)) == "Hello"
    assert said(endpoint.chat("greeter", extra="allow", max_completion_tokens=1, max_tokens=1)) == "Hello"


def test_an_answer_ends_with_the_context(endpoint: Server) -> None:
    overhead = endpoint.chat("greeter", messages=[{"role": "user", "content": ""}], max_tokens=0)
    room = 512 - overhead.json()["usage"]["prompt_tokens"]
    nearly = [{"role": "user", "content": "y" * (room - 2)}]
    full = [{"role": "user", "content": "y" * room}]

    answer = endpoint.chat("greeter", messages=nearly)
    assert (said(answer), reason(answer)) == ("Hello, ", "length")
    answer = endpoint.chat("greeter", messages=full)
    assert (said(answer), reason(answer)) == ("", "length")


def test_without_max_tokens_the_operator_s_limit_holds(small: Server) -> None:
    version = "?api-version=2025-04-01"
    chat = small.post(f"/chat/completions{version}", {"messages": MESSAGES})
    text = small.post(f"/completions{version}", {"prompt": "Once"})

    assert chat.json()["usage"]["completion_tokens"] == 6
    assert text.json()["usage"]["completion_tokens"] == 256


def test_a_seed_repeats_its_answer_and_another_gives_another(endpoint: Server) -> None:
    options: dict[str, Any] = {"temperature": 1, "max_tokens": 20}
    first, again, other = (said(endpoint.chat("tiny-chat", seed=seed, **options)) for seed in (5, 5, -6))

    assert first == again
    assert first != other


def test_without_a_seed_answers_differ(endpoint: Server) -> None:
    answers = {said(endpoint.chat("tiny-chat", temperature=2, max_tokens=20)) for _ in range(3)}

    assert len(answers) > 1


@pytest.mark.parametrize(
    "greedy",
    [{"temperature": 0}, {"top_p": 0}, {"temperature": 2, "top_k": 1}, {"temperature": 2, "min_p": 1}],
)
def test_the_most_likely_tokens(endpoint: Server, greedy: dict[str, Any]) -> None:
    best = said(endpoint.chat("tiny-chat", temperature=0, max_tokens=12))

    assert said(endpoint.chat("tiny-chat", extra="allow", max_tokens=12, **greedy)) == best


@pytest.mark.parametrize(
    ("path", "temperature"),
    [
        ("/chat/completions?api-version=2024-04-01-preview", 1),
        ("/chat/completions?api-version=2024-05-01-preview", 0.7),
        ("/chat/completions", 0.7),
        ("/v1/chat/completions", 1),
    ],
)
def test_default_temperature(endpoint: Server, path: str, temperature: float) -> None:
    body = {"messages": MESSAGES, "seed": 3, "max_tokens": 20}
    default, explicit, other = (
        said(endpoint.post(f"/deployments/tiny-chat{path}", {**body, **more}))
        for more in ({}, {"temperature": temperature}, {"temperature": 1.7 - temperature})
    )

    assert default == explicit
    assert default != other


def test_several_choices(endpoint: Server) -> None:
    options: dict[str, Any] = {"temperature": 1, "max_tokens": 12, "seed": 8}
    alone = endpoint.chat("tiny-chat", **options)
    both = endpoint.chat("tiny-chat", extra="allow", n=2, **options).json()

    contents = [choice["message"]["content"] for choice in both["choices"]]
    assert contents[0] == said(alone)
    assert contents[0] != contents[1]
    assert both["usage"]["prompt_tokens"] == alone.json()["usage"]["prompt_tokens"]
    assert both["usage"]["completion_tokens"] == 24


def test_several_choices_of_a_seed_differ_and_come_again(endpoint: Server) -> None:
    options: dict[str, Any] = {"temperature": 1, "max_tokens": 12, "seed": 2**63 - 1}
    alone = said(endpoint.chat("tiny-chat", **options))
    first, again = (endpoint.chat("tiny-chat", extra="allow", n=3, **options).json() for _ in range(2))

    contents = [choice["message"]["content"] for choice in first["choices"]]
    assert contents == [choice["message"]["content"] for choice in again["choices"]]
    assert contents[0] == alone
    assert len(set(contents)) == 3


def test_every_prompt_has_the_choices_that_it_has_alone(endpoint: Server) -> None:
    options: dict[str, Any] = {"temperature": 1, "max_tokens": 8, "seed": -4, "n": 2}

    def answered(prompt: Any) -> list[str]:
        body = {"prompt": prompt, **options}
        return texts(
            endpoint.post(
                "/deployments/tiny-chat/completions", body, headers={"extra-parameters": "pass-through"}
            )
        )

    assert answered(["Once", "Twice"]) == [*answered("Once"), *answered("Twice")]


def test_logit_bias_forbids(endpoint: Server) -> None:
    answer = said(endpoint.chat("greeter", extra="allow", logit_bias={str(HELLO_TOKEN): -100}, max_tokens=1))

    assert answer != "Hello"


def test_logit_bias_forces(endpoint: Server) -> None:
    assert said(endpoint.chat("tiny-chat", extra="allow", logit_bias={"65": 100}, max_tokens=5)) == "AAAAA"


@pytest.mark.parametrize(
    ("penalty", "answer"),
    [
        ({}, "AAAAAA"),
        ({"presence_penalty": 2}, "ABAAAA"),
        ({"frequency_penalty": 2}, "ABABAB"),
        ({"presence_penalty": -2}, "AAAAAA"),
        ({"repetition_penalty": 1.5}, "ABHello, world"),
    ],
)
def test_penalties(endpoint: Server, penalty: dict[str, float], answer: str) -> None:
    options = {"temperature": 0, "max_tokens": 6, "logit_bias": A_OR_B, **penalty}

    assert said(endpoint.chat("greeter", extra="allow", **options)) == answer


def test_completions_of_several_prompts(endpoint: Server) -> None:
    path = "/deployments/tiny-text/completions"
    body = {"temperature": 0, "max_tokens": 6}
    one, two = (endpoint.post(path, {**body, "prompt": text}) for text in ("Once", "Twice upon"))
    both = endpoint.post(path, {**body, "prompt": ["Once", "Twice upon"]})

    assert texts(both) == texts(one) + texts(two)
    assert [choice["index"] for choice in both.json()["choices"]] == [0, 1]
    assert both.json()["usage"]["prompt_tokens"] == len("OnceTwice upon")


def test_completions_of_token_arrays(endpoint: Server) -> None:
    path = "/deployments/tiny-text/completions"
    body = {"temperature": 0, "max_tokens": 6}
    ids = list(b"Once")
    answers = [endpoint.post(path, {**body, "prompt": prompt}) for prompt in ("Once", ids, [ids], ["Once"])]

    assert len({tuple(texts(answer)) for answer in answers}) == 1


def test_several_choices_of_several_prompts(endpoint: Server) -> None:
    answer = endpoint.post(
        "/deployments/greeter/completions",
        {"prompt": ["Once", "Twice"], "n": 2, "max_tokens": 1},
        headers={"extra-parameters": "allow"},
    )

    assert [(c["index"], c["text"]) for c in answer.json()["choices"]] == [(i, "Hello") for i in range(4)]
    assert answer.json()["usage"] == {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


@pytest.mark.parametrize("prompt", [None, "", "<|endoftext|>"])
def test_completions_of_nothing(endpoint: Server, prompt: str | None) -> None:
    body = {"prompt": prompt, "temperature": 0, "max_tokens": 4}
    answer = endpoint.post("/deployments/tiny-text/completions", body)

    assert answer.json()["usage"]["prompt_tokens"] == 1


async def test_together_as_alone(endpoint: Server) -> None:
    """More answers at once than there are slots, of different lengths."""
    bodies = [
        {
            "messages": [{"role": "user", "content": "Tell me. " * (seed + 1)}],
            "seed": seed,
            "temperature": 1,
            "max_tokens": 10 + 5 * seed,
        }
        for seed in range(12)
    ]
    async with httpx.AsyncClient(base_url=endpoint.url, trust_env=False, timeout=PATIENCE) as http:

        async def answer(body: dict[str, Any]) -> str:
            return said(await http.post("/deployments/tiny-chat/chat/completions", json=body))

        alone = [await answer(body) for body in bodies]
        together = await asyncio.gather(*(answer(body) for body in bodies))

    assert together == alone


def test_the_script_is_what_the_greeter_says() -> None:
    assert b"".join(HELLO).decode() == GREETING
