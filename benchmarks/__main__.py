"""Run benchmarks by name, or all, and print their tables as Markdown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from benchmarks.machine import description
from benchmarks.table import Report

BENCHMARKS: Mapping[str, str] = {
    "imports": "What loading the app costs before a request needs it",
    "start": "From `python -m inference serve` to a first answer",
    "cold_start": "From nothing to the first token of half a billion 4-bit weights",
    "blob_fetch": "A model from a blob container, beside a plain download of the same bytes",
    "embedding": "One short text, from the bare session to the HTTP client",
    "embedding_texts": "Texts of mixed lengths, beside sentence-transformers and padding in arrival order",
    "reranking": "Pairs of a query and documents of mixed lengths, beside sentence-transformers",
    "embedding_requests": "Many texts in one request, many requests at once, and writing numbers",
    "images": "Images a second, from Pillow and the bare session to the HTTP client",
    "chat": "Tokens a second, from the bare session to the HTTP client",
    "decoder": "A decoder by how its graph was written, without the engine",
    "engine": "The engine beside onnxruntime-genai and llama.cpp",
    "real_weights": "SmolLM2 from its GGUF file, beside llama-server on that file",
    "constrained": "Answers under a schema, beside free ones",
    "sampling": "Drawing a token from a large vocabulary",
    "request": "The stages before the model, of a chat of ten messages",
    "grammar": "What a grammar costs: a mask, a token, a compilation",
    "models_add": "From a folder of 0.5 billion weights in 4 bits to a deployment",
    "remote": "What a remote deployment adds to a direct request to its endpoint",
    "leaving": "Clients that hang up at every stage of a request: nothing stays in use",
    "content_safety": "Filtered streams, simulated; what filtering a request adds, measured",
}
"""Module to title, in the order they run."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    names: list[str] = parser.parse_args().names
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    print(description(), flush=True)
    for name in names or BENCHMARKS:
        print(f"\n### {name}: {BENCHMARKS[name]}\n", flush=True)
        run = cast("Callable[[], Report]", import_module(f"benchmarks.{name}").run)
        print("\n".join(run().markdown()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
