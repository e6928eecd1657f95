"""The card of an image encoder, with or without a text tower."""

from __future__ import annotations

from typing import Any

from inference.api.parameters import ParameterPlace
from inference.api.routes import routes_of
from inference.backends.model_files import vision_config
from inference.backends.vision.image_encoder import HIDDEN_OUTPUT, IMAGE_OUTPUTS
from inference.backends.vision.preprocessing import PREPROCESSOR_FILE, Preprocessor, preprocessor_file
from inference.cards.card import CardError
from inference.contracts import Route, Task
from inference.importer.declarations import report_rowless, report_tokenizer, rows_of
from inference.importer.declared import declared
from inference.importer.encoder_card import dimensions, text_context
from inference.importer.findings import Finding, ImporterError, Report, reported
from inference.importer.graph_facts import GraphFacts
from inference.importer.model_folder import TOKENIZER, ModelFolder, open_tokenizer

BACKEND = "onnx-image-encoder"
FIRST_TOKEN = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "deit", "vit_msn")
"""Values of `model_type` whose first token is the image's: transformers' pooler and heads take that one."""


def image_card(
    folder: ModelFolder, report: Report, *, pooling: str | None = None, context: int | None = None
) -> dict[str, Any]:
    """Return the fields of an image encoder's card; `pooling` and `context` are the user's.

    Raises `ImporterError` for files that cannot be used, or that lack the text tower's context or the pooling
    of an output that needs one.
    """
    graph = folder.graphs["model"]
    report(f"The graph encodes images: {graph.weights} weights, outputs {', '.join(graph.outputs)}.")
    preprocessor = reported(_preprocessor(folder), report)
    pooled_by = reported(_pooling(folder, graph, pooling), report)
    text_files, longest = _text_tower(folder, context, report)
    outputs = (HIDDEN_OUTPUT,) if pooled_by else IMAGE_OUTPUTS
    size = reported(dimensions(folder, graph, *outputs), report)
    embedding = {"normalize": True, "pooling": pooled_by, "dimensions": size}
    routes = routes_of(Task.IMAGE_EMBEDDINGS) | ({Route.EMBEDDINGS} if text_files else frozenset())
    return {
        "type": Task.IMAGE_EMBEDDINGS,
        "backend": BACKEND,
        "files": {
            "model": folder.graph_files["model"],
            "preprocessor": preprocessor,
            **text_files,
        },
        **({"context": longest} if longest else {}),
        "embedding": {key: value for key, value in embedding.items() if value is not None},
        "parameters": declared(Task.IMAGE_EMBEDDINGS, BACKEND, ParameterPlace.STANDARD, routes=routes),
        "extras": declared(Task.IMAGE_EMBEDDINGS, BACKEND, ParameterPlace.EXTRA, routes=routes),
    }


def _pooling(folder: ModelFolder, graph: GraphFacts, wanted: str | None) -> Finding[str | None]:
    """Return the pooling of the graph's hidden states; None for a graph that gives one vector an image.

    Raises `ImporterError` where hidden states are the only output and nothing names their pooling.
    """
    if wanted:
        if HIDDEN_OUTPUT not in graph.outputs:
            raise ImporterError(
                f"--pooling {wanted} is for graphs with the output {HIDDEN_OUTPUT}; this one has "
                f"{', '.join(graph.outputs)}."
            )
        return Finding(wanted, f"Pooling is {wanted} (--pooling).")
    vectors = [name for name in IMAGE_OUTPUTS if name in graph.outputs]
    tensor = graph.outputs.get(HIDDEN_OUTPUT)
    if vectors or tensor is None or len(tensor.dims) == 2:
        return Finding(None, "")
    family = vision_config(folder.path).get("model_type")
    if family in FIRST_TOKEN:
        return Finding("cls", f"Pooling is cls: the first token of {family} is the image's (config.json).")
    raise ImporterError(
        f"The graph gives {HIDDEN_OUTPUT}, a vector for each part of an image, and no file names their "
        "pooling. Set it with --pooling cls, the first one, or --pooling mean; the model's page says which."
    )


def _text_tower(
    folder: ModelFolder, context: int | None, report: Report
) -> tuple[dict[str, str], int | None]:
    """Return the card's files and the context of the text tower, where there is one."""
    joint = "input_ids" in folder.graphs["model"].inputs
    graph_file = folder.graph_files.get("text_model", folder.graph_files["model"] if joint else None)
    if not graph_file:
        report("There is no text tower: the deployment embeds images only.")
        return {}, None
    tokenizer = reported(open_tokenizer(folder), report)
    report_tokenizer(folder, tokenizer, report, generates=False)
    report_rowless(tokenizer, rows_of(folder, "model" if joint else "text_model"), report)
    longest = reported(text_context(folder, context), report)
    report("There is a text tower: the deployment serves /embeddings in the same vector space too.")
    return {"text_model": graph_file, "tokenizer": TOKENIZER}, longest


def _preprocessor(folder: ModelFolder) -> Finding[str]:
    """Return the name of the file that describes the graph's input. Raises `ImporterError`."""
    try:
        name = preprocessor_file(folder.path)
        if not folder.has(name):
            raise ImporterError(
                f"There is no {PREPROCESSOR_FILE}, which describes the graph's input. Take it from the "
                "model's original repository."
            )
        height, width = Preprocessor.open(folder.path / name).size
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    return Finding(name, f"Images are resized to {width} by {height} pixels ({name}).")
