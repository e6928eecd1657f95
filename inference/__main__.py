"""The command line: `python -m inference ...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from inference.cli import bench, chat, documents, models, safety_emulator, serve, smoke
from inference.settings import InvalidSetting

COMMANDS = (serve, models, chat, bench, smoke, safety_emulator, documents)
"""In the order that --help lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 when it did what was asked, 1 with a sentence on stderr when it could not."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference", description="A self-hosted Azure AI Model Inference endpoint."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
