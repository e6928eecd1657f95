"""The body of `POST /responses`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Tag, model_validator

from inference.api.generation import Choice
from inference.api.offenders import ROOT
from inference.api.response_items import InputItem
from inference.api.response_refusals import refused_values
from inference.api.response_tools import (
    LOGPROBS,
    SEALED,
    ConversationId,
    Includable,
    ResponseReasoning,
    ResponseStreamOptions,
    ResponseText,
    ResponseTool,
    ResponseToolChoice,
)
from inference.api.text_inputs import Texts
from inference.api.validation import Request, either, limited
from inference.contracts import Route
from inference.errors import Offender

ResponseInput = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[list[InputItem], Field(min_length=1, fail_fast=True), Tag("<items>")],
    either(list, "<items>", "<text>"),
]


class ResponsesRequest(Request):
    """`POST /responses`: the same request as `/chat/completions`, in other words."""

    route: ClassVar[Route] = Route.RESPONSES
    text_key: ClassVar[str] = "input"

    model: str | None = None
    input: ResponseInput
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    temperature: Annotated[float | None, limited("temperature")] = None
    top_p: Annotated[float | None, limited("top_p")] = None
    presence_penalty: Annotated[float | None, limited("presence_penalty")] = None
    frequency_penalty: Annotated[float | None, limited("frequency_penalty")] = None
    max_output_tokens: Annotated[int | None, limited("max_output_tokens")] = None
    seed: Annotated[int | None, limited("seed")] = None
    stop: Texts | None = None
    top_k: Annotated[int | None, limited("top_k")] = None
    min_p: Annotated[float | None, limited("min_p")] = None
    repetition_penalty: Annotated[float | None, limited("repetition_penalty")] = None
    logit_bias: dict[str, Annotated[float, limited("logit_bias")]] | None = None
    guided_regex: Annotated[str | None, Field(min_length=1)] = None
    guided_choice: Annotated[list[Choice] | None, Field(min_length=1)] = None
    guided_grammar: Annotated[str | None, Field(min_length=1)] = None
    safe_prompt: bool | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int | None, limited("max_tool_calls")] = None
    text: ResponseText | None = None
    reasoning: ResponseReasoning | None = None
    include: list[Includable] | None = None
    top_logprobs: Annotated[int | None, limited("top_logprobs")] = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    service_tier: Literal["auto", "default", "fast", "flex", "priority", "scale"] | None = None
    background: bool | None = None
    background_options: dict[str, Any] | None = None
    conversation: ConversationId | None = None
    prompt: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    context_management: list[Any] | None = None
    access_programs: dict[str, Any] | None = None
    image: dict[str, Any] | None = None

    @property
    def streamed(self) -> bool:
        return bool(self.stream)

    @property
    def scored(self) -> bool:
        """True if the tokens' log probabilities are wanted; either of two keys asks for them."""
        return bool(self.top_logprobs) or LOGPROBS in (self.include or ())

    @property
    def wants_sealed_reasoning(self) -> bool:
        return SEALED in (self.include or ())

    def contradictions(self) -> Iterator[Offender]:
        if self.input == "":
            yield Offender((ROOT, "input"), "", "must not be empty", "empty_string")
        yield from refused_values(self)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Clients send every parameter, unset ones empty."""
        return {key: value for key, value in data.items() if not (key in _EMPTY and value == _EMPTY[key])}


_EMPTY: dict[str, Any] = {"stop": [], "logit_bias": {}, "tools": []}
