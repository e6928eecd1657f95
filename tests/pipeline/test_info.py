"""The bodies of `/info`, `/models` and `/health`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference import __version__
from inference.cards.card import Card, Deployment
from inference.pipeline.capabilities import describe
from inference.pipeline.info import health_body, info_body, model_body, models_body
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES

OFF: dict[str, Any] = {"enabled": False}


def deployment_of(card: dict[str, Any], **changes: Any) -> Deployment:
    return Deployment(Card.model_validate({**card, **changes}), Path())


def off(_: Deployment) -> dict[str, Any]:
    return OFF


def test_info_has_the_api_s_fields_then_capabilities_and_content_filter() -> None:
    chat = deployment_of(CHAT, description="A small one.", license="mit")
    body = info_body(chat, lambda deployment: {"of": deployment.name})
    assert body == {
        "model_name": "tiny-chat",
        "model_type": "chat-completions",
        "model_provider_name": "tests",
        "description": "A small one.",
        "license": "mit",
        "context": 64,
        "routes": ["/chat/completions", "/completions", "/responses"],
        "capabilities": describe(chat.card),
        "content_safety": {"of": "tiny-chat"},
    }
    assert list(body)[:3] == ["model_name", "model_type", "model_provider_name"]


def test_a_card_may_have_its_own_word_for_the_type() -> None:
    assert (
        info_body(deployment_of(CHAT, model_type="chat-completion"), off)["model_type"] == "chat-completion"
    )


@pytest.mark.parametrize(
    ("card", "changes", "more"),
    [
        (CHAT, {"inputs": ["text", "image_url"]}, {"inputs": ["text", "image_url"]}),
        (CHAT, {"inputs": ["text"]}, {}),
        (CHAT, {"extras": "any"}, {"extras": "any"}),
        (CHAT, {"extras": {}}, {}),
    ],
)
def test_inputs_and_extras_are_named_where_there_are_more_than_usual(
    card: dict[str, Any], changes: dict[str, Any], more: dict[str, Any]
) -> None:
    body = info_body(deployment_of(card, **changes), off)
    assert {name: body[name] for name in ("inputs", "extras") if name in body} == more


def test_a_dual_encoder_serves_both_routes_of_vectors() -> None:
    assert info_body(deployment_of(IMAGES), off)["routes"] == ["/images/embeddings"]
    dual = deployment_of(IMAGES, files={"text_model": "text.onnx"})
    assert info_body(dual, off)["routes"] == ["/embeddings", "/images/embeddings"]


def test_models_are_listed_as_openai_s_clients_read_them() -> None:
    chat, embeddings = deployment_of(CHAT), deployment_of(EMBEDDINGS)
    entry = {"object": "model", "created": 0, "owned_by": "tests"}
    assert model_body("gpt-4o", chat, off, ["gpt-4o"]) == {
        "id": "gpt-4o",
        **entry,
        **info_body(chat, off, ["gpt-4o"]),
    }
    assert models_body(
        [embeddings, chat], off, lambda deployment: ["gpt-4o", "*"] * (deployment is chat)
    ) == {
        "object": "list",
        "data": [
            model_body("tiny-embeddings", embeddings, off, []),
            model_body("tiny-chat", chat, off, ["gpt-4o", "*"]),
            model_body("gpt-4o", chat, off, ["gpt-4o", "*"]),
        ],
    }


def test_health_has_the_version_the_states_and_the_condition() -> None:
    condition = {"memory": {"used_mb": 1, "budget_mb": 2}}
    assert health_body({"tiny-chat": "open"}, condition) == {
        "status": "ok",
        "version": __version__,
        "deployments": {"tiny-chat": "open"},
        "memory": {"used_mb": 1, "budget_mb": 2},
    }
