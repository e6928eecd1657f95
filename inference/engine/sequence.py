"""A sequence: one request with the state of its prompt and answer between the steps of the engine."""

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
from inference.engine.sampling import Distribution, Sampler, prompt_logprobs

MIN_FORCED_RUN = 4
"""The least number of forced tokens that run together; fewer cost more than the steps they save.

Run together they are rounded differently from single steps, so this must not depend on the other sequences.
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
        """Start a sequence of at most `context` tokens, whose answer `matcher` constrains."""
        self.request = request
        self.limit = max(0, min(request.max_tokens, context - len(request.prompt)))
        """The most tokens of the answer."""
        self.cached_tokens = 0
        """Tokens of the prompt, without forced ones after it, that came from the prefix cache."""
        self.prefilled = 0
        """Tokens of `prefill_tokens` that are in the KV cache."""
        self.completed = 0
        """Tokens of the answer so far."""
        self.pending: list[int] = []
        """The answer's last tokens, which are not in the KV cache yet; several where they were forced."""
        self.finished = False
        self.cancelled = False
        """Set from the consumer's thread; the engine checks it before each step."""
        self._sampler = Sampler(request.sampling, request.prompt, vocabulary)
        self._matcher = matcher
        self._distribution = None if request.logprobs is None else Distribution(vocabulary, request.logprobs)
        self._forced_prefix = self._forced()
        self._prompt_logprobs: list[PositionLogprobs] = []
        self.prefill_tokens: TokenIds = (*request.prompt, *self._forced_prefix)
        """The prompt, and the tokens that a constraint forces every answer to start with."""

    @property
    def length(self) -> int:
        """The number of tokens of prompt and answer so far."""
        return len(self.request.prompt) + self.completed

    @property
    def past(self) -> int:
        """The number of them that are in the KV cache, while the sequence decodes."""
        return self.length - len(self.pending)

    @property
    def remaining(self) -> TokenIds:
        """The tokens that are still to be prefilled."""
        return self.prefill_tokens[self.prefilled :]

    def mark_restored(self, count: int) -> None:
        """Count the first `count` tokens as prefilled: the prefix cache had them."""
        self.prefilled = count
        self.cached_tokens = min(count, len(self.request.prompt))

    def add_prompt_logprobs(self, logits: Logits, first: int) -> None:
        """Record log probabilities from [positions, vocabulary] logits of the prompt from `first` on."""
        following = self.request.prompt[first + 1 :]
        self._prompt_logprobs += prompt_logprobs(logits, following, self.request.logprobs or 0)

    def start(self, logits: Logits) -> list[Event]:
        """Return the first events, from the [vocabulary] logits after prefill. Raises `NotFinite`."""
        prefilled = Prefilled(self.cached_tokens, tuple(self._prompt_logprobs))
        if not self.limit:
            return [prefilled, self.finish(FinishReason.LENGTH)]
        events = self._append_forced(self._forced_prefix) or self._finish_if_over()
        return [prefilled, *events, *([] if self.finished else self.sample(logits))]

    def sample(self, logits: Logits) -> list[Event]:
        """Return the events of the next token, from [vocabulary] logits. Raises `NotFinite`."""
        if self._distribution is not None:
            self._distribution.read(logits)
        token = self._sampler.draw(logits, None if self._matcher is None else self._matcher.mask)
        if token in self.request.stop_tokens:
            self.completed += 1
            return [self.finish(FinishReason.STOP)]
        logprobs = None if self._distribution is None else self._distribution.of(token)
        self._append(token)
        self.pending = [token]
        return [Token(token, logprobs), *(self._finish_if_over() or self._jump_forward())]

    def finish(self, reason: FinishReason) -> Finish:
        """Mark the sequence as finished, and return its last event."""
        self.finished = True
        return Finish(reason, Usage(len(self.request.prompt), self.completed, self.cached_tokens))

    def _jump_forward(self) -> list[Event]:
        """Append the tokens that are forced to follow, where there are enough of them to run together."""
        forced = self._forced()
        if len(forced) < MIN_FORCED_RUN:
            return []
        self.pending += forced
        return self._append_forced(forced)

    def _append_forced(self, tokens: Iterable[int]) -> list[Event]:
        """Append tokens that follow whatever the model predicts."""
        events: list[Event] = []
        for token in tokens:
            self._sampler.count(token)
            self._append(token)
            events.append(Token(token))
        return events + self._finish_if_over() if events else []

    def _append(self, token: int) -> None:
        self.completed += 1
        if self._matcher is not None:
            self._matcher.advance(token)

    def _finish_if_over(self) -> list[Event]:
        """Finish where the constraint lets nothing follow, or the length is reached."""
        if self._matcher is not None and self._matcher.is_terminated:
            return [self.finish(FinishReason.STOP)]
        return [self.finish(FinishReason.LENGTH)] if self.completed == self.limit else []

    def _forced(self) -> list[int]:
        # Log probabilities of forced tokens would cost the runs that are saved.
        if self._matcher is None or self._distribution is not None:
            return []
        return self._matcher.forced()[: self.limit - self.completed]
