"""Typed requests in the terms of the engine: the messages of a template, prompt tokens, sampling."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.generation import GenerationBody
from inference.api.messages import AssistantMessage, Message, ToolCall, ToolMessage, message_text
from inference.api.offenders import abridged, context_length_exceeded
from inference.api.text_inputs import one_by_one
from inference.cards.card import Card
from inference.contracts import Sampling
from inference.errors import InvalidInput, Location, Offender
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.token_ids import UsableIds, check_text_ids, check_token_ids
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TOOL_FORMATS, ParsedCall, ToolFormat

TOKEN_ID = re.compile(r"[0-9]{1,10}")
UNSEEN = {"function": {"strict"}}
"""The keys of a tool that are about its grammar, not for the model."""
REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
"""The keys under which chat templates read reasoning, the most common one first."""
MAX_ARGUMENT_PARTS = 20_000
"""Arrays, objects and keys of a past call's arguments that are parsed: in a few milliseconds."""
EMPTY_PROMPT = "<|endoftext|>"
"""The token that stands for an empty prompt: the default prompt in the API's reference."""


def encode_chat(
    request: ChatRequest, card: Card, template: ChatTemplate, tokenizer: Tokenizer, context: int
) -> list[int]:
    """Return the tokens of a conversation, up to where the assistant's answer starts.

    Raises `ParameterNotSupported` where the chat template refuses the messages, or for more text than
    `context` tokens can be, and `InvalidInput` for a token that the model does not have.
    """
    messages = template_messages(request.messages, tool_format_of(card), template)
    safe = card.extras.get("safe_prompt")
    if request.safe_prompt and safe is not None:
        messages = _with_safety_prompt(messages, str(safe.text))
    tools = [tool.model_dump(exclude_unset=True, exclude=UNSEEN) for tool in request.offered_tools]
    variables = _reasoning_effort(request, card)
    text = template.render(messages, tools or None, **variables)
    check_text_length(text, ("body", "messages"), tokenizer, context, card.name)
    tokens = tokenizer.encode_prompt(text)
    _check_messages(tokens, request, tokenizer)
    return tokens


def _check_messages(tokens: Sequence[int], request: ChatRequest, tokenizer: Tokenizer) -> None:
    """Raise `InvalidInput` for a token that the model does not have, at the message that has its text."""
    position = tokenizer.usable.first_other(tokens)
    if position is None:
        return
    text = tokenizer.token_text(tokens[position]) or ""
    texts = [message_text(message) or "" for message in request.messages]
    index = next((index for index, one in enumerate(texts) if text in one), None)
    place: Location = () if index is None else (index, "content")
    check_text_ids(tokens, ("body", "messages", *place), tokenizer)


def tool_format_of(card: Card) -> ToolFormat | None:
    """Return the format of the model's tool calls, None where its card declares none."""
    tools = card.parameters.get("tools")
    return TOOL_FORMATS[tools.dialect] if tools is not None and tools.dialect else None


def _reasoning_effort(request: ChatRequest, card: Card) -> Mapping[str, Any]:
    """Return the variables by which the card sets the request's reasoning effort in the chat template."""
    limits = card.extras.get("reasoning_effort")
    if limits is None or limits.template is None or request.reasoning_effort is None:
        return {}
    return limits.template.get(request.reasoning_effort, {})


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens of a prompt, and its location in the request."""

    tokens: list[int]
    loc: Location
    text: str = ""
    """The text as it was sent, or that of token ids; empty for a conversation."""


def encode_prompts(request: CompletionRequest, tokenizer: Tokenizer, context: int, name: str) -> list[Prompt]:
    """Return every prompt of the request, which the deployment `name` continues.

    Raises `InvalidInput` for token ids that the model does not have, `ParameterNotSupported` for a prompt
    that is longer than the context.
    """
    prompts = []
    for index, prompt in enumerate(one_by_one(request.prompt)):
        loc: Location = ("body", "prompt", *_index(request.prompt, index))
        if isinstance(prompt, str):
            check_text_length(prompt, loc, tokenizer, context, name)
        else:
            check_context_length(prompt, loc, context, name)
        tokens = _token_ids(prompt, loc, tokenizer) or _empty_prompt(tokenizer)
        text = prompt if isinstance(prompt, str) else tokenizer.decode(tokens, special=True)
        prompts.append(Prompt(tokens, loc, text))
    return prompts


def _token_ids(prompt: str | list[int], loc: Location, tokenizer: Tokenizer) -> list[int]:
    """Return the tokens of a text, or the client's own.

    Raises `InvalidInput` for token ids that the model does not have.
    """
    if isinstance(prompt, str):
        tokens = tokenizer.encode(prompt, special=True)
        check_text_ids(tokens, loc, tokenizer)
        return tokens
    check_token_ids(prompt, loc, tokenizer)
    return prompt


def sampling_of(request: GenerationBody, version: str, tokenizer: Tokenizer) -> Sampling:
    """Return the sampling parameters of a request; the API's `version` decides the defaults.

    Raises `InvalidInput` for a bias of a token that is not in the vocabulary.
    """
    temperature = request.temperature
    if temperature is None:
        temperature = request.default_temperature(version)
    return Sampling(
        # top_p 0 leaves only the most likely token, and so does temperature 0.
        temperature=0.0 if request.top_p == 0 else temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        top_k=request.top_k if (request.top_k or 0) > 0 else None,
        min_p=request.min_p or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        presence_penalty=request.presence_penalty or 0.0,
        repetition_penalty=1.0 if request.repetition_penalty is None else request.repetition_penalty,
        logit_bias=_biases(request.logit_bias or {}, tokenizer.usable),
        seed=request.seed,
    )


def check_context_length(prompt: Sequence[int], loc: Location, context: int, name: str) -> None:
    """Raise `ParameterNotSupported` at `loc` when the prompt is longer than the context."""
    tokens = len(prompt)
    if tokens > context:
        offender = Offender(loc, tokens, f"the prompt has {tokens} tokens, {name} takes {context}")
        raise context_length_exceeded([offender], tokens=tokens, context=context)


def check_text_length(text: str, loc: Location, tokenizer: Tokenizer, context: int, name: str) -> None:
    """Raise `ParameterNotSupported` at `loc` for a text that is not tokenised, so many characters it has."""
    most = tokenizer.most_characters(context)
    if len(text) > most:
        message = f"the prompt has {len(text)} characters, {name} takes {context} tokens, {most} characters"
        raise context_length_exceeded([Offender(loc, len(text), message)], context=context)


def _index(prompt: Any, index: int) -> tuple[int, ...]:
    """Return the location of one of several prompts below `prompt`, empty for a lone one."""
    several = isinstance(prompt, list) and not isinstance(prompt[0], int)
    return (index,) if several else ()


def _empty_prompt(tokenizer: Tokenizer) -> list[int]:
    token_id = tokenizer.token_id(EMPTY_PROMPT)
    if token_id is None or tokenizer.usable.first_other([token_id]) is not None:
        return [0]
    return [token_id]


def _biases(biases: dict[str, float], usable: UsableIds) -> dict[int, float]:
    for key, bias in biases.items():
        if not TOKEN_ID.fullmatch(key) or usable.first_other([int(key)]) is not None:
            message = f"{abridged(key)!r} is not a token id of the vocabulary: 0 to {usable.end - 1}"
            raise InvalidInput([Offender(("body", "logit_bias", key), bias, message)])
    return {int(key): bias for key, bias in biases.items()}


def _with_safety_prompt(messages: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Return the messages with the safety prompt at the start of the system message, or as one."""
    if messages[0]["role"] == "system":
        first = {**messages[0], "content": f"{text}\n{messages[0]['content']}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def template_messages(
    messages: Sequence[Message], tool_format: ToolFormat | None, template: ChatTemplate
) -> list[dict[str, Any]]:
    """Return the messages for a template; one that renders no tool calls gets them as text of the format."""
    converter = _MessageConverter(tool_format, _reasoning_key(template))
    converted = [converter.convert(message) for message in messages]
    if tool_format is None or template.supports_tool_calls:
        return converted
    return [_with_calls_as_text(message, tool_format) for message in converted]


def _reasoning_key(template: ChatTemplate) -> str:
    """Return the key under which a template reads the reasoning of an earlier answer."""
    return next((key for key in REASONING_KEYS if template.reads_key(key)), REASONING_KEYS[0])


class _MessageConverter:
    """A converter of a conversation's messages, in sequence; it keeps the calls that wait for a result."""

    def __init__(self, tool_format: ToolFormat | None, reasoning_key: str) -> None:
        self._template_id = tool_format.template_id if tool_format else str
        self._reasoning_key = reasoning_key
        self._waiting: dict[str, str] = {}
        """The tools' names by the ids of their calls, in the sequence of the calls."""
        self._calls = 0

    def convert(self, message: Message) -> dict[str, Any]:
        role = "system" if message.role == "developer" else message.role
        converted: dict[str, Any] = {"role": role, "content": message_text(message)}
        if message.name:
            converted["name"] = message.name
        match message:
            case AssistantMessage():
                return {**converted, **dict(self._answer(message))}
            case ToolMessage():
                return {**converted, **self._result(message)}
        return converted

    def _answer(self, message: AssistantMessage) -> Iterator[tuple[str, Any]]:
        if message.reasoned:
            yield self._reasoning_key, message.reasoned
        if message.tool_calls:
            yield "tool_calls", [self._call(call) for call in message.tool_calls]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._calls += 1
        call_id = self._template_id(call.id or f"call_{self._calls}")
        self._waiting[call_id] = call.function.name
        function = {"name": call.function.name, "arguments": _arguments(call.function.arguments or "")}
        return {"id": call_id, "type": "function", "function": function}

    def _result(self, message: ToolMessage) -> dict[str, str]:
        """Return the call's id and the tool's name; a result without an id answers the first waiting call."""
        if message.tool_call_id:
            call_id: str | None = self._template_id(message.tool_call_id)
        else:
            call_id = next(iter(self._waiting), None)
        name = message.name or self._waiting.get(call_id or "")
        self._waiting.pop(call_id or "", None)
        return {key: value for key, value in (("tool_call_id", call_id), ("name", name)) if value}


def _arguments(arguments: str | dict[str, Any]) -> str | dict[str, Any]:
    """Return the arguments as an object; text that is no object, which models do write, stays text."""
    if isinstance(arguments, dict):
        return arguments
    if sum(map(arguments.count, "[{:")) > MAX_ARGUMENT_PARTS:
        return arguments
    try:
        parsed = from_json(arguments or "{}")
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _with_calls_as_text(message: dict[str, Any], tool_format: ToolFormat) -> dict[str, Any]:
    if "tool_calls" not in message:
        return message
    functions = [call["function"] for call in message["tool_calls"]]
    calls = tool_format.write([ParsedCall(function["name"], function["arguments"]) for function in functions])
    others = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**others, "content": "\n".join(filter(None, [message["content"], calls]))}
