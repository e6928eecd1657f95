"""One sequence on its way: what was asked, how far its prompt is run, what was answered."""

from __future__ import annotations

from collections.abc import Iterable

from inference.contracts import (
    Event,
    Finish,
    FinishReason,
    GenerationRequest,
    PositionLogprobs,
    Prefilled,
    Token,
    TokenIds,
    Usage,
)
from inference.engine.interfaces import Logits, Matcher
from inference.engine.logprobs import Distribution, of_prompt
from inference.engine.sampling import Sampler

JUMP = 4
"""Forced tokens that are run together at the least; fewer cost more than the steps they save.

Run together they are rounded differently from steps, so that this must not depend on who else is running.
"""


class Sequence:
    """The state of one request between the steps of the engine.

    A stop token ends the answer and is not shown, but it counts among the completion tokens, as it does for
    OpenAI: the model ran for it.
    """

    def __init__(
        self,
        request: GenerationRequest,
        *,
        context: int,
        vocabulary: int,
        matcher: Matcher | None = None,
    ) -> None:
        self.request = request
        self.limit = max(0, min(request.max_tokens, context - len(request.prompt)))
        self.cached = 0
        """Tokens of the prompt, not of what a constraint puts behind it, that were restored, not run."""
        self.prefilled = 0
        """Tokens of `script` that are in the KV cache."""
        self.completed = 0
        self.pending: list[int] = []
        """The answer's last tokens, which are not in the KV cache yet; several where they were forced."""
        self.finished = False
        self.cancelled = False
        """Set from the consumer's thread; the engine reads it before each step."""
        self._sampler = Sampler(request.sampling, request.prompt, vocabulary)
        self._matcher = matcher
        self._distribution = None if request.logprobs is None else Distribution(vocabulary, request.logprobs)
        self._opening = self._forced()
        self._prompt_logprobs: list[PositionLogprobs] = []
        self.script: TokenIds = (*request.prompt, *self._opening)
        """The tokens to prefill: the prompt, and what a constraint lets every answer begin with."""

    @property
    def length(self) -> int:
        """Tokens of prompt and answer so far."""
        return len(self.request.prompt) + self.completed

    @property
    def past(self) -> int:
        """How many of them are in the KV cache, while the sequence decodes."""
        return self.length - len(self.pending)

    @property
    def unread(self) -> TokenIds:
        """The part of the script that is still to be run."""
        return self.script[self.prefilled :]

    def restore(self, count: int) -> None:
        """Takes note that the first tokens of the script are in the KV cache already."""
        self.prefilled = count
        self.cached = min(count, len(self.request.prompt))

    def tell_prompt(self, logits: Logits, first: int) -> None:
        """Reads [positions, vocabulary] logits of the prompt from position `first` on."""
        following = self.request.prompt[first + 1 :]
        self._prompt_logprobs += of_prompt(logits, following, self.request.logprobs or 0)

    def begin(self, logits: Logits) -> list[Event]:
        """What follows the script, from [vocabulary] logits. Raises `sampling.NotFinite`."""
        told = Prefilled(self.cached, tuple(self._prompt_logprobs))
        if not self.limit:
            return [told, self.finish(FinishReason.LENGTH)]
        opening = self._taken(self._opening) or self._ended()
        return [told, *opening, *([] if self.finished else self.take(logits))]

    def take(self, logits: Logits) -> list[Event]:
        """Draws the next token from [vocabulary] logits. Raises `sampling.NotFinite`."""
        if self._distribution is not None:
            self._distribution.read(logits)
        token = self._sampler.draw(logits, None if self._matcher is None else self._matcher.mask)
        if token in self.request.stop_tokens:
            self.completed += 1
            return [self.finish(FinishReason.STOP)]
        told = None if self._distribution is None else self._distribution.of(token)
        self._note(token)
        self.pending = [token]
        return [Token(token, told), *(self._ended() or self._jump())]

    def finish(self, reason: FinishReason) -> Finish:
        self.finished = True
        return Finish(reason, Usage(len(self.request.prompt), self.completed, self.cached))

    def _jump(self) -> list[Event]:
        """The tokens that are forced to follow, where there are enough of them to be run together."""
        forced = self._forced()
        if len(forced) < JUMP:
            return []
        self.pending += forced
        return self._taken(forced)

    def _taken(self, tokens: Iterable[int]) -> list[Event]:
        """Tokens that follow whatever the model says."""
        events: list[Event] = []
        for token in tokens:
            self._sampler.count(token)
            self._note(token)
            events.append(Token(token))
        return events + self._ended() if events else []

    def _note(self, token: int) -> None:
        self.completed += 1
        if self._matcher is not None:
            self._matcher.advance(token)

    def _ended(self) -> list[Event]:
        """The end, where the constraint is fulfilled and nothing may follow, or the length is reached."""
        if self._matcher is not None and self._matcher.over:
            return [self.finish(FinishReason.STOP)]
        return [self.finish(FinishReason.LENGTH)] if self.completed == self.limit else []

    def _forced(self) -> list[int]:
        """None where log probabilities are asked for: those of forced tokens would cost what is saved."""
        if self._matcher is None or self._distribution is not None:
            return []
        return self._matcher.forced()[: self.limit - self.completed]
