"""Probes of remote endpoints, against one that honours its parameters and one that ignores them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference.conformance.check import ProbeResult, probe_deployment
from inference.conformance.format_probes import REMOTE_FORMAT_PROBES
from inference.contracts import Route
from inference.settings import Settings
from tests.backends.remote.upstream import Exchange, FakeEndpoint, Script, upstream

PARAMETERS: dict[str, Any] = {"response_format": {}, "tools": {}, "tool_choice": {}}
EXTRAS: dict[str, Any] = {name: {} for name in ("parallel_tool_calls", "reasoning_effort", "verbosity")}
CALL = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def answering(*, honest: bool) -> Script:
    """Return the script of a model that honours the request, or of one that ignores it."""

    async def script(exchange: Exchange) -> None:
        body = exchange.json if honest else {}
        words = {"low": 5, "none": 2}.get(body.get("verbosity", body.get("reasoning_effort", "")), 9)
        text = json.dumps({"next": 10}) if "response_format" in body else "word " * words
        calls = [CALL] * (1 if body.get("parallel_tool_calls") is False else 2)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"content": text}}
        if "tools" in exchange.json and "parallel_tool_calls" in exchange.json:
            choice["message"] = {"content": None, "tool_calls": calls}
        prompt = 10 + len(body.get("tools", ()))
        usage = {"prompt_tokens": prompt, "completion_tokens": words}
        await exchange.answer(200, {"choices": [choice], "usage": usage})

    return script


async def results(folder: Path, fake: FakeEndpoint, parameters: Any, extras: Any) -> list[ProbeResult]:
    remote = {"url": fake.url, "dialect": "openai", "model": "theirs"}
    card = {"name": "far", "provider": "tests", "type": "chat-completions", "backend": "remote"}
    described = {**card, "remote": remote, "parameters": parameters, "extras": extras}
    (folder / "model.json").write_text(json.dumps(described))
    return [result async for result in probe_deployment("far", Settings(models=(folder,)))]


@pytest.mark.parametrize("honest", [True, False])
async def test_an_endpoint_that_ignores_parameters_fails_their_probes(tmp_path: Path, honest: bool) -> None:
    async with upstream(answering(honest=honest)) as fake:
        found = await results(tmp_path, fake, PARAMETERS, EXTRAS)
    problems = {result.parameter for result in found if result.problem and result.route is Route.CHAT}
    assert problems & REMOTE_FORMAT_PROBES.keys() == (set() if honest else REMOTE_FORMAT_PROBES.keys())


async def test_a_length_has_the_name_that_the_card_declares(tmp_path: Path) -> None:
    async with upstream(answering(honest=True)) as fake:
        extras: dict[str, Any] = {"max_completion_tokens": {}, "parallel_tool_calls": {}}
        found = await results(tmp_path, fake, {"tools": {}, "tool_choice": {}}, extras)
    assert [result for result in found if (result.problem or "").startswith("refused")] == []
    names = {name for exchange in fake.received for name in exchange.json}
    assert "max_completion_tokens" in names
    assert "max_tokens" not in names


async def test_missing_log_probabilities_fail_their_probes(tmp_path: Path) -> None:
    async with upstream(answering(honest=True)) as fake:
        extras: dict[str, Any] = {"logprobs": {}, "top_logprobs": {}, "echo": {}}
        found = await results(tmp_path, fake, {"max_tokens": {}}, extras)
    problems = {(result.route, result.parameter): result.problem for result in found}
    assert problems[Route.CHAT, "logprobs"] == "no token has log probabilities"
    assert problems[Route.CHAT, "top_logprobs"] == "2 gives [] alternatives"
    assert problems[Route.COMPLETIONS, "echo"] is not None
