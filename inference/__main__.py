"""The command line: `python -m inference COMMAND`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from inference.cli.parser import add_command
from inference.settings import InvalidSetting

COMMANDS: Mapping[str, str] = {
    "serve": "serve every route on this machine, without Azure",
    "models": "add, list, check and remove deployments",
    "chat": "chat with a model in the terminal",
    "bench": "measure an endpoint under load",
    "smoke": "test every route of a running endpoint, and the errors it must return",
    "safety-emulator": "emulate Azure AI Content Safety on this machine, by rules in a file",
    "documents": "write the documents that are generated from the code",
}
"""Commands in the order of --help, each with its description. A command's module is in `inference.cli` and
has its name; it is imported only when the command is chosen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: success. 1: failure, with a sentence on stderr. 2: wrong arguments. 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # paths may have bytes that are no letters
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(options.run(options))
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of the output has closed it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Return a parser of every command; only the chosen one has its options."""
    parser = argparse.ArgumentParser(
        prog="python -m inference", description="A self-hosted Azure AI Model Inference endpoint."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, description in COMMANDS.items():
        command = add_command(commands, name, description)
        if name == chosen:
            import_module(f"inference.cli.{name.replace('-', '_')}").configure(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
