"""The engine: one thread that runs a model, and the async streams that feed on it.

Continuous batching: before every step sequences may join and leave the running batch. What a sequence
answers does not depend on the others.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator

from inference.contracts import Event, Finish, FinishReason, GenerationRequest
from inference.engine.batch import Batch, Outcome
from inference.engine.interfaces import Decoder
from inference.engine.kv_cache import KVCache
from inference.engine.matcher import Matcher, MatcherFactory
from inference.engine.prefill import together
from inference.engine.prefix_cache import PrefixCache
from inference.engine.sequence import Sequence
from inference.engine.stream import Stream, deliver
from inference.errors import Busy, GenerationFailed

log = logging.getLogger(__name__)


class Engine:
    """A `contracts.Generator` over a `Decoder` and the cache it was built on, as long as the context.

    The thread starts with the first request and ends with `close`.
    """

    def __init__(
        self,
        decoder: Decoder,
        cache: KVCache,
        *,
        queue_limit: int,
        prefixes: PrefixCache | None = None,
        grammars: MatcherFactory | None = None,
    ) -> None:
        """`prefixes` keeps prompts that may come again; without `grammars` no request has a constraint."""
        self._decoder = decoder
        self._cache = cache
        self._prefixes = prefixes
        self._grammars = grammars
        self._capacity = cache.rows + queue_limit
        self._batch = Batch(decoder, cache, prefixes)
        self._changed = threading.Condition()
        self._open: dict[Sequence, Stream] = {}
        self._waiting: deque[Sequence] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def context(self) -> int:
        return self._cache.length

    @property
    def scores(self) -> bool:
        return self._decoder.scores

    @property
    def cache(self) -> KVCache:
        return self._cache

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """Yields `Prefilled`, `Token`s, then one `Finish`.

        Leaving early frees the sequence's row before the next step.
        Raises `errors.Busy` before the first event when every row and every place in the queue is taken, and
        `errors.GenerationFailed` when the model fails, the engine is closed, the prompt is empty, longer than
        the context or holds ids that are no tokens, or the constraint is no grammar.
        """
        self._check(request)
        sequence = Sequence(
            request,
            context=self.context,
            vocabulary=self._decoder.vocabulary,
            matcher=self._matcher(request),
        )
        if not sequence.limit and not request.prompt_logprobs:
            yield sequence.finish(FinishReason.LENGTH)
            return
        stream = Stream()
        self._submit(sequence, stream)
        try:
            while True:
                event = await stream.next()
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            self._withdraw(sequence)

    def close(self) -> None:
        """Ends open streams with `GenerationFailed`, lets the running step end, and closes the decoder."""
        with self._changed:
            already, self._closed = self._closed, True
            self._changed.notify_all()
        self._fail_all("The model was closed before the answer was complete.")
        if self._thread is not None:
            self._thread.join()
        if not already:
            self._decoder.close()

    def _check(self, request: GenerationRequest) -> None:
        if self._closed:
            raise GenerationFailed("The model is closed.")
        if not 0 < len(request.prompt) <= self.context:
            raise GenerationFailed(
                f"A prompt has 1 to {self.context} tokens in this model, not {len(request.prompt)}."
            )
        # Graphs may take them: a negative id counts from the end, a quantized embedding answers with zeros.
        if min(request.prompt) < 0 or max(request.prompt) >= self._decoder.vocabulary:
            raise GenerationFailed(f"The prompt's token ids must be below {self._decoder.vocabulary}.")

    def _matcher(self, request: GenerationRequest) -> Matcher | None:
        if request.constraint is None:
            return None
        if self._grammars is None:
            raise GenerationFailed("This model has no grammars.")
        try:
            return self._grammars.matcher(request.constraint)
        except ValueError as error:
            raise GenerationFailed(f"The constraint is no grammar: {error}") from None

    def _submit(self, sequence: Sequence, stream: Stream) -> None:
        with self._changed:
            if self._closed:
                raise GenerationFailed("The model is closed.")
            if len(self._open) >= self._capacity:
                raise Busy(f"All {self._capacity} places of the model are taken; try again later.")
            self._open[sequence] = stream
            self._waiting.append(sequence)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _withdraw(self, sequence: Sequence) -> None:
        with self._changed:
            sequence.cancelled = True
            self._open.pop(sequence, None)
            if sequence in self._waiting:
                self._waiting.remove(sequence)

    def _serve(self) -> None:
        while self._await_work():
            try:
                self._step()
            except Exception:
                log.exception("A step of the engine failed")
                self._fail_all("The model failed.")
                self._batch = Batch(self._decoder, self._cache, self._prefixes)

    def _await_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting or not self._batch.idle)
            return not self._closed

    def _step(self) -> None:
        self._admit()
        self._deliver(self._batch.jump())
        self._deliver(self._batch.prefill())
        self._deliver(self._batch.decode())

    def _admit(self) -> None:
        self._batch.drop_cancelled()
        with self._changed:
            if self._waiting and (room := self._batch.room):
                count = together(self._waiting, room, self._decoder)
                self._batch.enter(*(self._waiting.popleft() for _ in range(count)))

    def _deliver(self, outcomes: list[Outcome]) -> None:
        with self._changed:
            events = [(self._open[sequence], event) for sequence, event in outcomes if sequence in self._open]
            for sequence, event in outcomes:
                if isinstance(event, Finish | GenerationFailed):
                    self._open.pop(sequence, None)
        gone = deliver(events)
        if gone:
            self._forget(gone)

    def _forget(self, gone: set[Stream]) -> None:
        """Cancels what nobody can hear any more."""
        with self._changed:
            sequences = [sequence for sequence, stream in self._open.items() if stream in gone]
        for sequence in sequences:
            self._withdraw(sequence)

    def _fail_all(self, message: str) -> None:
        with self._changed:
            streams = list(self._open.values())
            for sequence in self._open:
                sequence.cancelled = True
            self._open.clear()
            self._waiting.clear()
        deliver((stream, GenerationFailed(message)) for stream in streams)
