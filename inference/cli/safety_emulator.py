"""`python -m inference safety-emulator`: Azure AI Content Safety, stood in for."""

from __future__ import annotations

import argparse
from pathlib import Path

from inference.cli.parser import Commands, command


def add(commands: Commands) -> None:
    emulator = command(
        commands,
        "safety-emulator",
        meaning="stand in for Azure AI Content Safety on this machine, by rules in a file",
    )
    emulator.add_argument("--rules", type=Path, help="file of phrases and what they are (none: all is safe)")
    emulator.add_argument("--key", default="", help="the key that requests must carry (default: any)")
    emulator.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    emulator.add_argument(
        "--port", type=int, default=7072, help="port, 0 for any other (default %(default)s)"
    )
    emulator.add_argument("--delay", type=float, default=0, help="seconds before every answer")
    emulator.add_argument("--fault", default="none", help="what goes wrong with every request")
    emulator.add_argument("--retry-after", type=float, default=1, help="seconds that a 429 asks for")
    emulator.set_defaults(run=_emulate)


def _emulate(options: argparse.Namespace) -> int:
    from inference.safety.emulator.server import run

    return run(options)
