"""The engine: a thread that steps one batch, and the streams of its events to consumers on event loops."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from typing import TypeAlias

from inference.contracts import Event, Finish, FinishReason, GenerationRequest
from inference.engine.batch import Batch, Outcome, count_together
from inference.engine.interfaces import Decoder, Matcher, MatcherFactory
from inference.engine.kv_cache import KVCache, PrefixCache
from inference.engine.sequence import Sequence
from inference.errors import Busy, GenerationFailed

log = logging.getLogger(__name__)

Delivery: TypeAlias = Event | GenerationFailed


class Stream:
    """The events of one sequence, for a consumer on the event loop that made it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Delivery] = asyncio.Queue()

    async def next(self) -> Event:
        """Return the next event. Raises the `GenerationFailed` that was delivered instead of one."""
        event = await self._events.get()
        if isinstance(event, GenerationFailed):
            raise event
        return event

    def put(self, event: Delivery) -> None:
        """Add an event; called on the stream's own loop."""
        self._events.put_nowait(event)


def deliver(events: Iterable[tuple[Stream, Delivery]]) -> set[Stream]:
    """Hand events over from any thread, and return the streams whose loop is closed. Wakes each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Stream, Delivery]]] = {}
    for stream, event in events:
        by_loop.setdefault(stream.loop, []).append((stream, event))
    closed: set[Stream] = set()
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_put_all, group)
        except RuntimeError:  # the loop is closed, and its consumers with it
            closed.update(stream for stream, _ in group)
    return closed


def _put_all(group: list[tuple[Stream, Delivery]]) -> None:
    for stream, event in group:
        stream.put(event)


class Engine:
    """A `contracts.Generator` over a `Decoder` and the cache it was built on, whose length is the context.

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
        """Build an engine in which at most `queue_limit` sequences wait for a row.

        Without `prefixes` every prompt runs whole; without `grammars` no answer can be constrained.
        """
        self._decoder = decoder
        self._cache = cache
        self._prefixes = prefixes
        self._grammars = grammars
        self._capacity = cache.rows + queue_limit
        self._batch = Batch(decoder, cache, prefixes)
        self._changed = threading.Condition()
        self._streams: dict[Sequence, Stream] = {}
        self._waiting: deque[Sequence] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def context(self) -> int:
        """The most tokens of a prompt and its answer."""
        return self._cache.length

    @property
    def cache(self) -> KVCache:
        """The KV cache of all sequences."""
        return self._cache

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """Yield `Prefilled`, `Token`s, then one `Finish`.

        Closing the generator frees the sequence's row before the next step.

        Raises `errors.Busy` before the first event when every row and every slot of the queue is in use, and
        `errors.GenerationFailed` when the model fails, the engine is closed, the prompt is empty, longer than
        the context or has ids that are no tokens, or the constraint is not a grammar.
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
            self._cancel(sequence)

    def close(self) -> None:
        """End open streams with `GenerationFailed`, wait for the running step, and close the decoder."""
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
        # Graphs may take them: a negative id counts from the end, a quantized embedding returns zeros.
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
            raise GenerationFailed(f"The constraint is not a grammar: {error}") from None

    def _submit(self, sequence: Sequence, stream: Stream) -> None:
        with self._changed:
            if self._closed:
                raise GenerationFailed("The model is closed.")
            if len(self._streams) >= self._capacity:
                raise Busy(f"All {self._capacity} slots of the model are in use; try again later.")
            self._streams[sequence] = stream
            self._waiting.append(sequence)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _cancel(self, sequence: Sequence) -> None:
        with self._changed:
            sequence.cancelled = True
            self._streams.pop(sequence, None)
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
        self._deliver(self._batch.jump_forward())
        self._deliver(self._batch.prefill())
        self._deliver(self._batch.decode())

    def _admit(self) -> None:
        self._batch.drop_cancelled()
        with self._changed:
            if self._waiting and (free_rows := self._batch.free_rows):
                count = count_together(self._waiting, free_rows, self._decoder)
                self._batch.enter(*(self._waiting.popleft() for _ in range(count)))

    def _deliver(self, outcomes: list[Outcome]) -> None:
        with self._changed:
            events = [(self._streams[one], event) for one, event in outcomes if one in self._streams]
            for sequence, event in outcomes:
                if isinstance(event, Finish | GenerationFailed):
                    self._streams.pop(sequence, None)
        if closed := deliver(events):
            self._cancel_streams(closed)

    def _cancel_streams(self, closed: set[Stream]) -> None:
        """Cancel the sequences of streams whose event loop is closed."""
        with self._changed:
            sequences = [sequence for sequence, stream in self._streams.items() if stream in closed]
        for sequence in sequences:
            self._cancel(sequence)

    def _fail_all(self, message: str) -> None:
        with self._changed:
            streams = list(self._streams.values())
            for sequence in self._streams:
                sequence.cancelled = True
            self._streams.clear()
            self._waiting.clear()
        deliver((stream, GenerationFailed(message)) for stream in streams)
