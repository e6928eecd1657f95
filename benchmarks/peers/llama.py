"""llama.cpp on the same weights in Q4_0: run by the peers' own Python, asked line by line in JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import llama_cpp
import numpy as np

SEQUENCES = 8
CONTEXT = 1024
BATCH = 512


class Llama:
    """One context for several sequences; a step runs one token of each that decodes and all new prompts."""

    def __init__(self, file: str, threads: int) -> None:
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(
            file.encode(), llama_cpp.llama_model_default_params()
        )
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = SEQUENCES * CONTEXT
        parameters.n_batch = parameters.n_ubatch = BATCH
        parameters.n_seq_max = SEQUENCES
        parameters.n_threads = parameters.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._batch = llama_cpp.llama_batch_init(BATCH * 2, 0, 1)

    def prefill(self, prompt: list[int]) -> float:
        """Return the seconds to the first token."""
        self._forget()
        start = time.perf_counter()
        self._step([(0, prompt, 0)])
        return time.perf_counter() - start

    def decode(self, prompt: list[int], tokens: int) -> float:
        """Return the seconds of so many tokens after the first."""
        self._forget()
        (token,) = self._step([(0, prompt, 0)])
        start = time.perf_counter()
        for place in range(tokens):
            (token,) = self._step([(0, [token], len(prompt) + place)])
        return time.perf_counter() - start

    def steady(self, prompts: list[list[int]], tokens: int) -> float:
        """Return tokens a second of all of them together, once their prompts are run."""
        self._forget()
        current = [self._step([(row, prompt, 0)])[0] for row, prompt in enumerate(prompts)]
        start = time.perf_counter()
        for place in range(tokens):
            work = [(row, [token], len(prompts[row]) + place) for row, token in enumerate(current)]
            current = self._step(work)
        return tokens * len(prompts) / (time.perf_counter() - start)

    def chats(self, prompts: list[list[int]], every: float, tokens: int) -> dict[str, Any]:
        """Run conversations that arrive one after the other; each joins at the step after it came."""
        self._forget()
        begin = time.perf_counter()
        arrivals = [begin + number * every for number in range(len(prompts))]
        firsts, waiting = [0.0] * len(prompts), list(range(len(prompts)))
        running: dict[int, list[int]] = {}
        while waiting or running:
            now = time.perf_counter()
            if not running and waiting and arrivals[waiting[0]] > now:
                time.sleep(arrivals[waiting[0]] - now)
                now = time.perf_counter()
            work = [(row, said[-1:], len(prompts[row]) + len(said) - 1) for row, said in running.items()]
            room = BATCH - len(work)
            while waiting and arrivals[waiting[0]] <= now and len(prompts[waiting[0]]) <= room:
                row = waiting.pop(0)
                room -= len(prompts[row])
                work.append((row, prompts[row], 0))
            for (row, *_), token in zip(work, self._step(work), strict=True):
                if row not in running:
                    running[row] = []
                    firsts[row] = time.perf_counter() - arrivals[row]
                running[row].append(token)
                if len(running[row]) == tokens:
                    del running[row]
        return {"firsts": firsts, "seconds": time.perf_counter() - begin}

    def _forget(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def _step(self, work: list[tuple[int, list[int], int]]) -> list[int]:
        """Run tokens of several sequences, each from its position; return the likeliest next of each."""
        batch, ends = self._batch, []
        batch.n_tokens = 0
        for row, tokens, past in work:
            for offset, token in enumerate(tokens):
                place = batch.n_tokens
                batch.token[place], batch.pos[place] = token, past + offset
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, row
                batch.logits[place] = offset == len(tokens) - 1
                batch.n_tokens += 1
            ends.append(batch.n_tokens - 1)
        failed = llama_cpp.llama_decode(self._context, batch)
        if failed:
            raise RuntimeError(f"llama_decode gave {failed}")
        return [self._best(end) for end in ends]

    def _best(self, place: int) -> int:
        pointer = llama_cpp.llama_get_logits_ith(self._context, place)
        return int(np.ctypeslib.as_array(pointer, shape=(self._vocabulary,)).argmax())


def main(file: str, threads: int) -> None:
    peer = Llama(file, threads)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(peer, asked.pop("do"))(**asked)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
