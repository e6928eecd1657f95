"""What a person or a tool wrote in a request, for the content filter: no ids, no names, no keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from inference.api.chat import (
    AssistantMessage,
    AudioUrlPart,
    ChatRequest,
    FunctionTool,
    ImagePart,
    InputAudioPart,
    JsonSchemaFormat,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
    text_of,
)
from inference.api.completions import CompletionRequest, GenerationBody
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.text_inputs import one_by_one
from inference.api.validation import Request
from inference.safety.input_filter import FilteredText, TextOrigin

Decode = Callable[[Sequence[int]], str]


def place_of(request: Request) -> str:
    """The key of the body that holds what was written."""
    match request:
        case ChatRequest():
            return "messages"
        case CompletionRequest():
            return "prompt"
    return "input"


def has_tokens(request: Request) -> bool:
    """Whether a text is sent as token ids, which only the model's tokenizer can read."""
    match request:
        case CompletionRequest(prompt=texts) | EmbeddingsRequest(input=texts):
            return any(not isinstance(one, str) for one in one_by_one(texts))
    return False


def texts_of(request: Request, decode: Decode) -> list[list[FilteredText]]:
    """Everything written, a list for each prompt; `decode` reads token ids."""
    match request:
        case ChatRequest():
            return [[passage for passage in _conversation(request) if passage.text.strip()]]
        case CompletionRequest():
            prompts = [
                [FilteredText(_text(one, decode), TextOrigin.USER)] for one in one_by_one(request.prompt)
            ]
            prompts[0] += _form(request)
            return prompts
        case EmbeddingsRequest():
            return [[FilteredText(_text(one, decode)) for one in one_by_one(request.input)]]
        case ImageEmbeddingsRequest():
            return [[FilteredText(one.text) for one in request.input if one.text]]
    return []


def images_of(request: Request) -> list[tuple[tuple[str | int, ...], str]]:
    """The URLs of pictures among a conversation's parts, each with its place."""
    if not isinstance(request, ChatRequest):
        return []
    return [
        (("body", "messages", number, "content", index, "image_url", "url"), part.image_url.url)
        for number, message in enumerate(request.messages)
        if isinstance(message.content, list)
        for index, part in enumerate(message.content)
        if isinstance(part, ImagePart)
    ]


def sounds_of(request: Request) -> list[tuple[str | int, ...]]:
    """The places of sound among a conversation's parts."""
    if not isinstance(request, ChatRequest):
        return []
    return [
        ("body", "messages", number, "content", index)
        for number, message in enumerate(request.messages)
        if isinstance(message.content, list)
        for index, part in enumerate(message.content)
        if isinstance(part, (InputAudioPart, AudioUrlPart))
    ]


def _conversation(request: ChatRequest) -> Iterator[FilteredText]:
    for message in request.messages:
        yield from _message(message)
    for tool in request.tools or ():
        yield FilteredText("\n".join(_tool(tool)))
    if isinstance(request.response_format, JsonSchemaFormat):
        wanted = request.response_format.json_schema
        yield FilteredText("\n".join([wanted.description or "", *_strings(wanted.schema_)]))
    yield from _form(request)


def _form(request: GenerationBody) -> Iterator[FilteredText]:
    """What the answer is to look like, in the caller's own words."""
    for text in (request.guided_regex, request.guided_grammar, "\n".join(request.guided_choice or ())):
        if text:
            yield FilteredText(text)


def _message(message: Message) -> Iterator[FilteredText]:
    text = text_of(message.content)
    match message:
        case UserMessage():
            yield FilteredText(text, TextOrigin.USER)
        case ToolMessage():
            yield FilteredText(text, TextOrigin.TOOL)
        case SystemMessage():
            yield FilteredText(text)
        case AssistantMessage():
            yield FilteredText(text)
            yield FilteredText(message.reasoning_content or "")
            for call in message.tool_calls or ():
                yield FilteredText("\n".join(_strings(call.function.arguments)))


def _tool(tool: FunctionTool) -> Iterator[str]:
    yield tool.function.description or ""
    yield from _strings(tool.function.parameters or {})


def _strings(value: Any) -> Iterator[str]:
    """The texts in a JSON value, without the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _text(one: str | Sequence[int], decode: Decode) -> str:
    return one if isinstance(one, str) else decode(one)
