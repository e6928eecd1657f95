"""The snippets of docs/moving.md, and the client that each belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from inference.settings import PROJECT

Starts: TypeAlias = tuple[tuple[str, str], ...]

PAGE = PROJECT / "docs" / "moving.md"
URL, MODEL = "http://127.0.0.1:7071", "starter-chat"
"""What the snippets name, and a run replaces."""

PYTHON_CLIENTS: Starts = (
    ("semantic_kernel.connectors.ai.azure_ai_inference", "semantic_kernel"),
    ("semantic_kernel", "semantic_kernel_openai"),
    ("langchain_azure_ai", "langchain_azure_ai_0"),
    ("langchain_openai", "langchain_openai"),
    ("llama_index.llms.azure_inference", "llama_index"),
    ("llama_index", "llama_index_openai"),
    ("agent_framework", "agent_framework"),
    ("azure.ai.inference", "azure_ai_inference"),
    ("openai", "openai"),
)
"""The start of an imported module, and the client of its packages; the first that fits."""
JS_CLIENTS: Starts = (("@azure-rest/ai-inference", "js_azure_rest_ai_inference"), ("openai", "js_openai"))
RESPONSES = ("responses", "Responses", "OpenAIChatClient(")
"""Words of the snippets of step 3."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SAID = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block of code."""

    name: str
    """Its heading and its number below that."""
    language: str
    code: str

    @property
    def client(self) -> str:
        """The name of the client that runs it; empty where none does."""
        if self.language == "python":
            modules = re.findall(r"^(?:from|import) ([\w.]+)", self.code, re.MULTILINE)
            starts = PYTHON_CLIENTS
        else:
            modules = re.findall(r'^import .* from "([^"]+)"', self.code, re.MULTILINE)
            starts = JS_CLIENTS
        return next(
            (client for start, client in starts if any(module.startswith(start) for module in modules)), ""
        )

    @property
    def uses_responses(self) -> bool:
        return any(word in self.code for word in RESPONSES)

    @property
    def said(self) -> list[str]:
        """The lines that its comments promise."""
        return SAID.findall(self.code)

    def at(self, url: str, model: str = MODEL) -> str:
        """Return the code for another endpoint."""
        return self.code.replace(URL, url).replace(f'"{MODEL}"', f'"{model}"')


def snippets() -> list[Snippet]:
    """Return the snippets of the page, in its sequence."""
    found: list[Snippet] = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        for number, (language, code) in enumerate(BLOCK.findall(section), 1):
            found.append(Snippet(f"{heading} {number}", language, code))
    return found
