"""The files of a deployment to be, opened and read: what the card's decisions look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inference.backends import model_files
from inference.backends.model_files import Json, inner_object, text_part
from inference.cards.card import CardError
from inference.importer.findings import Finding, ImporterError
from inference.importer.graph_facts import GraphFacts, read_graph
from inference.prompt.tokenizer import Tokenizer

TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder with its graphs by role; `files` is the role of each graph in the card, to its name."""

    folder: Path
    graphs: Mapping[str, GraphFacts]
    files: Mapping[str, str]
    read: dict[str, Json] = field(default_factory=dict)

    def json(self, name: str) -> Json:
        """The object in a file, an empty one where there is no such file. Raises `ImporterError`."""
        if name not in self.read:
            self.read[name] = read_object(self.folder / name)
        return self.read[name]

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    @property
    def config(self) -> Json:
        """config.json, or of a model of several parts the one that reads text."""
        return text_part(self.json("config.json"))

    @property
    def architecture(self) -> str:
        """The model's class or family, an empty text where nothing says it."""
        config, genai = self.json("config.json"), self.json("genai_config.json")
        named = config.get("architectures") or []
        kind = config.get("model_type") or inner_object(genai, "model").get("type") or ""
        return str(named[0] if isinstance(named, list) and named else kind)


def look(folder: Path, files: Mapping[str, str]) -> ModelFolder:
    """Reads the graphs. Raises `ImporterError`, also for weights that a graph wants and the folder lacks."""
    graphs = {role: read_graph(folder / name) for role, name in files.items()}
    for role, graph in graphs.items():
        missing = sorted(name for name in graph.external if not (folder / name).is_file())
        if missing:
            raise ImporterError(
                f"{files[role]} keeps its weights in {', '.join(missing)}, which did not come with it. Put "
                "the file beside the graph and add it again."
            )
    return ModelFolder(folder, graphs, files)


def read_object(path: Path) -> Json:
    """The object in a JSON file; an empty one where there is no file. Raises `ImporterError`."""
    try:
        return model_files.read_object(path)
    except CardError as error:
        raise ImporterError(f"{error}.") from None


FILE = "tokenizer.json"


def open_tokenizer(look: ModelFolder) -> Finding[Tokenizer]:
    """Raises `ImporterError` where there is none, or one that cannot be read."""
    if not look.has(FILE):
        raise ImporterError(
            f"There is no {FILE}. Other forms of a tokenizer are not read; transformers writes this one: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    try:
        tokenizer = Tokenizer.open(look.folder / FILE)
    except CardError as error:
        raise ImporterError(f"{error}. Fetch {FILE} anew and add the model again.") from None
    return Finding(tokenizer, f"The tokenizer has {tokenizer.vocabulary} tokens.")
