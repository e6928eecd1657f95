"""The values of `/responses` that are valid and that nothing here can honour, each at its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inference.api.offenders import ROOT, abridged
from inference.api.parameters import BY_NAME
from inference.api.parameters.responses import NOT_SERVED
from inference.api.response_items import (
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputMessage,
    InputVideo,
)
from inference.api.response_tools import (
    LOGPROBS,
    SEALED,
    ChosenFunction,
    ChosenTools,
    HostedChoice,
    HostedTool,
    ResponseFunction,
)
from inference.errors import Location, Offender

if TYPE_CHECKING:
    from inference.api.responses import ResponsesRequest

VALUE, PARAMETER = "unsupported_value", "unsupported_parameter"
HOSTED_MESSAGE = (
    "{} is a tool that a server runs, and none runs here; "
    "offer a tool of type function, which the caller runs"
)
MOST_LABELS, LONGEST_LABEL, LONGEST_NOTE = 16, 64, 512
"""Pairs of `metadata`, characters of a key, and of a value."""


def refused_values(request: ResponsesRequest) -> Iterator[Offender]:
    """Yield the values of a request that are refused whatever the deployment."""
    yield from _not_served(request)
    yield from _parts(request)
    yield from _tools(request)
    yield from _tool_choice(request)
    yield from _options(request)
    yield from _labels(request)


def _not_served(request: ResponsesRequest) -> Iterator[Offender]:
    for name, instead in NOT_SERVED.items():
        value = getattr(request, name)
        if value is not None and not BY_NAME[name].is_neutral(value):
            yield Offender((ROOT, name), abridged(value), f"{name} is not supported: {instead}", PARAMETER)


def _parts(request: ResponsesRequest) -> Iterator[Offender]:
    """Yield the parts that no deployment reads, and images that are not sent by a URL."""
    for loc, part in _located_parts(request):
        match part:
            case InputFile():
                yield Offender(loc, None, "documents are not read here; send their text", VALUE)
            case InputVideo():
                yield Offender(loc, None, "no model here sees videos", VALUE)
            case InputImage(image_url=None, file_id=None):
                message = "is required, but missing"
                yield Offender((*loc, "image_url"), None, message, "missing_required_parameter")
            case InputImage(file_id=str() as name):
                message = "files are not kept here; send the image in `image_url`, as a URL or as data"
                yield Offender((*loc, "file_id"), abridged(name), message, VALUE)


def _located_parts(request: ResponsesRequest) -> Iterator[tuple[Location, Any]]:
    for number, item in enumerate(request.input if isinstance(request.input, list) else ()):
        match item:
            case InputMessage(content=list() as parts):
                key = "content"
            case FunctionCallOutput(output=list() as parts):
                key = "output"
            case _:
                continue
        for index, part in enumerate(parts):
            yield (ROOT, "input", number, key, index), part


def _tools(request: ResponsesRequest) -> Iterator[Offender]:
    for index, tool in enumerate(request.tools or ()):
        loc: Location = (ROOT, "tools", index)
        match tool:
            case HostedTool():
                yield Offender((*loc, "type"), tool.type, HOSTED_MESSAGE.format(tool.type), VALUE)
            case ResponseFunction():
                for key, value, asks in (
                    ("defer_loading", tool.defer_loading, bool(tool.defer_loading)),
                    ("async", tool.async_, bool(tool.async_)),
                    (
                        "allowed_callers",
                        tool.allowed_callers,
                        "direct" not in (tool.allowed_callers or ["direct"]),
                    ),
                ):
                    if asks:
                        yield Offender((*loc, key), value, f"{key} {value} is not supported", VALUE)


def _tool_choice(request: ResponsesRequest) -> Iterator[Offender]:
    choice, loc = request.tool_choice, (ROOT, "tool_choice")
    names = [tool.name for tool in request.tools or () if isinstance(tool, ResponseFunction)]
    match choice:
        case HostedChoice():
            yield Offender((*loc, "type"), choice.type, HOSTED_MESSAGE.format(choice.type), VALUE)
        case "required" if not names:
            yield Offender(loc, choice, "tool_choice required needs at least one tool")
        case ChosenFunction(name=name) if name not in names:
            yield Offender((*loc, "name"), name, _no_function(name, names))
        case ChosenTools(tools=chosen):
            for index, tool in enumerate(chosen):
                if tool.name not in names:
                    yield Offender((*loc, "tools", index), tool.name, _no_function(tool.name, names))


def _no_function(name: str, names: list[str]) -> str:
    known = f"its functions are {', '.join(names)}" if names else "it is empty"
    return f"tools has no function named {name}; {known}"


def _options(request: ResponsesRequest) -> Iterator[Offender]:
    for loc, value, asks, problem in _option_values(request):
        if asks:
            yield Offender((ROOT, *loc), value, problem, VALUE)
    for index, word in enumerate(request.include or ()):
        if word not in (LOGPROBS, SEALED):
            problem = f"{word} is of a tool that a server runs, and none runs here"
            if word == "message.input_image.image_url":
                problem = f"{word} is not supported: the images of a response are returned by its input_items"
            yield Offender((ROOT, "include", index), word, problem, VALUE)


def _option_values(request: ResponsesRequest) -> Iterator[tuple[Location, Any, bool, str]]:
    reasoning, options = request.reasoning, request.stream_options
    for key, usual in (("context", "auto"), ("mode", "standard")):
        word = getattr(reasoning, key, None)
        yield ("reasoning", key), word, word not in (None, usual), f"{word} is not supported, only {usual}"
    tier, kept = request.service_tier, request.prompt_cache_retention
    yield (
        ("service_tier",),
        tier,
        tier not in (None, "auto", "default"),
        f"{tier} is not supported, only default",
    )
    problem = "24h is not supported: cached prefixes are in memory, as long as there is room"
    yield ("prompt_cache_retention",), kept, kept == "24h", problem
    padded = bool(options and options.include_obfuscation)
    problem = "include_obfuscation is not supported: events have no padding"
    yield ("stream_options", "include_obfuscation"), True, padded, problem
    calls = request.max_tool_calls
    problem = f"{calls} is not supported: answers have 1 call (1) or as many as the model makes (without it)"
    yield ("max_tool_calls",), calls, calls not in (None, 1), problem


def _labels(request: ResponsesRequest) -> Iterator[Offender]:
    metadata, loc = request.metadata or {}, (ROOT, "metadata")
    if len(metadata) > MOST_LABELS:
        message = f"has {len(metadata)} pairs, more than {MOST_LABELS}"
        yield Offender(loc, len(metadata), message, "object_above_max_properties")
    for key, value in metadata.items():
        if len(key) > LONGEST_LABEL:
            message = f"has a key of {len(key)} characters, more than {LONGEST_LABEL}"
            yield Offender((*loc, key), abridged(key), message, "string_above_max_length")
        if len(value) > LONGEST_NOTE:
            message = f"has {len(value)} characters, more than {LONGEST_NOTE}"
            yield Offender((*loc, key), abridged(value), message, "string_above_max_length")
