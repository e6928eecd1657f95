"""onnxruntime-genai on the same file: run by the peers' own Python, asked line by line in JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import onnxruntime_genai as og


class Genai:
    def __init__(self, folder: str) -> None:
        self._model = og.Model(folder)

    def prefill(self, prompt: list[int]) -> float:
        """Return the seconds to the first token."""
        start = time.perf_counter()
        self._begun(prompt, 1)
        return time.perf_counter() - start

    def decode(self, prompt: list[int], tokens: int) -> float:
        """Return the seconds of so many tokens after the first."""
        generator = self._begun(prompt, tokens + 1)
        start = time.perf_counter()
        for _ in range(tokens):
            generator.generate_next_token()
        return time.perf_counter() - start

    def chats(self, prompts: list[list[int]], every: float, tokens: int) -> dict[str, Any]:
        """Run conversations that arrive one after the other and are served one at a time, as they came."""
        begin, firsts = time.perf_counter(), []
        for number, prompt in enumerate(prompts):
            arrived = begin + number * every
            time.sleep(max(0.0, arrived - time.perf_counter()))
            generator = self._begun(prompt, tokens)
            firsts.append(time.perf_counter() - arrived)
            for _ in range(tokens - 1):
                generator.generate_next_token()
        return {"firsts": firsts, "seconds": time.perf_counter() - begin}

    def _begun(self, prompt: list[int], tokens: int) -> Any:
        parameters = og.GeneratorParams(self._model)
        length = len(prompt) + tokens
        parameters.set_search_options(max_length=length, min_length=length, do_sample=False)
        generator = og.Generator(self._model, parameters)
        generator.append_tokens(prompt)
        generator.generate_next_token()
        return generator


def main(folder: str) -> None:
    peer = Genai(folder)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(peer, asked.pop("do"))(**asked)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
