"""`python -m inference safety-emulator`: an emulator of Azure AI Content Safety."""

from __future__ import annotations

import argparse
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--rules", type=Path, help="file of phrases and their severities (none: all is safe)")
    parser.add_argument("--key", default="", help="the key that requests must have (default: any)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port", type=int, default=7072, help="port, 0 for any free one (default %(default)s)"
    )
    parser.add_argument("--delay", type=float, default=0, help="seconds before every response")
    parser.add_argument("--fault", default="none", help="the fault of every response")
    parser.add_argument("--retry-after", type=float, default=1, help="seconds in `Retry-After` of a 429")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from inference.safety.emulator.server import run

    return run(options)
