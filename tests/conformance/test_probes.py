"""Probes pass on models that honour their card, and fail on every parameter without effect."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.backends import BACKENDS
from inference.conformance.check import LOCAL_PROBES, REMOTE_PROBES, ProbeResult, probe_deployment
from inference.contracts import Event, GenerationRequest, Route, Sampling
from inference.engine.engine import Engine
from inference.output.tool_calls import parse_tool_calls
from inference.pipeline import generate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from tests.http.scripts import write_script
from tests.support.decoders import write_decoder, write_json
from tests.support.encoders import DIMENSIONS, write_image_encoder, write_text_encoder

TOOLS = {"tools": {"dialect": "hermes"}, "tool_choice": {}}
ALL_GENERATION: dict[str, Any] = {
    "parameters": {
        **{name: {} for name in ("temperature", "top_p", "max_tokens", "stop", "seed")},
        **{name: {} for name in ("frequency_penalty", "presence_penalty")},
        **TOOLS,
        "response_format": {},
    },
    "extras": {
        **{name: {} for name in ("guided_regex", "guided_choice", "guided_grammar")},
        **{name: {} for name in ("n", "top_k", "min_p", "repetition_penalty", "logit_bias")},
        **{name: {} for name in ("max_completion_tokens", "stream_options")},
        **{name: {} for name in ("logprobs", "top_logprobs", "best_of", "echo")},
        "safe_prompt": {"text": "Be kind."},
        "parallel_tool_calls": {},
        "reasoning_effort": {
            "values": ["none", "high"],
            "template": {"none": {"thinking": False}, "high": {"thinking": True}},
        },
    },
}


async def results(root: Path, name: str) -> list[ProbeResult]:
    return [result async for result in probe_deployment(name, Settings(models=(root,), max_tokens=16))]


def test_every_parameter_that_a_backend_honours_has_a_probe() -> None:
    local = set().union(*(backend.honours for name, backend in BACKENDS.items() if name != "remote"))
    assert local == set(LOCAL_PROBES)
    assert local | BACKENDS["remote"].honours == set(REMOTE_PROBES)


async def test_a_decoder_honours_all_it_declares(tmp_path: Path) -> None:
    write_decoder(tmp_path, card=ALL_GENERATION)
    found = await results(tmp_path, "tiny-chat")
    assert [result for result in found if result.problem] == []
    chat = {result.parameter for result in found if result.route is Route.CHAT}
    assert chat == {"", *ALL_GENERATION["parameters"], *ALL_GENERATION["extras"]} - {"best_of", "echo"}


async def test_encoders_honour_all_they_declare(tmp_path: Path) -> None:
    write_text_encoder(tmp_path, name="tiny-embeddings")
    write_image_encoder(tmp_path, name="tiny-images")
    prompts = {"embedding": {"dimensions": DIMENSIONS, "prompts": {"query": "q"}}}
    write_text_encoder(tmp_path, name="with-prompts", card=prompts)
    write_text_encoder(tmp_path, name="cutting", card={"extras": {"truncate": {}}})
    own = write_text_encoder(tmp_path, name="own-prompts")
    write_json(own / "config_sentence_transformers.json", {"prompts": {"query": "q: ", "passage": "p: "}})
    for name in ("tiny-embeddings", "tiny-images", "with-prompts", "cutting", "own-prompts"):
        assert [result for result in await results(tmp_path, name) if result.problem] == []
    assert "truncate" in {result.parameter for result in await results(tmp_path, "cutting")}
    assert "input_type" in {result.parameter for result in await results(tmp_path, "own-prompts")}


@pytest.mark.parametrize("fault", ["length", "side"])
async def test_texts_truncated_in_a_wrong_way_fail_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    write_text_encoder(tmp_path, name="cutting", card={"extras": {"truncate": {}}})

    def wrong(text: str, prompt: str, side: str, most: int, tokenizer: Tokenizer) -> list[int]:
        whole = tokenizer.encode(text, special=True)
        return whole[: most - 1] if fault == "length" else whole[:most]

    monkeypatch.setattr("inference.pipeline.text_embedding.cut_text", wrong)
    problems = {result.parameter for result in await results(tmp_path, "cutting") if result.problem}
    assert problems == {"truncate"}


@pytest.mark.parametrize(
    ("field", "parameter"),
    [
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("top_k", "top_k"),
        ("min_p", "min_p"),
        ("seed", "seed"),
        ("frequency_penalty", "frequency_penalty"),
        ("presence_penalty", "presence_penalty"),
        ("repetition_penalty", "repetition_penalty"),
        ("logit_bias", "logit_bias"),
    ],
)
async def test_an_engine_that_ignores_a_parameter_fails_its_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, parameter: str
) -> None:
    write_decoder(tmp_path, card={"type": "text-generation", **_without_tools()})
    honest = Engine.generate

    def ignoring(engine: Engine, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        default = {field: getattr(Sampling(), field)}
        return honest(engine, replace(request, sampling=replace(request.sampling, **default)))

    monkeypatch.setattr(Engine, "generate", ignoring)
    found = await results(tmp_path, "tiny-chat")
    assert parameter in {result.parameter for result in found if result.problem}


CALLS = (
    b'<tool_call>{"name": "look_up", "arguments": {}}</tool_call>',
    b'<tool_call>{"name": "look_up", "arguments": {"again": true}}</tool_call>',
)


@pytest.mark.parametrize("honest", [True, False])
async def test_a_second_call_fails_the_probe_of_parallel_tool_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    write_script(tmp_path, CALLS, name="caller", card=ALL_GENERATION)
    if not honest:
        monkeypatch.setattr(
            generate, "parse_tool_calls", lambda events, parser, **_: parse_tool_calls(events, parser)
        )
    found = {result.parameter: result.problem for result in await results(tmp_path, "caller")}
    assert found["parallel_tool_calls"] == (None if honest else "false gives 2 calls")


async def test_a_reasoning_effort_without_effect_fails_its_probe(tmp_path: Path) -> None:
    effort = {"values": ["none"], "template": {"none": {"thinking": None}}}
    folder = write_decoder(tmp_path, card={**ALL_GENERATION, "extras": {"reasoning_effort": effort}})
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + "{% if thinking %}{% endif %}")
    template.write_text(template.read_text().replace("thinking is defined", "thinking"))
    found = {result.parameter: result.problem for result in await results(tmp_path, "tiny-chat")}
    assert found["reasoning_effort"] == "every effort gives the same prompt and the same answer"


def _without_tools() -> dict[str, Any]:
    chat_only = {
        *TOOLS,
        "response_format",
        "max_completion_tokens",
        "safe_prompt",
        "top_logprobs",
        "parallel_tool_calls",
        "reasoning_effort",
    }
    return {
        part: {name: limits for name, limits in declared.items() if name not in chat_only}
        for part, declared in ALL_GENERATION.items()
    }
