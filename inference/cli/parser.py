"""What commands are added to."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def group(commands: Commands, name: str, *, meaning: str) -> Commands:
    """A command that has commands of its own."""
    made = commands.add_parser(name, help=meaning, description=f"{meaning[0].upper()}{meaning[1:]}.")
    return made.add_subparsers(required=True, metavar="COMMAND")


def command(commands: Commands, name: str, *, meaning: str, more: str = "") -> argparse.ArgumentParser:
    """A command; its --help begins with its meaning and ends with `more`, as it is written."""
    return commands.add_parser(
        name,
        help=meaning,
        description=f"{meaning[0].upper()}{meaning[1:]}.",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
