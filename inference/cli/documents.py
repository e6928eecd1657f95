"""`python -m inference documents`: writes the documents that the code gives."""

from __future__ import annotations

import argparse

from inference.cli.parser import Commands, command
from inference.settings import PROJECT


def add(commands: Commands) -> None:
    documents = command(commands, "documents", meaning="write the documents that the code gives")
    documents.set_defaults(run=_documents)


def _documents(_: argparse.Namespace) -> int:
    from inference.cli.generated_documents import write_documents

    for name in write_documents(PROJECT):
        print(f"written: {name}")
    return 0
