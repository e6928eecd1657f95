"""The tasks of encoders whose graph reads `task_id`, the number of an adapter, as that of jina-embeddings-v3.

The card names them in the sequence of their numbers (`embedding.tasks`), each with the text before its
inputs; where it does not, config.json does: `lora_adaptations` has the names, `task_instructions` the texts.
`input_type` stands for the tasks of queries and documents, and for the usual one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inference.cards.card import CardError, Deployment, Embedding, usual_task
from inference.cards.json_files import Json, read_object

TASKS_OF_INPUTS: Mapping[str, tuple[str, ...]] = {
    "query": ("retrieval.query", "query"),
    "document": ("retrieval.passage", "retrieval.document", "passage", "document"),
}
"""The tasks that an `input_type` stands for, the first that a model has; `text` stands for the usual one."""
NAMES, TEXTS = "lora_adaptations", "task_instructions"


@dataclass(frozen=True, slots=True)
class EncoderTasks:
    """The tasks of a model."""

    prompts: Mapping[str, str]
    """The text before an input of each task, in the sequence of the tasks' numbers."""
    usual: str
    """The task of requests that choose none."""

    def number(self, name: str) -> int:
        """Return what the graph reads for a task."""
        return list(self.prompts).index(name)

    def of_input(self, input_type: str) -> str:
        """Return the task that an `input_type` stands for."""
        names = TASKS_OF_INPUTS.get(input_type, ())
        return next((name for name in names if name in self.prompts), self.usual)

    def input_prompts(self, input_types: Iterable[str]) -> Mapping[str, str]:
        """Return the text before an input of each `input_type`."""
        return {kind: self.prompts[self.of_input(kind)] for kind in input_types}


def tasks_of(deployment: Deployment) -> EncoderTasks | None:
    """Return the tasks of a deployment: the card's, else those of config.json; None where neither names any.

    Raises `CardError` for a config.json whose tasks are no names and texts.
    """
    embedding = deployment.card.embedding
    if embedding.tasks:
        return _tasks(embedding)
    prompts = declared_tasks(read_object(deployment.folder / "config.json"))
    return EncoderTasks(prompts, usual_task(prompts)) if prompts else None


def declared_tasks(config: Json) -> Mapping[str, str]:
    """Return the tasks of a config.json with the texts before their inputs, none where it names none.

    Raises `CardError` where they are no names and texts.
    """
    names, texts = config.get(NAMES) or [], config.get(TEXTS) or {}
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise CardError(f"config.json: {NAMES} is not a list of names")
    if not isinstance(texts, Mapping) or not all(isinstance(text, str) for text in texts.values()):
        raise CardError(f"config.json: {TEXTS} is not an object of texts")
    if len(set(names)) < len(names):
        raise CardError(f"config.json: {NAMES} has a name twice, and the graph a number for each")
    return {name: texts.get(name, "") for name in names}


def _tasks(embedding: Embedding) -> EncoderTasks:
    return EncoderTasks(embedding.tasks, embedding.task or usual_task(embedding.tasks))
