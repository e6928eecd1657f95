"""Paths and what they ask for."""

import pytest

from inference.api.http_types import Target, resolve
from inference.contracts import ApiStyle, Route

NATIVE, OPENAI = ApiStyle.NATIVE, ApiStyle.OPENAI


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("info", Target(Route.INFO)),
        ("/chat/completions", Target(Route.CHAT)),
        ("Chat/Completions/", Target(Route.CHAT)),
        ("completions", Target(Route.COMPLETIONS)),
        ("models", Target(Route.MODELS)),
        ("models/tiny", Target(Route.MODELS, item="tiny")),
        ("models/info", Target(Route.INFO)),
        ("models/chat/completions", Target(Route.CHAT)),
        ("models/models/tiny", Target(Route.MODELS, item="tiny")),
        ("deployments/A.b/embeddings", Target(Route.EMBEDDINGS, NATIVE, "A.b")),
        ("deployments/a/v1/embeddings", Target(Route.EMBEDDINGS, OPENAI, "a")),
        ("openai/deployments/a/chat/completions", Target(Route.CHAT, OPENAI, "a")),
        ("openai/v1/chat/completions", Target(Route.CHAT, OPENAI)),
        ("openai/v1/models", Target(Route.MODELS, OPENAI)),
        ("openai/v1/models/a", Target(Route.MODELS, OPENAI, item="a")),
        ("openai/models", Target(Route.MODELS, OPENAI)),
        ("openai/models/a", Target(Route.MODELS, OPENAI, item="a")),
        ("openai/info", Target(Route.INFO, OPENAI)),
        ("v1/completions", Target(Route.COMPLETIONS, OPENAI)),
        ("OpenAI/V1/completions", Target(Route.COMPLETIONS, OPENAI)),
        ("images/embeddings", Target(Route.IMAGE_EMBEDDINGS)),
        ("", Target(None)),
        ("images/generations", Target(None)),
        ("deployments/a", Target(None)),
        ("openai/v1/nothing", Target(None, OPENAI)),
        ("chat//completions", Target(Route.CHAT)),
        ("//openai//v1//models/", Target(Route.MODELS, OPENAI)),
        ("deployments//a/info", Target(Route.INFO, NATIVE, "a")),
        ("api/projects/mine/openai/v1/chat/completions", Target(Route.CHAT, OPENAI)),
        ("API/Projects/x/OpenAI/v1/models/a", Target(Route.MODELS, OPENAI, item="a")),
        ("api/projects/mine/openai/v1/nothing", Target(None, OPENAI)),
        ("api/projects/mine/chat/completions", Target(None)),
        ("api/projects", Target(None)),
        ("v1", Target(None, OPENAI)),
        ("deployments/a/v1/nothing", Target(None, OPENAI)),
        ("/", Target(None)),
    ],
)
def test_resolve(path: str, target: Target) -> None:
    assert resolve(path) == target
