"""Imports point one way: a module may import its own layer's package and the layers before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "settings", "contracts", "json_form"}),
    frozenset({"parameters"}),
    frozenset({"wire"}),
    frozenset({"card_safety", "card_remote"}),
    frozenset({"card"}),
    frozenset({"capabilities", "extras", "limits"}),
    frozenset({"dialects"}),
    frozenset({"prompt", "engine", "reply", "safety", "fetching", "blobs", "timeline"}),
    frozenset({"backends"}),
    frozenset({"tokens", "signing_keys", "footprint", "catalog"}),
    frozenset({"residency", "stored"}),
    frozenset({"registry", "auth", "telemetry"}),
    frozenset({"order", "info", "openapi"}),
    frozenset({"documents"}),
    frozenset({"passages", "inquiry", "pictures"}),
    frozenset({"guard", "reading"}),
    frozenset({"generate", "embed", "answer", "relay"}),
    frozenset({"embed_images"}),
    frozenset({"rehearsal"}),
    frozenset({"service"}),
    frozenset({"proof"}),
    frozenset({"intake"}),
    frozenset({"convert"}),
    frozenset({"http"}),
    frozenset({"client"}),
    frozenset({"devhost", "smoke", "terminal", "bench"}),
    frozenset({"commands"}),
    frozenset({"__main__"}),
)
ONLY_FIRST = ("engine", "safety")
"""Packages that know nothing but the nouns."""

MODULES = sorted((ROOT / "inference").rglob("*.py"))


def unit(module: str) -> str:
    """The part of a dotted name that a layer lists: `inference.api.chat` -> `wire`."""
    return module.split(".")[1] if "." in module else "__init__"


def layer(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("inference."))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "inference":
            if node.module == "inference":
                yield from (f"inference.{alias.name}" for alias in node.names if alias.name[0] != "_")
            else:
                yield node.module


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_stands_before_it(path: Path) -> None:
    me = unit(name_of(path))
    if me == "__init__":
        assert not list(imported(path))
        return
    for module in imported(path):
        other = unit(module)
        assert other == me or layer(other) < layer(me), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_engine_and_safety_know_only_the_nouns(path: Path) -> None:
    if unit(name_of(path)) in ONLY_FIRST:
        others = {unit(module) for module in imported(path)} - {unit(name_of(path))}
        assert others <= LAYERS[0]


def test_every_module_has_a_layer() -> None:
    names = {unit(name_of(path)) for path in MODULES} - {"__init__"}
    assert names == set().union(*LAYERS)
