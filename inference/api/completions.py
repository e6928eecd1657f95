"""The body of `POST /completions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from inference.api.generation import GenerationBody
from inference.api.parameters import default_of
from inference.api.text_inputs import TextOrTokens, one_by_one, read, with_token_ids
from inference.api.validation import limited
from inference.contracts import FilteredText, Route, TextOrigin
from inference.errors import InvalidInput, Offender


class CompletionRequest(GenerationBody):
    """`POST /completions`. The default prompt is the one the API's reference names."""

    route: ClassVar[Route] = Route.COMPLETIONS
    text_key: ClassVar[str] = "prompt"

    prompt: TextOrTokens = Field("<|endoftext|>")
    logprobs: Annotated[int | None, Field(ge=0, le=5)] = None
    best_of: Annotated[int | None, limited("best_of")] = None
    echo: bool | None = None
    suffix: str | None = None

    @property
    def has_token_ids(self) -> bool:
        return with_token_ids(self.prompt)

    @property
    def prompt_count(self) -> int:
        return len(one_by_one(self.prompt))

    @property
    def echoes(self) -> bool:
        return bool(self.echo)

    @property
    def choices_key(self) -> str:
        return "best_of" if (self.best_of or 1) > self.choices_per_prompt else super().choices_key

    def drawn_per_prompt(self) -> int:
        n = self.choices_per_prompt
        if self.best_of is None:
            return n
        problem = None
        if self.best_of < n:
            problem = f"best_of {self.best_of} is less than n {n}; it must be at least n"
        elif self.best_of > n and self.stream:
            problem = "best_of above n cannot be streamed: the best answers are known only at the end"
        if problem:
            raise InvalidInput([Offender(("body", "best_of"), self.best_of, problem)])
        return self.best_of

    def top_logprobs_count(self) -> int | None:
        return self.logprobs

    def token_limit(self, _: int, /) -> int:
        if self.max_tokens is None:
            return int(default_of("max_tokens", self.route, ""))
        return self.max_tokens

    def filtered_texts(self, decode: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        prompts = [[FilteredText(read(one, decode), TextOrigin.USER)] for one in one_by_one(self.prompt)]
        suffix = [FilteredText(self.suffix, TextOrigin.USER)] if self.suffix else []
        prompts[0] += [*suffix, *self.format_texts(), *self.further_texts()]
        return prompts
