"""The part that the bodies of `/chat/completions` and `/completions` share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from inference.api.parameters import default_of
from inference.api.text_inputs import Texts, as_list, json_texts, name_texts
from inference.api.tools import (
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedToolChoice,
    ResponseFormat,
)
from inference.api.validation import Request, WireModel, limited
from inference.contracts import FilteredText
from inference.errors import Location

Choice = Annotated[str, Field(min_length=1)]


class StreamOptions(WireModel):
    """The options of a streamed answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class GenerationBody(Request):
    """The fields and questions that every request for text has."""

    continues_prompt: ClassVar[bool] = True
    """True for a text that goes on where its prompt ended, so that its first space counts."""

    model: str | None = None
    stream: bool | None = None
    temperature: Annotated[float | None, limited("temperature")] = None
    top_p: Annotated[float | None, limited("top_p")] = None
    max_tokens: Annotated[int | None, limited("max_tokens")] = None
    stop: Texts | None = None
    seed: Annotated[int | None, limited("seed")] = None
    frequency_penalty: Annotated[float | None, limited("frequency_penalty")] = None
    presence_penalty: Annotated[float | None, limited("presence_penalty")] = None
    n: Annotated[int | None, limited("n")] = None
    top_k: Annotated[int | None, limited("top_k")] = None
    min_p: Annotated[float | None, limited("min_p")] = None
    repetition_penalty: Annotated[float | None, limited("repetition_penalty")] = None
    logit_bias: dict[str, Annotated[float, limited("logit_bias")]] | None = None
    guided_regex: Annotated[str | None, Field(min_length=1)] = None
    guided_choice: Annotated[list[Choice] | None, Field(min_length=1)] = None
    guided_grammar: Annotated[str | None, Field(min_length=1)] = None
    stream_options: StreamOptions | None = None
    user: str | None = None

    @property
    def streamed(self) -> bool:
        return bool(self.stream)

    @property
    def constrained(self) -> bool:
        return (
            self.must_call
            or self.format_asks
            or any((self.guided_regex, self.guided_choice, self.guided_grammar))
        )

    @property
    def wants_usage(self) -> bool:
        """True if the token counts go in a chunk of their own."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The stop strings that can occur; an empty one would stop before the first character."""
        return tuple(text for text in as_list(self.stop) if text) if self.stop else ()

    @property
    def echoes(self) -> bool:
        """True if the prompt stands before the answer."""
        return False

    @property
    def prompt_count(self) -> int:
        """The number of prompts."""
        return 1

    @property
    def choices_per_prompt(self) -> int:
        """The number of answers to each prompt."""
        return self.n or 1

    @property
    def choices_key(self) -> str:
        """The key that multiplies the choices, where there are too many of them."""
        return "n" if self.choices_per_prompt > 1 else "prompt"

    def drawn_per_prompt(self) -> int:
        """Return how many answers are drawn for each prompt, `choices_per_prompt` of which are returned.

        Raises `InvalidInput` for a number that cannot be.
        """
        return self.choices_per_prompt

    def top_logprobs_count(self) -> int | None:
        """Return the number of alternatives reported for each token; None without log probabilities.

        Raises `InvalidInput` for alternatives without log probabilities.
        """
        raise NotImplementedError

    def token_limit(self, default: int, /) -> int:
        """Return the most tokens of an answer, `default` where the body and the API leave it open.

        Raises `InvalidInput` where two keys contradict each other.
        """
        raise NotImplementedError

    def default_temperature(self, version: str) -> float:
        """Return the temperature of a request that has none, which differs by api-version."""
        return float(default_of("temperature", self.route, version))

    @property
    def format(self) -> ResponseFormat | None:
        """The `response_format`; None for routes that have none."""
        return None

    @property
    def format_asks(self) -> bool:
        """True if the `response_format` holds the answer to JSON."""
        kind = self.format if isinstance(self.format, str) else self.format and self.format.type
        return kind in ("json_object", "json_schema")

    @property
    def offered_tools(self) -> tuple[FunctionTool, ...]:
        """The tools the model may call."""
        return ()

    def located_tools(self) -> tuple[tuple[Location, FunctionTool], ...]:
        """Return the offered tools, each with its location in the body."""
        return ()

    @property
    def forced_choice(self) -> NamedToolChoice | str | None:
        """The `tool_choice` that forces a call: `required` or a named tool; None where there is none."""
        return None

    @property
    def must_call(self) -> bool:
        """True if the answer has to be a call of a tool."""
        return self.forced_choice is not None

    @property
    def single_call(self) -> bool:
        """True if the answer is over with its first call."""
        return False

    def format_texts(self) -> Iterator[FilteredText]:
        """Yield the caller's own words about the format of the answer."""
        if isinstance(self.format, JsonSchemaFormat):
            wanted = self.format.json_schema
            described = [wanted.description] if wanted.description else []
            texts = [*name_texts(wanted.name), *described, *json_texts(wanted.schema_)]
            yield FilteredText("\n".join(texts))
        if isinstance(self.format, JsonObjectFormat) and self.format.schema_:
            yield FilteredText("\n".join(json_texts(self.format.schema_)))
        for text in (self.guided_regex, self.guided_grammar, "\n".join(self.guided_choice or ())):
            if text:
                yield FilteredText(text)
