"""Runs benchmarks by name, or all, and prints their tables as Markdown."""

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
    "embedding": "One short text, from the bare session to the HTTP client",
    "chat": "Tokens a second, from the bare session to the HTTP client",
    "request": "The stages before the model, of a chat of ten messages",
    "remote": "What a deployment elsewhere adds to asking its endpoint directly",
    "content_safety": "Judged streams, simulated; what judging a request adds, measured",
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
