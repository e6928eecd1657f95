"""The body of `POST /chat/completions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from inference.api.generation import GenerationBody
from inference.api.messages import (
    AssistantMessage,
    AudioUrlPart,
    ImagePart,
    InputAudioPart,
    Message,
    Part,
    RefusalPart,
    message_texts,
)
from inference.api.text_inputs import json_texts, name_texts, undeclared_texts
from inference.api.tools import AllowedToolChoice, FunctionTool, NamedToolChoice, ResponseFormat, ToolChoice
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
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    safe_prompt: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, limited("top_logprobs")] = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default", "fast", "flex", "priority", "scale"] | None = None
    moderation: dict[str, Any] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None

    @property
    def format(self) -> ResponseFormat | None:
        return self.response_format

    @property
    def offered_tools(self) -> tuple[FunctionTool, ...]:
        """The tools the model may call: none under `tool_choice: none`, some under `allowed_tools`."""
        return tuple(tool for _, tool in self.located_tools())

    def located_tools(self) -> tuple[tuple[Location, FunctionTool], ...]:
        choice, tools = self.tool_choice, enumerate(self.tools or ())
        if choice == "none":
            return ()
        allowed = (
            {tool.function.name for tool in choice.allowed_tools.tools}
            if isinstance(choice, AllowedToolChoice)
            else None
        )
        return tuple(
            (("body", "tools", index), tool)
            for index, tool in tools
            if allowed is None or tool.function.name in allowed
        )

    @property
    def forced_choice(self) -> NamedToolChoice | str | None:
        choice = self.tool_choice
        if isinstance(choice, AllowedToolChoice):
            return "required" if choice.allowed_tools.mode == "required" else None
        return choice if choice == "required" or isinstance(choice, NamedToolChoice) else None

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

    def contradictions(self) -> Iterator[Offender]:
        yield from self._unknown_allowed_tools()
        for number, message in enumerate(self.messages):
            if not isinstance(message, AssistantMessage):
                continue
            first, second = message.reasoning_content, message.reasoning
            if first and second and first != second:
                problem = "reasoning and reasoning_content differ; send one of them"
                yield Offender(("body", "messages", number, "reasoning"), second, problem)

    def _unknown_allowed_tools(self) -> Iterator[Offender]:
        if not isinstance(self.tool_choice, AllowedToolChoice):
            return
        names = [tool.function.name for tool in self.tools or ()]
        for index, allowed in enumerate(self.tool_choice.allowed_tools.tools):
            if (name := allowed.function.name) not in names:
                yield Offender((*ALLOWED_TOOLS, index, "function", "name"), name, _no_function(name, names))

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
            if not isinstance(part, RefusalPart):
                yield loc, part.type

    def _parts(self) -> Iterator[tuple[Location, Part | RefusalPart]]:
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
ALLOWED_TOOLS: Location = ("body", "tool_choice", "allowed_tools", "tools")


def _no_function(name: str, names: Sequence[str]) -> str:
    known = f"its functions are {', '.join(names)}" if names else "it is empty"
    return f"tools has no function named {name}; {known}"


def _tool_texts(tool: FunctionTool) -> Iterator[str]:
    yield from name_texts(tool.function.name)
    if tool.function.description:
        yield tool.function.description
    yield from json_texts(tool.function.parameters or {})
    yield from undeclared_texts(tool)
