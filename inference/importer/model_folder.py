"""The staged folder of a deployment: its graphs, and the JSON files that the card is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inference.backends.model_files import text_part
from inference.cards import json_files
from inference.cards.card import CardError
from inference.cards.json_files import Json
from inference.importer.findings import Finding, ImporterError
from inference.importer.graph_facts import GraphFacts, read_graph
from inference.importer.kinds import architecture_of
from inference.prompt.tokenizer import Tokenizer

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
        """Contents of config.json; of a model of several towers those of the text tower."""
        return text_part(self.json("config.json"))

    @property
    def architecture(self) -> str:
        """Class or family of the model; empty where no file names it."""
        return architecture_of(self.json("config.json"), self.json("genai_config.json"))


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
        return json_files.read_object(path)
    except CardError as error:
        raise ImporterError(f"{error}.") from None


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
