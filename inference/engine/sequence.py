"""One sequence on its way: what was asked, how far its prompt is run, what was answered."""

from __future__ import annotations

from inference.contracts import Event, Finish, FinishReason, GenerationRequest, Token, TokenIds, Usage
from inference.engine.decoder import Logits
from inference.engine.sampling import Sampler


class Sequence:
    """The state of one request between the steps of the engine.

    A stop token ends the answer and is not shown, but it counts among the completion tokens, as it does for
    OpenAI: the model ran for it.
    """

    def __init__(self, request: GenerationRequest, *, context: int, vocabulary: int) -> None:
        self.request = request
        self.limit = max(0, min(request.max_tokens, context - len(request.prompt)))
        self.prefilled = 0
        self.completed = 0
        self.last = -1
        self.finished = False
        self.cancelled = False
        """Set from the consumer's thread; the engine reads it before each step."""
        self._sampler = Sampler(request.sampling, request.prompt, vocabulary)

    @property
    def length(self) -> int:
        """Tokens of prompt and answer so far; the last of them is not in the KV cache yet."""
        return len(self.request.prompt) + self.completed

    @property
    def unread(self) -> TokenIds:
        """The part of the prompt that is still to be run."""
        return self.request.prompt[self.prefilled :]

    def take(self, logits: Logits) -> list[Event]:
        """Draws the next token from [vocabulary] logits. Raises `sampling.NotFinite`."""
        self.last = self._sampler.draw(logits)
        self.completed += 1
        if self.last in self.request.stop_tokens:
            return [self.finish(FinishReason.STOP)]
        if self.completed == self.limit:
            return [Token(self.last), self.finish(FinishReason.LENGTH)]
        return [Token(self.last)]

    def finish(self, reason: FinishReason) -> Finish:
        self.finished = True
        return Finish(reason, Usage(len(self.request.prompt), self.completed))
