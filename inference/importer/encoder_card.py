"""The card of a text encoder: its pooling, its sizes, its prompts and the most tokens of an input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.api.parameters import ParameterPlace
from inference.backends.encoder.sentence_modules import MODULES_FILE, declared_pooling
from inference.backends.encoder.tasks import EncoderTasks, declared_tasks
from inference.backends.encoder.text_encoder import TOWER_OUTPUT
from inference.backends.encoder.token_graph import POOLED_OUTPUTS, TASK_INPUTS, TOKEN_OUTPUTS
from inference.backends.model_files import (
    PROMPT_NAMES,
    input_limits,
    is_dual_encoder,
    limit_files,
    prompts_of,
    sentence_steps,
)
from inference.cards.card import Card, CardError, Deployment, usual_task
from inference.cards.json_files import positive_int
from inference.contracts import Task
from inference.importer.declarations import report_rowless, report_tokenizer, rows_of
from inference.importer.declared import declared
from inference.importer.findings import Finding, ImporterError, Report, reported
from inference.importer.graph_facts import GraphFacts
from inference.importer.model_folder import TOKENIZER, ModelFolder, open_tokenizer
from inference.importer.sentence_declarations import SENTENCE_TRANSFORMERS, report_sentence_files

BACKEND = "onnx-text-encoder"
SPARSE_OUTPUTS = ("sparse_vecs", "sparse_weights", "sparse_embeddings")
COLBERT_OUTPUTS = ("colbert_vecs", "colbert_vectors", "colbert_embeddings")
"""The outputs of BGE-M3 beside its vectors, by exporter."""
MATRYOSHKA = ("matryoshka_dims", "matryoshka_dimensions")


def encoder_card(
    folder: ModelFolder, report: Report, *, pooling: str | None, context: int | None = None
) -> dict[str, Any]:
    """Return the fields of a text encoder's card; `pooling` and `context` are the user's.

    Raises `ImporterError` for files that cannot be used or do not name the context.
    """
    graph = folder.graphs["model"]
    report(f"The graph encodes texts: {graph.weights} weights, outputs {', '.join(graph.outputs)}.")
    tokenizer = reported(open_tokenizer(folder), report)
    report_tokenizer(folder, tokenizer, report, generates=False)
    report_rowless(tokenizer, rows_of(folder, "model"), report)
    embedding: dict[str, Any] = {
        "pooling": reported(_pooling(folder, graph, pooling), report),
        "normalize": reported(_normalize(folder), report),
        "dimensions": reported(_dimensions(folder, graph), report),
        "matryoshka": reported(_matryoshka(folder), report),
        "prompts": reported(_prompts(folder), report),
        "tasks": (tasks := reported(_tasks(folder, graph), report)),
        "task": usual_task(tasks) if tasks else None,
        "sparse": reported(_sparse(graph), report),
    }
    served = frozenset([*embedding["prompts"].values(), *tasks.values()])
    report_sentence_files(folder, served, report)
    return {
        "type": Task.EMBEDDINGS,
        "backend": BACKEND,
        "files": {"model": folder.graph_files["model"], "tokenizer": TOKENIZER},
        "context": reported(text_context(folder, context), report),
        "embedding": {key: value for key, value in embedding.items() if value not in (None, [], {})},
        "parameters": declared(Task.EMBEDDINGS, BACKEND, ParameterPlace.STANDARD),
        "extras": declared(
            Task.EMBEDDINGS, BACKEND, ParameterPlace.EXTRA, more=frozenset({"task"} if tasks else ())
        ),
    }


def _pooling(folder: ModelFolder, graph: GraphFacts, wanted: str | None) -> Finding[str | None]:
    """Return the pooling for the card; None where modules.json names it, which the backend reads too."""
    if wanted:
        return Finding(wanted, f"Pooling is {wanted} (--pooling).")
    if pooled := next((name for name in _pooled_outputs(folder) if _is_vector(graph, name)), None):
        return Finding("none", f"The graph pools by itself: its output {pooled} is one vector an input.")
    try:
        named = declared_pooling(folder.path)
    except CardError as error:
        raise ImporterError(f"{error}. Set it with --pooling mean, cls or last.") from None
    if named:
        return Finding(None, f"Pooling is {named} ({MODULES_FILE}).")
    return Finding(
        "mean",
        "No file names the pooling of token vectors; mean, the most common, is assumed. If the model's page "
        "names another, add the model again with --pooling cls or last: the wrong pooling gives wrong "
        "vectors and no error.",
    )


def _is_vector(graph: GraphFacts, name: str) -> bool:
    """Return True for an output of one vector an input; jina-embeddings-v3 names one a token text_embeds."""
    return name in graph.outputs and len(graph.outputs[name].dims) != 3


def _pooled_outputs(folder: ModelFolder) -> tuple[str, ...]:
    """Return the outputs that the backend takes as one vector an input."""
    return (*POOLED_OUTPUTS, TOWER_OUTPUT) if is_dual_encoder(folder.path) else POOLED_OUTPUTS


def _steps(folder: ModelFolder) -> Mapping[str, str]:
    """Return the folders of the steps of modules.json by the last word of their types."""
    try:
        return dict(sentence_steps(folder.path))
    except CardError as error:
        raise ImporterError(f"{error}.") from None


def _normalize(folder: ModelFolder) -> Finding[bool]:
    steps = _steps(folder)
    if not steps:
        return Finding(
            True, f"There is no {MODULES_FILE}: vectors are normalized to length one, for cosine similarity."
        )
    normalized = "Normalize" in steps
    return Finding(
        normalized,
        f"Vectors are {'normalized to length one' if normalized else 'not normalized'} ({MODULES_FILE}).",
    )


def _dimensions(folder: ModelFolder, graph: GraphFacts) -> Finding[int | None]:
    """Return the size of a vector after all steps: Dense has its own, several poolings are concatenated."""
    if (cut := positive_int(folder.json(SENTENCE_TRANSFORMERS).get("truncate_dim"))) is not None:
        return Finding(cut, "")
    native = dimensions(folder, graph, *_pooled_outputs(folder))
    steps = _steps(folder)
    if "Dense" in steps:
        size = positive_int(folder.json(f"{steps['Dense']}/config.json").get("out_features"))
        return Finding(
            size, f"A vector has {size} numbers (the Dense step of {MODULES_FILE})." if size else ""
        )
    poolings = (declared_pooling(folder.path) or "").split("+")
    if native.value is None or len(poolings) == 1:
        return native
    size = native.value * len(poolings)
    return Finding(size, f"A vector has {size} numbers, {native.value} of each pooling.")


def dimensions(folder: ModelFolder, graph: GraphFacts, *outputs: str) -> Finding[int | None]:
    """Return the size of the graph's output, else that of config.json; None is left to the first run."""
    names = (*outputs, *POOLED_OUTPUTS, *TOKEN_OUTPUTS, *graph.outputs)
    tensor = next((graph.outputs[name] for name in names if name in graph.outputs), None)
    size = positive_int(tensor.dims[-1]) if tensor and tensor.dims else None
    size = size or positive_int(folder.config.get("hidden_size")) or positive_int(folder.config.get("dim"))
    return Finding(size, f"A vector has {size} numbers." if size else "")


def _matryoshka(folder: ModelFolder) -> Finding[list[int]]:
    for file in (SENTENCE_TRANSFORMERS, "config.json"):
        for key in MATRYOSHKA:
            sizes = folder.json(file).get(key)
            if isinstance(sizes, list) and sizes and all(positive_int(size) for size in sizes):
                listed = ", ".join(str(size) for size in sizes)
                return Finding(sorted(sizes), f"Vectors may be shortened to {listed} numbers ({file}).")
    return Finding(
        [], "No file says that vectors may be shortened, so `dimensions` takes the full size only."
    )


def _prompts(folder: ModelFolder) -> Finding[dict[str, str]]:
    """Return the prompts as the backend reads them; the card repeats them for its readers."""
    blank = Card.model_validate(
        {"name": "import", "provider": "import", "type": Task.EMBEDDINGS, "backend": BACKEND}
    )
    try:
        found = prompts_of(Deployment(blank, folder.path))
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    if folder.graphs["model"].inputs.keys() & set(TASK_INPUTS):
        return Finding({}, "")  # They come with the tasks.
    prompts = {kind: text for kind, text in found.items() if text}
    listed = ", ".join(f"{name}: {text!r}" for name, text in prompts.items())
    return Finding(prompts, f"`input_type` sets the prompt before an input: {listed}." if listed else "")


def _tasks(folder: ModelFolder, graph: GraphFacts) -> Finding[dict[str, str]]:
    """Return the tasks of a graph that reads their numbers, each with the text before its inputs.

    Raises `ImporterError` where config.json does not name them.
    """
    if not graph.inputs.keys() & set(TASK_INPUTS):
        return Finding({}, "")
    try:
        tasks = dict(declared_tasks(folder.json("config.json")))
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    if not tasks:
        raise ImporterError(
            "The graph reads task_id, the number of a task, and config.json names none. Write the tasks' "
            "names under lora_adaptations, in the sequence of their numbers."
        )
    known = EncoderTasks(tasks, usual_task(tasks))
    kinds = ", ".join(f"{kind}: {known.of_input(kind)}" for kind in PROMPT_NAMES)
    return Finding(
        tasks,
        f"The graph has the tasks {', '.join(tasks)}: `task` takes them, `input_type` stands for some "
        f"({kinds}).",
    )


def _sparse(graph: GraphFacts) -> Finding[str | None]:
    """Return the output of token weights; what a graph of several outputs has beside is said."""
    unserved = [name for name in COLBERT_OUTPUTS if name in graph.outputs]
    beside = f" Its output {unserved[0]}, a vector for each token, is not served." if unserved else ""
    sparse = next((name for name in SPARSE_OUTPUTS if name in graph.outputs), None)
    if sparse is None:
        return Finding(None, beside.strip())
    return Finding(
        sparse, f"Its output {sparse} weighs the tokens of a text: /embed_sparse serves it.{beside}"
    )


def text_context(folder: ModelFolder, wanted: int | None = None) -> Finding[int]:
    """Return the most tokens of an input; `wanted` is the user's.

    Raises `ImporterError` where neither the user nor a file names it, and where the model has fewer positions
    than the user wants.
    """
    known = input_limits({name: folder.json(name) for name in limit_files(folder.path)})
    if wanted is not None:
        positions = next((most for source, most in known.items() if source.startswith("config.json")), wanted)
        if wanted > positions:
            raise ImporterError(f"--context {wanted} is more than the {positions} positions of config.json.")
        return Finding(wanted, f"An input has at most {wanted} tokens (--context).")
    if not known:
        raise ImporterError(
            "No file names the most tokens of an input. Set it with --context N, or put a config.json with "
            "max_position_embeddings next to the graph."
        )
    where = min(known, key=lambda source: known[source])
    return Finding(known[where], f"An input has at most {known[where]} tokens ({where}).")
