"""The command line: `python -m inference ...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from inference.settings import InvalidSetting

COMMANDS: Mapping[str, str] = {
    "serve": "inference.cli.serve",
    "models": "inference.cli.models",
    "chat": "inference.cli.chat",
    "bench": "inference.cli.bench",
    "smoke": "inference.cli.smoke",
    "safety-emulator": "inference.cli.safety_emulator",
    "documents": "inference.cli.documents",
}
"""The module of each command, in the order of --help: imported when it is run, or when all are listed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 when it did what was asked, 1 with a sentence on stderr when it could not."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(options.run(options))
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read our lines has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser(chosen: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference", description="A self-hosted Azure AI Model Inference endpoint."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in [COMMANDS[chosen]] if chosen in COMMANDS else COMMANDS.values():
        import_module(module).add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
