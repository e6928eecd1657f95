"""The declarations of `infra/`: parameters, resources, modules, outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.infra.reader import Reader, Value, unquoted

INFRA = Path(__file__).resolve().parent.parent.parent / "infra"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A param, var, output, resource, module, type or func. `of` is its type, resource type or file."""

    keyword: str
    name: str
    of: str
    value: Value
    decorators: Sequence[str] = ()
    file: str = ""
    existing: bool = False

    @property
    def description(self) -> str:
        found = [text for text in self.decorators if text.startswith("description(")]
        assert len(found) == 1, f"{self.file}: {self.name} has {len(found)} descriptions"
        return unquoted(found[0].removeprefix("description(").removesuffix(")"))

    def marked(self, decorator: str) -> bool:
        return any(text.startswith(decorator + "(") for text in self.decorators)

    @property
    def row(self) -> str:
        """A parameter's line in the tables of infra/README.md."""
        default = "required" if self.value is None else _shown(self.value)
        return f"| `{self.name}` | {default} | {self.description} |"

    @property
    def type(self) -> str:
        """A resource's type without its version."""
        return self.of.split("@")[0]

    def get(self, path: str) -> Value:
        """A value in the body by its dotted path; None where there is none."""
        value = self.value
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "none" if value in ("", {}) else f"`{value}`"


def read(path: Path) -> list[Declaration]:
    """The declarations of a file, in their order."""
    return list(
        _declarations(Reader.over(path.read_text(encoding="utf-8")), path.relative_to(INFRA).as_posix())
    )


def _declarations(reader: Reader, file: str) -> Iterator[Declaration]:
    decorators: list[str] = []
    while not reader.peek("end"):
        reader.lines()
        if reader.peek("end"):
            return
        if reader.peek("mark", "@"):
            decorators.append(reader.rest().removeprefix("@"))
            continue
        keyword = reader.take()
        if keyword in ("import", "using", "targetScope"):
            reader.rest()
            continue
        yield _declaration(reader, keyword, tuple(decorators), file)
        decorators = []


def _declaration(reader: Reader, keyword: str, decorators: Sequence[str], file: str) -> Declaration:
    name = reader.take()
    start = reader.at
    while not (
        reader.peek("line") or reader.peek("mark", "=") or reader.peek("mark", "=>") or reader.peek("end")
    ):
        reader.skip_group() if reader.peek("open") else reader.take()
    of = " ".join(token for _, token in reader.tokens[start : reader.at])
    value: Value = None
    if reader.peek("mark", "=") or reader.peek("mark", "=>"):
        reader.take()
        if reader.peek("word", "if"):
            reader.take()
            reader.skip_group()
        # A type's body has decorators; nothing is asked of it.
        value = reader.rest() if keyword == "type" else reader.value()
    existing = of.endswith(" existing")
    of = of.removesuffix(" existing").strip("'")
    return Declaration(keyword, name, of, value, decorators, file, existing)


def templates() -> list[Path]:
    return sorted(INFRA.rglob("*.bicep"))


def everything() -> list[Declaration]:
    """The declarations of every template."""
    return [declaration for path in templates() for declaration in read(path)]


def named(path: str, keyword: str) -> dict[str, Declaration]:
    """The declarations of one kind in one file, by name."""
    return {found.name: found for found in read(INFRA / path) if found.keyword == keyword}
