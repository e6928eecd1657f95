"""The cards of models that score texts: cross-encoders, classifiers, and encoders that weigh tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from inference.backends.encoder.sequence_scorer import (
    OUTPUTS,
    SENTENCE_FILE,
    declared_activation,
    label_names,
)
from inference.backends.encoder.sparse_encoder import require_splade_pooling
from inference.backends.model_files import SPLADE_POOLING, named_prompts, sentence_steps
from inference.cards.card import Card, CardError, Deployment
from inference.cards.json_files import positive_int
from inference.contracts import Task
from inference.importer.declarations import report_rowless, report_tokenizer, rows_of
from inference.importer.encoder_card import text_context
from inference.importer.findings import Finding, ImporterError, Report, reported
from inference.importer.model_folder import TOKENIZER, ModelFolder, open_tokenizer
from inference.importer.sentence_declarations import SCORES, WEIGHTS, report_sentence_files

BACKENDS = {
    Task.RERANK: "onnx-cross-encoder",
    Task.CLASSIFICATION: "onnx-text-classifier",
    Task.SPARSE_EMBEDDINGS: "onnx-sparse-encoder",
}
SHOWN_LABELS = 6
USUAL_LABELS = 2
"""The labels of a model whose config.json names none, as in transformers."""


def label_count(folder: ModelFolder) -> int | None:
    """Return the labels of a graph for sequence classification; None for any other graph.

    Its output has two dimensions, and config.json names such an architecture, or labels where it names none.
    """
    graph, config = folder.graphs["model"], folder.json("config.json")
    name = next((name for name in OUTPUTS if name in graph.outputs), None)
    if name is None or graph.generates:
        return None
    names = config.get("id2label")
    stated = positive_int(config.get("num_labels")) or (len(names) if isinstance(names, dict) else None)
    architectures = config.get("architectures")
    classifies = "SequenceClassification" in folder.architecture if architectures else stated is not None
    dims = graph.outputs[name].dims
    if not classifies or len(dims) not in (0, 2):
        return None
    return (positive_int(dims[-1]) if dims else None) or stated or USUAL_LABELS


def is_splade(folder: ModelFolder) -> bool:
    """Return True if modules.json pools logits into weights of tokens. Raises `ImporterError`."""
    try:
        return any(kind == SPLADE_POOLING for kind, _ in sentence_steps(folder.path))
    except CardError as error:
        raise ImporterError(f"{error}.") from None


def scorer_card(
    folder: ModelFolder, report: Report, task: Task, *, context: int | None = None
) -> dict[str, Any]:
    """Return the fields of the card of a cross-encoder or a classifier; `context` is the user's.

    Raises `ImporterError` for files that cannot be used or do not name the context.
    """
    graph, count = folder.graphs["model"], label_count(folder) or 1
    if task is Task.RERANK:
        report(f"The graph scores a query with a document (one label, {graph.weights} weights) for /rerank.")
    else:
        report(f"The graph classifies texts: {graph.weights} weights, {_listed(folder, count)}.")
        report(
            "It serves /classify. For use in the content filter its card must say which harm each label "
            "stands for (classification.labels), see docs/content-safety.md."
        )
    _report_tokenizer(folder, report)
    activation = reported(_activation(folder, count), report)
    _require_steps(folder, ("Transformer",))
    prompts = _prompts(folder, report, task)
    report_sentence_files(folder, _served(prompts, task), report, SCORES)
    return {
        "type": task,
        "backend": BACKENDS[task],
        "files": {"model": folder.graph_files["model"], "tokenizer": TOKENIZER},
        "context": reported(text_context(folder, context), report),
        "classification": {"activation": activation},
        **prompts,
    }


def sparse_card(folder: ModelFolder, report: Report, *, context: int | None = None) -> dict[str, Any]:
    """Return the fields of the card of an encoder that weighs the tokens of its vocabulary (SPLADE).

    `context` is the user's. Raises as `scorer_card` does.
    """
    graph = folder.graphs["model"]
    report(
        f"The graph gives logits for every token, and modules.json pools them into weights ({graph.weights} "
        "weights): it serves /embed_sparse."
    )
    try:
        require_splade_pooling(folder.path)
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    _report_tokenizer(folder, report)
    _require_steps(folder, ("Transformer", "MLMTransformer", SPLADE_POOLING))
    prompts = _prompts(folder, report, Task.SPARSE_EMBEDDINGS)
    report_sentence_files(folder, _served(prompts, Task.SPARSE_EMBEDDINGS), report, WEIGHTS)
    return {
        "type": Task.SPARSE_EMBEDDINGS,
        "backend": BACKENDS[Task.SPARSE_EMBEDDINGS],
        "files": {"model": folder.graph_files["model"], "tokenizer": TOKENIZER},
        "context": reported(text_context(folder, context), report),
        **prompts,
    }


def _require_steps(folder: ModelFolder, known: Collection[str]) -> None:
    """Raise `ImporterError` for a step of modules.json without which every score would be another."""
    try:
        others = [kind for kind, _ in sentence_steps(folder.path) if kind not in known]
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    if others:
        raise ImporterError(
            f"modules.json has the step {others[0]} behind the graph, which changes every score and is not "
            f"supported; known are {', '.join(known)}."
        )


def _prompts(folder: ModelFolder, report: Report, task: Task) -> dict[str, Any]:
    """Return the fields of the card on a model's prompts, none where it has no text to put before inputs."""
    blank = Card.model_validate(
        {"name": "import", "provider": "import", "type": task, "backend": BACKENDS[task]}
    )
    try:
        found = named_prompts(Deployment(blank, folder.path))
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    if not any(found.texts.values()):
        return {}
    ranks = task is Task.RERANK
    if usual := found.text(None):
        place = "every query" if ranks else "every input, of a pair its first text"
        report(f"The prompt {found.usual} stands before {place}: {usual!r} ({SENTENCE_FILE}).")
    if not ranks:
        report(f"`prompt_name` chooses a prompt: {', '.join(found.texts)} ({SENTENCE_FILE}).")
    return {
        "named_prompts": dict(found.texts),
        **({"default_prompt": found.usual} if found.usual else {}),
        **({} if ranks else {"extras": {"prompt_name": {}}}),
    }


def _served(prompts: Mapping[str, Any], task: Task) -> frozenset[str]:
    """Return the prompts that requests can have put before their inputs."""
    texts = prompts.get("named_prompts", {})
    if task is Task.RERANK:
        return frozenset(filter(None, [texts.get(prompts.get("default_prompt"))]))
    return frozenset(texts.values())


def _report_tokenizer(folder: ModelFolder, report: Report) -> None:
    tokenizer = reported(open_tokenizer(folder), report)
    report_tokenizer(folder, tokenizer, report, generates=False)
    report_rowless(tokenizer, rows_of(folder, "model"), report)


def _listed(folder: ModelFolder, count: int) -> str:
    names = label_names(folder.json("config.json"), count)
    shown = ", ".join(names[:SHOWN_LABELS])
    return f"{count} labels ({shown}{', ...' if count > SHOWN_LABELS else ''})"


def _activation(folder: ModelFolder, count: int) -> Finding[str]:
    try:
        found = declared_activation(folder.path, count)
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    if found == "none":
        sentence = (
            "Scores are the model's own numbers of any size, as its files say; classification.activation "
            "sigmoid in the card makes numbers from 0 to 1 of them."
        )
    else:
        sentence = f"Scores are from 0 to 1, by a {found}."
    return Finding(found, sentence)
