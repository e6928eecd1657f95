"""Random JSON on every route that takes a body: an answer or a refusal, never a failure of the server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.api.parameters import of_route
from inference.contracts import Route
from tests.http.pictures import data_url
from tests.http.refusals import check_openai_shape, check_shape
from tests.http.servers import Server

ROUTES = {
    Route.CHAT: "/deployments/tiny-chat/chat/completions",
    Route.RESPONSES: "/v1/responses",
    Route.COMPLETIONS: "/v1/completions",
    Route.EMBEDDINGS: "/deployments/tiny-embed/embeddings",
    Route.IMAGE_EMBEDDINGS: "/deployments/tiny-images/images/embeddings",
    Route.RERANK: "/deployments/ranker/rerank",
    Route.CLASSIFY: "/deployments/labeller/classify",
    Route.EMBED_SPARSE: "/deployments/weigher/embed_sparse",
}
WORDS = st.sampled_from(
    ["user", "system", "tool", "text", "function", "json_schema", "none", "base64", "<|im_end|>", "259", ""]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | WORDS
)
KEYS = WORDS | st.sampled_from(["role", "content", "type", "name", "schema", "arguments", "image", "url"])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant", "tool", "developer"])},
    optional={
        "content": st.text(max_size=30) | st.none() | ANYTHING,
        "tool_calls": ANYTHING,
        "tool_call_id": st.text(max_size=3),
    },
)
DOCUMENT = st.text(max_size=40) | st.fixed_dictionaries(
    {"text": st.text(max_size=40)}, optional={"url": ANYTHING}
)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "messages": st.lists(MESSAGE, max_size=3),
    "prompt": st.text(max_size=20) | st.lists(st.integers(0, 260), max_size=5),
    "input": st.lists(
        st.text(max_size=40) | st.fixed_dictionaries({"image": st.just(data_url())}), max_size=3
    ),
    "query": st.text(max_size=40),
    "documents": st.lists(DOCUMENT, max_size=3),
    "texts": st.lists(st.text(max_size=40), max_size=3),
    "inputs": st.text(max_size=40)
    | st.lists(st.text(max_size=40) | st.lists(st.text(max_size=9), max_size=3)),
    "max_tokens": st.integers(0, 4),
    "n": st.integers(1, 3),
    "logit_bias": st.dictionaries(st.integers(-1, 300).map(str) | st.text(max_size=3), st.floats(-101, 101)),
}
NEEDED = ("messages", "prompt", "input", "query", "documents", "inputs", "max_tokens")
ITEM = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["message", "function_call", "function_call_output", "reasoning", "item_reference"]
        ),
        "role": st.sampled_from(["user", "system", "assistant", "developer"]),
        "content": st.text(max_size=30) | ANYTHING,
        "id": st.text(max_size=3),
        "call_id": st.just("c"),
        "name": st.just("f"),
        "arguments": st.text(max_size=5),
        "output": st.text(max_size=5) | ANYTHING,
        "summary": st.just([]) | ANYTHING,
    },
)
OF_RESPONSES: dict[str, st.SearchStrategy[Any]] = {
    "input": st.text(max_size=20) | st.lists(ITEM, max_size=3),
    "max_output_tokens": st.integers(1, 4),
}
OF_OPENAI = {Route.COMPLETIONS: "tiny-text", Route.RESPONSES: "tiny-chat"}
"""The routes that are asked under an OpenAI path, each with its deployment."""
HEADERS = st.sampled_from(["error", "drop", "pass-through", "allow", "ignore", "nonsense"])


def bodies(route: Route) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the route's own keys, some with likely values, some with anything."""
    names = [row.name for row in of_route(route) if row.name != "model"]
    likely = OF_RESPONSES if route == Route.RESPONSES else LIKELY
    first = OF_RESPONSES if route == Route.RESPONSES else NEEDED
    needed = {name: likely[name] for name in names if name in first}
    other = {name: likely.get(name, ANYTHING) | ANYTHING for name in names if name not in needed}
    return st.fixed_dictionaries(needed, optional=other) | st.dictionaries(
        st.sampled_from(names) | KEYS, ANYTHING, max_size=4
    )


@pytest.mark.parametrize("route", ROUTES)
def test_random_bodies(endpoint: Server, route: Route) -> None:
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(body=bodies(route), header=HEADERS)
    def answered(body: dict[str, Any], header: str) -> None:
        if route in OF_OPENAI:
            body["model"] = OF_OPENAI[route]
        answer = endpoint.post(ROUTES[route], body, headers={"extra-parameters": header})
        assert answer.status_code < 500, (body, answer.text)
        if answer.status_code != 200:
            if route in OF_OPENAI:
                error = check_openai_shape(answer.json())
                assert answer.status_code in (400, 404)
            else:
                error = answer.json()["error"]
                check_shape(answer.json(), answer.status_code)
            assert answer.headers["x-ms-error-code"] == error["code"]

    answered()
