"""The staged folder of a deployment: its graphs, and the JSON files that the card is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from inference.cards.card import CardError
from inference.importer.findings import Finding, ImporterError
from inference.importer.graph_facts import GraphFacts, read_graph
from inference.prompt.tokenizer import Tokenizer

Json: TypeAlias = Mapping[str, Any]

TEMPLATE = "chat_template.jinja"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder of model files; `graphs` and `graph_files` hold facts and file name of each role's graph."""

    path: Path
    graphs: Mapping[str, GraphFacts]
    graph_files: Mapping[str, str]
    json_cache: dict[str, Json] = field(default_factory=dict)

    def json(self, name: str) -> Json:
        """Return the object in a file, an empty one where the file is missing. Raises `ImporterError`."""
        if name not in self.json_cache:
            self.json_cache[name] = read_object(self.path / name)
        return self.json_cache[name]

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    @property
    def config(self) -> Json:
        """Contents of config.json; of a model of several towers those of the text tower come first."""
        config = self.json("config.json")
        inner = config.get("text_config")
        return {**config, **inner} if isinstance(inner, Mapping) else config

    @property
    def architecture(self) -> str:
        """Class or family of the model; empty where no file names it."""
        config, genai = self.json("config.json"), self.json("genai_config.json")
        named = config.get("architectures") or []
        kind = config.get("model_type") or part(genai, "model").get("type") or ""
        return str(named[0] if isinstance(named, list) and named else kind)


def read_folder(path: Path, graph_files: Mapping[str, str]) -> ModelFolder:
    """Read the graphs of a folder by role.

    Raises `ImporterError` for a graph that cannot be read, or whose external data is missing.
    """
    graphs = {role: read_graph(path / name) for role, name in graph_files.items()}
    for role, graph in graphs.items():
        missing = sorted(name for name in graph.external if not (path / name).is_file())
        if missing:
            raise ImporterError(
                f"{graph_files[role]} keeps its weights in {', '.join(missing)}, and that file is missing. "
                "Put it next to the graph and add the model again."
            )
    return ModelFolder(path, graphs, graph_files)


def read_object(path: Path) -> Json:
    """Return the object in a JSON file, an empty one where the file is missing. Raises `ImporterError`."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ImporterError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ImporterError(f"{path.name} is not a JSON object.")
    return found


def part(config: Json, name: str) -> Json:
    """Return an object inside an object; an empty one where there is none."""
    inner = config.get(name)
    return inner if isinstance(inner, Mapping) else {}


def whole(value: object) -> int | None:
    """Return a positive whole number, and None for every other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def open_tokenizer(folder: ModelFolder) -> Finding[Tokenizer]:
    """Open tokenizer.json. Raises `ImporterError` where it is missing or cannot be read."""
    if not folder.has(TOKENIZER):
        raise ImporterError(
            f"There is no {TOKENIZER}, the one form of a tokenizer that is read. transformers writes it from "
            "the others: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    try:
        tokenizer = Tokenizer.open(folder.path / TOKENIZER)
    except CardError as error:
        raise ImporterError(f"{error}. Download {TOKENIZER} again and add the model again.") from None
    return Finding(tokenizer, f"The tokenizer has {tokenizer.vocabulary_size} tokens.")


def read_steps(path: Path) -> Mapping[str, str]:
    """Return the folder of each step of modules.json by the last word of its type.

    Raises `ImporterError` for a file of another form.
    """
    try:
        steps = json.loads(path.read_bytes())
        return {str(step["type"]).rpartition(".")[2]: str(step["path"]) for step in steps}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise ImporterError(f"{path.name} is not a list of steps with type and path.") from None
