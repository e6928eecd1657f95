"""Folders that cannot be deployments: each says what is wrong with it, and the sound one goes on."""

from __future__ import annotations

import pytest

from tests.http.refusals import openai_refusal, refusal
from tests.http.servers import MESSAGES, Server

BROKEN = {
    "no-graph": "'model.onnx' is not in the folder",
    "garbage-graph": "'model.onnx' is no ONNX model that can run",
    "garbage-tokenizer": "tokenizer.json is not a tokenizer",
    "no-card-json": "model.json is not JSON",
    "boasts-sound": "modalities is declared, onnx-decoder cannot honour it",
    "boasts-context": "context: 4096 is more than config.json's max_position_embeddings, 512",
    "outside": "leads out of the folder",
    "strange-task": "type: Input should be",
    "deaf-to-tools": "tools is declared, the chat template does not mention them",
}


@pytest.mark.parametrize(("name", "reason"), BROKEN.items())
@pytest.mark.parametrize("again", [False, True])
def test_a_broken_deployment_says_why(troubled: Server, name: str, reason: str, again: bool) -> None:
    body = refusal(troubled.chat(name, max_tokens=1), 424, "deployment_broken")

    assert body["message"].startswith(f"The deployment {name} is broken: ")
    assert reason in body["message"]


@pytest.mark.parametrize("name", BROKEN)
def test_reasons_show_nothing_of_the_machine(troubled: Server, name: str) -> None:
    assert str(troubled.log.parent) not in troubled.chat(name, max_tokens=1).text


def test_the_sound_one_goes_on(troubled: Server) -> None:
    answer = troubled.post("/chat/completions", {"messages": MESSAGES, "model": "sound", "max_tokens": 2})

    assert answer.json()["model"] == "sound"


def test_a_broken_one_is_not_guessed_at(troubled: Server) -> None:
    """Nor is it taken for unknown."""
    answer = troubled.post("/v1/chat/completions", {"messages": MESSAGES, "model": "no-card-json"})

    assert openai_refusal(answer, 424, "deployment_broken")["type"] == "server_error"


def test_health_names_the_broken_ones(troubled: Server) -> None:
    states = troubled.get("/health").json()["deployments"]

    assert set(states) == {"sound", *BROKEN}
    assert states["no-card-json"] == states["outside"] == "broken"


def test_models_lists_the_ones_with_a_card_that_holds(troubled: Server) -> None:
    names = {entry["id"] for entry in troubled.get("/models").json()["data"]}

    assert "sound" in names
    assert not names & {"no-card-json", "outside", "strange-task", "boasts-format"}
