"""The clients: a script each, its pinned packages beside it, and the facts that the page's table shows.

A Python client is `python/NAME.py` and `python/NAME.txt`, a JavaScript one `js/NAME/cases.mjs` beside its
package.json and package-lock.json. The first sentence of a script's opening comment is the client's title,
the rest a note to its users. `LACKS`, in JavaScript `lacks`, names the kinds of case that a client has no
interface for.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from inference.settings import PROJECT

HERE = Path(__file__).parent
ENVIRONMENTS = PROJECT / "build" / "clients"
KINDS: Mapping[str, str] = {
    "plain": "plain",
    "stream": "stream",
    "tools": "tools",
    "structured_output": "structured output",
    "tools_with_form": "tools with a form",
    "embeddings": "embeddings",
}
"""Cases that each client has or lacks, with their columns' headings."""
PIN = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)
BROUGHT = "# what they bring along"
"""Line of a file of pins under which no package is shown."""


@dataclass(frozen=True)
class PythonClient:
    """A client in Python."""

    name: str

    @property
    def script(self) -> Path:
        return HERE / "python" / f"{self.name}.py"

    @property
    def pins(self) -> Path:
        return self.script.with_suffix(".txt")

    @property
    def environment(self) -> Path:
        return ENVIRONMENTS / self.name

    @cached_property
    def _module(self) -> ast.Module:
        return ast.parse(self.script.read_text(encoding="utf-8"))

    @property
    def packages(self) -> Mapping[str, str]:
        """Versions of the packages that users install by name."""
        shown, _, _ = self.pins.read_text(encoding="utf-8").partition(BROUGHT)
        return dict(PIN.findall(shown))

    @property
    def about(self) -> str:
        return ast.get_docstring(self._module) or ""

    @property
    def cases(self) -> list[str]:
        functions = (
            node.name
            for node in self._module.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        return [name.removeprefix("case_") for name in functions if name.startswith("case_")]

    @property
    def lacks(self) -> tuple[str, ...]:
        for node in self._module.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LACKS":
                return tuple(ast.literal_eval(node.value))
        return ()


@dataclass(frozen=True)
class JsClient:
    """A client in JavaScript, whose name begins with `js_`."""

    name: str

    @property
    def script(self) -> Path:
        return HERE / "js" / self.name.removeprefix("js_") / "cases.mjs"

    @property
    def pins(self) -> Path:
        return self.script.with_name("package-lock.json")

    @property
    def environment(self) -> Path:
        return ENVIRONMENTS / self.name

    @cached_property
    def _text(self) -> str:
        return self.script.read_text(encoding="utf-8")

    @property
    def packages(self) -> Mapping[str, str]:
        versions: Mapping[str, str] = json.loads(self.script.with_name("package.json").read_text())[
            "dependencies"
        ]
        return versions

    @property
    def about(self) -> str:
        lines = re.match(r"(?://.*\n)+", self._text)
        return re.sub(r"^// ?", "", lines[0], flags=re.MULTILINE).strip() if lines else ""

    @property
    def cases(self) -> list[str]:
        return [snake(name) for name in re.findall(r"^  (\w+): async \(", self._text, re.MULTILINE)]

    @property
    def lacks(self) -> tuple[str, ...]:
        names = re.search(r"^export const lacks = (\[.*\]);$", self._text, re.MULTILINE)
        return tuple(json.loads(names[1])) if names else ()


Client = PythonClient | JsClient


def snake(name: str) -> str:
    """Return `structured_output` of `structuredOutput`."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def clients() -> dict[str, Client]:
    """Return every client by its name; JavaScript's after Python's."""
    found: list[Client] = [PythonClient(path.stem) for path in sorted((HERE / "python").glob("*.txt"))]
    found += [JsClient(f"js_{path.parent.name}") for path in sorted((HERE / "js").glob("*/cases.mjs"))]
    return {client.name: client for client in found}
