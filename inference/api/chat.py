"""The body of `POST /chat/completions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from inference.api.generation import GenerationBody
from inference.api.messages import AudioUrlPart, ImagePart, InputAudioPart, Message, Part, message_texts
from inference.api.text_inputs import json_texts, name_texts, undeclared_texts
from inference.api.tools import FunctionTool, NamedToolChoice, ResponseFormat, ToolChoice
from inference.api.validation import limited
from inference.contracts import FilteredText, Route
from inference.errors import InvalidInput, Location, Offender


class ChatRequest(GenerationBody):
    """`POST /chat/completions`."""

    route: ClassVar[Route] = Route.CHAT
    text_key: ClassVar[str] = "messages"
    continues_prompt: ClassVar[bool] = False

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: Annotated[int | None, limited("max_completion_tokens")] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[FunctionTool] | None, Field(min_length=1)] = None
    tool_choice: ToolChoice | None = None
    modalities: Annotated[list[Literal["text", "audio"]] | None, Field(min_length=1)] = None
    safe_prompt: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, limited("top_logprobs")] = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "scale"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def format(self) -> ResponseFormat | None:
        return self.response_format

    @property
    def offered_tools(self) -> tuple[FunctionTool, ...]:
        """The tools the model may call: none under `tool_choice: none`."""
        return () if self.tool_choice == "none" else tuple(self.tools or ())

    @property
    def forced_choice(self) -> NamedToolChoice | str | None:
        forced = self.tool_choice == "required" or isinstance(self.tool_choice, NamedToolChoice)
        return self.tool_choice if forced else None

    @property
    def single_call(self) -> bool:
        return self.parallel_tool_calls is False

    def top_logprobs_count(self) -> int | None:
        if self.top_logprobs and not self.logprobs:
            message = f"top_logprobs {self.top_logprobs} needs logprobs to be true"
            raise InvalidInput([Offender(("body", "top_logprobs"), self.top_logprobs, message)])
        return (self.top_logprobs or 0) if self.logprobs else None

    def token_limit(self, default: int, /) -> int:
        old, new = self.max_tokens, self.max_completion_tokens
        if old is not None and new is not None and old != new:
            message = f"max_completion_tokens {new} and max_tokens {old} differ; send one of them"
            raise InvalidInput([Offender(("body", "max_completion_tokens"), new, message)])
        limit = old if new is None else new
        return default if limit is None else limit

    def filtered_texts(self, _: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        texts = [text for message in self.messages for text in message_texts(message)]
        texts += [FilteredText("\n".join(_tool_texts(tool))) for tool in self.tools or ()]
        texts += self.format_texts()
        texts += [FilteredText("\n".join(json_texts(value))) for value in self._free_values()]
        texts += self.further_texts(self.tool_choice, self.response_format)
        return [[one for one in texts if one.text.strip()]]

    def _free_values(self) -> tuple[Any, ...]:
        """Return the values of parameters whose shape the API leaves open, and the name of a forced tool."""
        named = self.tool_choice.function.name if isinstance(self.tool_choice, NamedToolChoice) else None
        return self.prediction, self.web_search_options, self.functions, self.function_call, self.audio, named

    def image_urls(self) -> list[tuple[Location, str]]:
        return [
            ((*loc, "image_url", "url"), part.image_url.url)
            for loc, part in self._parts()
            if isinstance(part, ImagePart)
        ]

    def audio_locations(self) -> list[Location]:
        return [loc for loc, part in self._parts() if isinstance(part, (InputAudioPart, AudioUrlPart))]

    def input_kinds(self) -> Iterator[tuple[Location, str]]:
        for loc, part in self._parts():
            yield loc, part.type

    def _parts(self) -> Iterator[tuple[Location, Part]]:
        """Yield the parts of all messages, each with its location."""
        for number, message in enumerate(self.messages):
            if isinstance(message.content, list):
                for index, part in enumerate(message.content):
                    yield ("body", "messages", number, "content", index), part

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Prompt flow sends every parameter, unset ones empty."""
        return {key: value for key, value in data.items() if not (key in _EMPTY and value == _EMPTY[key])}


_EMPTY: dict[str, Any] = {"stop": [], "logit_bias": {}}


def _tool_texts(tool: FunctionTool) -> Iterator[str]:
    yield from name_texts(tool.function.name)
    if tool.function.description:
        yield tool.function.description
    yield from json_texts(tool.function.parameters or {})
    yield from undeclared_texts(tool)
