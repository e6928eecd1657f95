"""The two worked examples of the API's introduction."""

from __future__ import annotations

from tests.http.servers import MESSAGES, Server
from tests.http.zoo import SAFETY


def test_extra_parameter_that_the_model_takes(endpoint: Server) -> None:
    path, body = "/chat/completions?api-version=2024-04-01-preview", {"messages": MESSAGES, "max_tokens": 2}
    named = {"azureml-model-deployment": "tiny-chat"}
    plain = endpoint.post(path, body, headers=named)
    safe = endpoint.post(path, {**body, "safe_prompt": True}, headers={**named, "extra-parameters": "allow"})

    assert (plain.status_code, safe.status_code) == (200, 200)
    more = safe.json()["usage"]["prompt_tokens"] - plain.json()["usage"]["prompt_tokens"]
    assert more == len(f"system\n{SAFETY}\n") + 2


def test_parameter_that_the_model_cannot_honour(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", response_format={"type": "json_object"})

    assert answer.status_code == 422
    assert answer.headers["x-ms-error-code"] == "parameter_not_supported"
    assert answer.json() == {
        "status": 422,
        "code": "parameter_not_supported",
        "detail": {"loc": ["body", "response_format"], "input": "json_object"},
        "message": "One of the parameters contain invalid values.",
        "error": {
            "code": "parameter_not_supported",
            "status": 422,
            "message": "response_format: json_object is not supported by tiny-chat",
            "target": "response_format",
            "details": [
                {
                    "code": "parameter_not_supported",
                    "message": "json_object is not supported by tiny-chat",
                    "target": "response_format",
                    "loc": ["body", "response_format"],
                    "input": "json_object",
                }
            ],
        },
    }
