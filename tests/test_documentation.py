"""What the documents name exists, and the image of the layers is the one that the imports are held to."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.settings import PROJECT

PATTERNS = ("*.md", "docs/*.md", "infra/*.md", "benchmarks/*.md", "training/*.md", "models/*/README.md")
HISTORY = PROJECT / "CHANGELOG.md"
"""It also names files that were."""
DOCUMENTS = sorted({path for pattern in PATTERNS for path in PROJECT.glob(pattern)} - {HISTORY})
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"[\w.][\w.-]*(?:/[\w.-]+)*/?")
SUFFIXES = (".py", ".md", ".bicep", ".bicepparam", ".toml", ".lock", ".yml")
"""Of names that are files of this repository wherever they stand."""
MADE = {"build/"}
"""Folders that commands make."""
SUBGRAPH = re.compile(r"subgraph .*?\n(.*?)\n  end", re.DOTALL)
NODE = re.compile(r'^    (?:\w+\["(\w+)"\]|(\w+))$', re.MULTILINE)


def names_a_path(text: str) -> bool:
    """Return whether text in backticks can only be a file or folder of the repository."""
    if not PATH.fullmatch(text) or text in MADE or text.startswith("build/"):
        return False
    top = text.partition("/")[0]
    return text.endswith(("/", *SUFFIXES)) or ("/" in text and (PROJECT / top).is_dir())


def paths(document: Path) -> Iterator[str]:
    """Yield every path in backticks, outside of blocks of code, and every link to a file."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    yield from (word for word in CODE.findall(text) if names_a_path(word))
    yield from LINK.findall(text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_every_path_in_a_document_exists(document: Path) -> None:
    places = (PROJECT, document.parent)
    missing = [path for path in paths(document) if not any((place / path).exists() for place in places)]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inference/service.py", True),
        ("service.py", True),
        ("inference/prompt/", True),
        ("tests/golden/decoders", True),
        ("model.json", False),
        ("1_Pooling/config.json", False),
        ("/chat/completions", False),
        ("docs/*.md", False),
        ("owner/repo", False),
    ],
)
def test_a_path_of_the_repository_is_told_from_other_code(text: str, expected: bool) -> None:
    assert names_a_path(text) is expected


def test_architecture_draws_the_layers_of_the_imports() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = [[one or other for one, other in NODE.findall(block)] for block in SUBGRAPH.findall(page)]
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    assert drawn == [layer.split(" | ") for layer in layers]


def test_architecture_describes_every_room() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `inference/(\w+)(?:/|\.py)` \|", page, re.MULTILINE)
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {room for layer in layers for room in layer.split(" | ")} - {"__main__"}
    assert sorted(described) == sorted(rooms)


def tree() -> list[str]:
    """Return the paths of the file tree in README.md, in its sequence."""
    page = (PROJECT / "README.md").read_text(encoding="utf-8")
    block = page.partition("## The files\n\n```\n")[2].partition("```")[0]
    found: list[str] = []
    folder = ""
    for line in block.splitlines():
        name = line.split()[0]
        folder = folder if line.startswith(" ") else name
        found.append(name if folder == name else folder + name)
    return found


def test_the_readme_names_files_that_exist() -> None:
    assert [path for path in tree() if not (PROJECT / path).exists()] == []


def test_the_readme_names_every_room_below_those_it_imports() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    level = {room: number for number, layer in enumerate(layers) for room in layer.split(" | ")}
    rooms = [Path(path).stem for path in tree() if path.startswith("inference/") and path != "inference/"]
    assert sorted(rooms) == sorted(level.keys() - {"__main__"})
    assert rooms == sorted(rooms, key=lambda room: -level[room])
