"""Cards of remote models."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.cards.card import CARD_FILE, CardError, load
from inference.pipeline.capabilities import describe
from inference.pipeline.info import info_body
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.support.cards import CHAT

REMOTE: dict[str, Any] = {"url": "https://remote.example/v1", "dialect": "openai", "model": "gpt"}
CARD: dict[str, Any] = {
    "name": "remote-chat",
    "provider": "tests",
    "type": "chat-completions",
    "backend": "remote",
    "remote": REMOTE,
    "parameters": {"temperature": {}, "tools": {}, "tool_choice": {}},
}


def write(folder: Path, card: dict[str, Any]) -> Path:
    (folder / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"url": "remote.example"}, "remote.url: .*expected https://HOST"),
        ({"url": "https://key@remote.example"}, "remote.url: .*password"),
        ({"url": "https://remote.example?code=1"}, "remote.url: .*query"),
        ({"dialect": "smalltalk"}, "remote.dialect"),
        ({"model": ""}, "remote: .*model is missing"),
        ({"model": "a b"}, "remote.model"),
        ({"key_setting": "sk-live-123456"}, "remote.key_setting"),
        ({"key": "sk-live-123456"}, "remote.key: Extra inputs"),
        ({"key_setting": "KEY", "identity_scope": "x"}, "exclude each other"),
        ({"url": "http://remote.example", "key_setting": "KEY"}, "over https only"),
        ({"timeout_seconds": 0}, "remote.timeout_seconds"),
        ({"api_version": "1&x=2"}, "remote.api_version"),
    ],
)
def test_a_mistake_is_refused_with_its_location_and_without_secrets(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CardError, match=sentence) as caught:
        load(write(tmp_path, {**CARD, "remote": {**REMOTE, **change}}))
    assert "sk-live" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"remote": None}, "remote is missing"),
        ({"parameters": {"tools": {"dialect": "hermes"}, "tool_choice": {}}}, "tools.dialect must be absent"),
        ({"type": "image-embeddings", "parameters": {}}, "openai has no route for image embeddings"),
        ({"extras": "all"}, "extras: Input should be 'any'"),
        ({"extras": {"top_k": {"min": "x"}}}, "extras.top_k.min"),
        ({"inputs": ["text", "smell"]}, "inputs.1"),
    ],
)
def test_a_card_that_contradicts_its_remote_part_is_refused(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CardError, match=sentence):
        load(write(tmp_path, {**CARD, **change}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"remote": REMOTE}, "remote belongs to the backend remote"),
        ({"extras": "any"}, "extras: any belongs to the backend remote"),
    ],
)
def test_remote_declarations_of_another_backend_are_refused(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CardError, match=sentence):
        load(write(tmp_path, {**CHAT, **change}))


def test_a_local_decoder_accepts_text_only(tmp_path: Path) -> None:
    write(tmp_path, {**CHAT, "inputs": ["text", "image_url"]})
    (broken,) = Registry(Settings(models=(tmp_path,))).broken
    assert "inputs: onnx-decoder cannot read image_url" in broken.reason


def test_plain_http_is_accepted_without_credentials(tmp_path: Path) -> None:
    write(tmp_path, {**CARD, "remote": {**REMOTE, "url": "http://10.0.0.7:8000/v1/"}})
    remote = load(tmp_path).card.remote
    assert remote is not None
    assert remote.url == "http://10.0.0.7:8000/v1"
    assert not remote.is_secure


def test_info_describes_the_accepted_extras_and_inputs(tmp_path: Path) -> None:
    deployment = load(write(tmp_path, {**CARD, "extras": "any", "inputs": ["text", "image_url"]}))
    info = info_body(deployment, lambda _: {"enabled": False})
    assert (info["extras"], info["inputs"]) == ("any", ["text", "image_url"])
    described = describe(deployment.card)
    assert described["top_k"] == described["reasoning_effort"] == {"supported": True, "extra": True}
    assert described["best_of"] == described["seed"] == {"supported": False}
    assert "remote.example" not in json.dumps(info)
