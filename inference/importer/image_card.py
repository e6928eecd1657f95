"""The card of an image encoder, with or without a text tower."""

from __future__ import annotations

from typing import Any

from inference.api.parameters import ParameterPlace
from inference.backends.vision.preprocessing import Preprocessor
from inference.cards.card import CardError
from inference.contracts import Task
from inference.importer.declared import declared
from inference.importer.encoder_card import dimensions, text_context
from inference.importer.findings import Finding, Say, tell
from inference.importer.model_folder import ModelFolder
from inference.importer.refusal import ImporterError
from inference.importer.tokenizer import open_tokenizer

BACKEND = "onnx-image-encoder"
PREPROCESSOR = "preprocessor_config.json"


def image_card(look: ModelFolder, say: Say) -> dict[str, Any]:
    """The fields that follow from the files. Raises `ImporterError`."""
    graph = look.graphs["model"]
    say(f"The graph encodes pictures: {graph.weights} weights, outputs {', '.join(graph.outputs)}.")
    tell(_preprocessor(look), say)
    files = {"model": look.files["model"], "preprocessor": PREPROCESSOR}
    context = None
    both = look.files["model"] if "input_ids" in graph.inputs else None
    if text_model := look.files.get("text_model", both):
        tell(open_tokenizer(look), say)
        files |= {"text_model": text_model, "tokenizer": "tokenizer.json"}
        context = tell(text_context(look), say)
        say("There is a text tower too: the deployment serves /embeddings in the same space.")
    else:
        say("There is no text tower: pictures only.")
    size = tell(dimensions(look, graph, "image_embeds", "pooler_output"), say)
    return {
        "type": Task.IMAGE_EMBEDDINGS,
        "backend": BACKEND,
        "files": files,
        **({"context": context} if context else {}),
        "embedding": {"normalize": True, **({"dimensions": size} if size else {})},
        "parameters": declared(Task.IMAGE_EMBEDDINGS, BACKEND, ParameterPlace.STANDARD),
        "extras": declared(Task.IMAGE_EMBEDDINGS, BACKEND, ParameterPlace.EXTRA),
    }


def _preprocessor(look: ModelFolder) -> Finding[Preprocessor]:
    if not look.has(PREPROCESSOR):
        raise ImporterError(
            f"There is no {PREPROCESSOR}, which says how a picture becomes the graph's input. Take it from "
            "the model's original repository."
        )
    try:
        made = Preprocessor.open(look.folder / PREPROCESSOR)
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    height, width = made.size
    return Finding(made, f"Pictures are brought to {width} by {height} pixels ({PREPROCESSOR}).")
