"""The probes of parameters that only models elsewhere honour see who honours them and who does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference.contracts import Route
from inference.proof.elsewhere import PROBES
from inference.proof.run import prove
from inference.settings import Settings
from tests.backends.upstream import Exchange, Script, upstream

PARAMETERS: dict[str, Any] = {"response_format": {}, "tools": {}, "tool_choice": {}}
EXTRAS: dict[str, Any] = {name: {} for name in ("parallel_tool_calls", "reasoning_effort", "verbosity")}
CALL = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def answering(*, honest: bool) -> Script:
    """A model that does what it is told, or one that takes no notice."""

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


@pytest.mark.parametrize("honest", [True, False])
async def test_who_takes_no_notice_is_found_out(tmp_path: Path, honest: bool) -> None:
    async with upstream(answering(honest=honest)) as fake:
        remote = {"url": fake.url, "dialect": "openai", "model": "theirs"}
        card = {"name": "far", "provider": "tests", "type": "chat-completions", "backend": "remote"}
        described = {**card, "remote": remote, "parameters": PARAMETERS, "extras": EXTRAS}
        (tmp_path / "model.json").write_text(json.dumps(described))
        found = [verdict async for verdict in prove("far", Settings(models=(tmp_path,)))]
    problems = {verdict.parameter for verdict in found if verdict.problem and verdict.route is Route.CHAT}
    assert problems & PROBES.keys() == (set() if honest else PROBES.keys())
