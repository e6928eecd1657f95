"""The documents that are generated from the code."""

import json
from pathlib import Path

import pytest

from inference.cli.documents import DOCUMENTS, write_documents
from inference.settings import PROJECT


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_committed_document_is_the_generated_one(name: str) -> None:
    committed = (PROJECT / name).read_text(encoding="utf-8")
    assert committed == DOCUMENTS[name](), "run: python -m inference documents"


def test_only_documents_that_differ_are_written(tmp_path: Path) -> None:
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    assert write_documents(tmp_path) == list(DOCUMENTS)
    assert write_documents(tmp_path) == []
    (tmp_path / "docs/settings.md").write_text("old", encoding="utf-8")
    assert write_documents(tmp_path) == ["docs/settings.md"]
    assert json.loads((tmp_path / "docs/openapi.json").read_text(encoding="utf-8"))["openapi"] == "3.1.0"
