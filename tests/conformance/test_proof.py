"""Declared means done: the proof passes on honest models and sees through a card that promises too much."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.backends import BACKENDS
from inference.conformance.check import ELSEWHERE, HERE, ProbeResult, prove
from inference.contracts import Event, GenerationRequest, Route, Sampling
from inference.engine.engine import Engine
from inference.output.tool_calls import tool_calls
from inference.pipeline import output_parser
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


async def verdicts(root: Path, name: str) -> list[ProbeResult]:
    return [verdict async for verdict in prove(name, Settings(models=(root,), max_tokens=16))]


def test_every_parameter_that_a_backend_honours_can_be_proved() -> None:
    here = set().union(*(backend.honours for name, backend in BACKENDS.items() if name != "remote"))
    assert here == set(HERE)
    assert here | BACKENDS["remote"].honours == set(ELSEWHERE)


async def test_a_decoder_does_all_it_declares(tmp_path: Path) -> None:
    write_decoder(tmp_path, card=ALL_GENERATION)
    found = await verdicts(tmp_path, "tiny-chat")
    assert [verdict for verdict in found if verdict.problem] == []
    chat = {verdict.parameter for verdict in found if verdict.route is Route.CHAT}
    assert chat == {"", *ALL_GENERATION["parameters"], *ALL_GENERATION["extras"]} - {"best_of", "echo"}


async def test_encoders_do_all_they_declare(tmp_path: Path) -> None:
    write_text_encoder(tmp_path, name="tiny-embeddings")
    write_image_encoder(tmp_path, name="tiny-images")
    prompts = {"embedding": {"dimensions": DIMENSIONS, "prompts": {"query": "q"}}}
    write_text_encoder(tmp_path, name="with-prompts", card=prompts)
    write_text_encoder(tmp_path, name="cutting", card={"extras": {"truncate": {}}})
    own = write_text_encoder(tmp_path, name="own-prompts")
    write_json(own / "config_sentence_transformers.json", {"prompts": {"query": "q: ", "passage": "p: "}})
    for name in ("tiny-embeddings", "tiny-images", "with-prompts", "cutting", "own-prompts"):
        assert [verdict for verdict in await verdicts(tmp_path, name) if verdict.problem] == []
    assert "truncate" in {verdict.parameter for verdict in await verdicts(tmp_path, "cutting")}
    assert "input_type" in {verdict.parameter for verdict in await verdicts(tmp_path, "own-prompts")}


@pytest.mark.parametrize("forgetful", ["cut_text", "side"])
async def test_texts_that_are_not_cut_as_asked_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetful: str
) -> None:
    write_text_encoder(tmp_path, name="cutting", card={"extras": {"truncate": {}}})

    def wrong(text: str, prompt: str, side: str, most: int, tokenizer: Tokenizer) -> list[int]:
        whole = tokenizer.encode(text, special=True)
        return whole[: most - 1] if forgetful == "cut_text" else whole[:most]

    monkeypatch.setattr("inference.pipeline.text_embedding.cut_text", wrong)
    problems = {verdict.parameter for verdict in await verdicts(tmp_path, "cutting") if verdict.problem}
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
async def test_an_engine_that_forgets_a_parameter_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, parameter: str
) -> None:
    write_decoder(tmp_path, card={"type": "text-generation", **_without_tools()})
    honest = Engine.generate

    def forgetful(engine: Engine, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        forgotten = {field: getattr(Sampling(), field)}
        return honest(engine, replace(request, sampling=replace(request.sampling, **forgotten)))

    monkeypatch.setattr(Engine, "generate", forgetful)
    found = await verdicts(tmp_path, "tiny-chat")
    assert parameter in {verdict.parameter for verdict in found if verdict.problem}


CALLS = (
    b'<tool_call>{"name": "look_up", "arguments": {}}</tool_call>',
    b'<tool_call>{"name": "look_up", "arguments": {"again": true}}</tool_call>',
)


@pytest.mark.parametrize("honest", [True, False])
async def test_an_answer_that_goes_on_after_its_one_call_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    write_script(tmp_path, CALLS, name="caller", card=ALL_GENERATION)
    if not honest:
        monkeypatch.setattr(output_parser, "tool_calls", lambda said, reader, **_: tool_calls(said, reader))
    found = {verdict.parameter: verdict.problem for verdict in await verdicts(tmp_path, "caller")}
    assert found["parallel_tool_calls"] == (None if honest else "false gave 2 calls")


async def test_an_effort_that_changes_nothing_is_found_out(tmp_path: Path) -> None:
    effort = {"values": ["none"], "template": {"none": {"thinking": None}}}
    folder = write_decoder(tmp_path, card={**ALL_GENERATION, "extras": {"reasoning_effort": effort}})
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + "{% if thinking %}{% endif %}")
    template.write_text(template.read_text().replace("thinking is defined", "thinking"))
    found = {verdict.parameter: verdict.problem for verdict in await verdicts(tmp_path, "tiny-chat")}
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
