"""The project is installed from its clone: a package of its name on an index would be another project."""

from __future__ import annotations

import ast
import fnmatch
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.settings import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT_TABLE = PYPROJECT["project"]
OURS = {"model-inference", PROJECT_TABLE["name"]}
"""The former name belongs to another project on the public index."""
EXTRAS = set(PROJECT_TABLE["optional-dependencies"])
COMMAND = re.compile(r"pip3? (?:install|download|wheel) ([^\n`;|)&]*)")
CODE = ("inference", "training", "tools", "benchmarks", "tests")
TEXTS = ("*.md", "docs/*.md", "docs/*.txt", "infra/**/*.md", "models/*/README.md", "benchmarks/*.md")
SCRIPTS = ("Makefile", "azure.yaml", ".ci/*", ".github/workflows/*.yml", "infra/aca/Dockerfile")


def texts() -> Iterator[tuple[Path, str]]:
    """Every document and script as it is, and every string of the code, joined as Python joins it."""
    for pattern in (*TEXTS, *SCRIPTS):
        for path in PROJECT.glob(pattern):
            yield path, path.read_text(encoding="utf-8")
    for folder in CODE:
        for path in (PROJECT / folder).rglob("*.py"):
            if path != Path(__file__):
                yield from ((path, text) for text in strings(path.read_text(encoding="utf-8")))


def strings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def names_us(command: str) -> bool:
    """Return whether a pip command's arguments fetch this project, or its extras, from an index."""
    for word in command.replace("'", " ").replace('"', " ").split():
        name, _, extras = word.partition("[")
        name = re.sub(r"[-_.]+", "-", name).lower() if name != "." else name
        known = set(extras.rstrip("].,:").split(",")) <= EXTRAS
        if re.split(r"[=<>~!@]", name)[0] in OURS or (extras and known and name != "."):
            return True
    return False


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("'model-inference[models]'", True),
        ("-e Model_Inference==0.1", True),
        (PROJECT_TABLE["name"], True),
        ("renamed[models,starters]", True),
        ("-e '.[models]'", False),
        ("onnx", False),
        ("azure-ai-inference", False),
    ],
)
def test_a_command_that_names_the_project_is_found(command: str, found: bool) -> None:
    assert names_us(command) is found


def test_every_install_command_takes_the_project_from_the_clone() -> None:
    commands = [(path.name, found) for path, text in texts() for found in COMMAND.findall(text)]
    assert ("models.md", "-e '.[models]'") in commands
    assert ("findings.py", "-e '.[models]' in the clone of this project (or pip install ?") in commands
    assert not [(name, command) for name, command in commands if names_us(command)]


def test_the_project_refuses_to_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in PROJECT_TABLE["classifiers"]


def test_only_the_serving_package_is_installed() -> None:
    included = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    folders = [path.name for path in PROJECT.iterdir() if path.is_dir()]
    assert [name for pattern in included for name in fnmatch.filter(folders, pattern)] == ["inference"]


def test_extras_that_build_on_others_name_the_project_under_installation() -> None:
    """pip resolves the name of the project that it installs without an index."""
    named = [
        requirement.partition("[")[0]
        for requirements in PROJECT_TABLE["optional-dependencies"].values()
        for requirement in requirements
        if set(requirement.partition("[")[2].rstrip("]").split(",")) <= EXTRAS
    ]
    assert named == [PROJECT_TABLE["name"]]
