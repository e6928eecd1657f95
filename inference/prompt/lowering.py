"""From a typed request to what the engine is asked: the prompt's tokens, the sampling, the length."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.generation import GenerationBody
from inference.api.text_inputs import one_by_one
from inference.api.validation import abridged
from inference.cards.card import Card
from inference.contracts import Sampling
from inference.errors import InvalidInput, Location, Offender, ParameterNotSupported
from inference.prompt import history
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TOOL_FORMATS, ToolFormat

TOKEN_ID = re.compile(r"[0-9]{1,10}")
START = "<|endoftext|>"
"""What an empty prompt is taken for: the default prompt of the API's reference."""


def chat_prompt(request: ChatRequest, card: Card, template: ChatTemplate, tokenizer: Tokenizer) -> list[int]:
    """The conversation's tokens, up to where the assistant is to answer. Raises `ParameterNotSupported`."""
    messages = history.plain(request.messages, dialect_of(card), template)
    safe = card.extras.get("safe_prompt")
    if request.safe_prompt and safe is not None:
        messages = _guarded(messages, str(safe.text))
    tools = [tool.model_dump(exclude_unset=True) for tool in request.offered_tools]
    return tokenizer.encode(template.render(messages, tools or None, **_effort(request, card)), special=False)


def dialect_of(card: Card) -> ToolFormat | None:
    """How the model writes calls of tools; None where its card declares none."""
    tools = card.parameters.get("tools")
    return TOOL_FORMATS[tools.dialect] if tools is not None and tools.dialect else None


def _effort(request: ChatRequest, card: Card) -> Mapping[str, Any]:
    """What the card has the chat template told about the effort that is asked for."""
    limits = card.extras.get("reasoning_effort")
    if limits is None or limits.template is None or request.reasoning_effort is None:
        return {}
    return limits.template[request.reasoning_effort]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is to continue, and where the request has it."""

    tokens: list[int]
    loc: Location
    text: str = ""
    """As it was sent; of token ids what they say. Of a conversation nothing."""


def text_prompts(request: CompletionRequest, tokenizer: Tokenizer) -> list[Prompt]:
    """Every prompt; raises `InvalidInput` for ids the model does not have."""
    prompts = []
    for index, prompt in enumerate(one_by_one(request.prompt)):
        loc: Location = ("body", "prompt", *_place(request.prompt, index))
        tokens = token_ids(prompt, loc, tokenizer) or _start(tokenizer)
        text = prompt if isinstance(prompt, str) else tokenizer.decode(tokens, special=True)
        prompts.append(Prompt(tokens, loc, text))
    return prompts


def token_ids(prompt: str | list[int], loc: Location, tokenizer: Tokenizer) -> list[int]:
    """The tokens of a text, or the client's own, checked. Raises `InvalidInput`."""
    if isinstance(prompt, str):
        return tokenizer.encode(prompt, special=True)
    check_ids(prompt, loc, tokenizer.vocabulary)
    return prompt


def check_ids(ids: Sequence[int], loc: Location, vocabulary: int) -> None:
    """Raises `InvalidInput` for the first id that is not in the vocabulary."""
    for position, token in enumerate(ids):
        if token >= vocabulary:
            message = f"token id {token} is not below {vocabulary}, the size of the vocabulary"
            raise InvalidInput([Offender((*loc, position), token, message)])


def sampling(request: GenerationBody, version: str, tokenizer: Tokenizer) -> Sampling:
    """What the request says about the draw; `version` decides the defaults. Raises `InvalidInput`."""
    temperature = request.temperature
    if temperature is None:
        temperature = request.default_temperature(version)
    return Sampling(
        # top_p 0 leaves only the most likely token: the same as no temperature at all.
        temperature=0.0 if request.top_p == 0 else temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        top_k=request.top_k,
        min_p=request.min_p or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        presence_penalty=request.presence_penalty or 0.0,
        repetition_penalty=1.0 if request.repetition_penalty is None else request.repetition_penalty,
        logit_bias=_biases(request.logit_bias or {}, tokenizer.vocabulary),
        seed=request.seed,
    )


def check_fits(prompt: Sequence[int], loc: Location, context: int, name: str) -> None:
    """Raises `ParameterNotSupported` at `loc` when the prompt is longer than the context."""
    if len(prompt) > context:
        message = f"the prompt has {len(prompt)} tokens, {name} takes {context}"
        raise ParameterNotSupported([Offender(loc, len(prompt), message)])


def _place(prompt: Any, index: int) -> tuple[int, ...]:
    """Where one of several prompts stands; a lone one stands at `prompt` itself."""
    several = isinstance(prompt, list) and not isinstance(prompt[0], int)
    return (index,) if several else ()


def _start(tokenizer: Tokenizer) -> list[int]:
    token = tokenizer.token_id(START)
    return [0 if token is None else token]


def _biases(biases: dict[str, float], vocabulary: int) -> dict[int, float]:
    for key, bias in biases.items():
        if not TOKEN_ID.fullmatch(key) or int(key) >= vocabulary:
            message = f"{abridged(key)!r} is not a token id from 0 to {vocabulary - 1}"
            raise InvalidInput([Offender(("body", "logit_bias", key), bias, message)])
    return {int(key): bias for key, bias in biases.items()}


def _guarded(messages: list[dict[str, Any]], sentence: str) -> list[dict[str, Any]]:
    """The safety sentence leads the system message, or is one."""
    if messages[0]["role"] == "system":
        first = {**messages[0], "content": f"{sentence}\n{messages[0]['content']}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": sentence}, *messages]
