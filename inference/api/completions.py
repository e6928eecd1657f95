"""What `/chat/completions` and `/completions` share: sampling, length, streaming."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from inference.api.text_inputs import TextOrTokens, Texts
from inference.api.validation import Request, WireModel, limited

Choice = Annotated[str, Field(min_length=1)]


class StreamOptions(WireModel):
    include_usage: bool | None = None


class GenerationBody(Request):
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
    def wants_usage(self) -> bool:
        """Whether the token counts go in a chunk of their own."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(GenerationBody):
    """`POST /completions`. The default prompt is the one the API's reference names."""

    prompt: TextOrTokens = Field("<|endoftext|>")
    logprobs: Annotated[int | None, Field(ge=0, le=5)] = None
    best_of: Annotated[int | None, limited("best_of")] = None
    echo: bool | None = None
    suffix: str | None = None
