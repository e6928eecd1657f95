"""The card of a text encoder: how token vectors become one vector, and how long an input may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.api.parameters import ParameterPlace
from inference.backends.encoder.sentence_modules import MODULES, pooling_of
from inference.backends.encoder.text_encoder import TOWER_OUTPUT
from inference.backends.encoder.token_graph import POOLED_OUTPUTS, TOKEN_OUTPUTS
from inference.backends.model_files import (
    input_limits,
    is_tower,
    limit_files,
    positive_int,
    prompts_of,
    sentence_steps,
)
from inference.backends.vision.preprocessing import Preprocessor
from inference.cards.card import Card, CardError, Deployment
from inference.contracts import Task
from inference.importer.declared import declared
from inference.importer.findings import Finding, ImporterError, Say, tell
from inference.importer.graph_facts import GraphFacts
from inference.importer.model_folder import ModelFolder, open_tokenizer

BACKEND = "onnx-text-encoder"
MATRYOSHKA = ("matryoshka_dims", "matryoshka_dimensions")


def encoder_card(look: ModelFolder, say: Say, *, pooling: str | None) -> dict[str, Any]:
    """The fields that follow from the files; `pooling` is what the user says. Raises `ImporterError`."""
    graph = look.graphs["model"]
    say(f"The graph encodes texts: {graph.weights} weights, outputs {', '.join(graph.outputs)}.")
    tell(open_tokenizer(look), say)
    embedding: dict[str, Any] = {
        "pooling": tell(_pooling(look, graph, pooling), say),
        "normalize": tell(_normalize(look), say),
        "dimensions": tell(_dimensions(look, graph), say),
        "matryoshka": tell(_matryoshka(look), say),
        "prompts": tell(_prompts(look), say),
    }
    return {
        "type": Task.EMBEDDINGS,
        "backend": BACKEND,
        "files": {"model": look.files["model"], "tokenizer": "tokenizer.json"},
        "context": tell(text_context(look), say),
        "embedding": {key: value for key, value in embedding.items() if value not in (None, [], {})},
        "parameters": declared(Task.EMBEDDINGS, BACKEND, ParameterPlace.STANDARD),
        "extras": declared(Task.EMBEDDINGS, BACKEND, ParameterPlace.EXTRA),
    }


def _pooling(look: ModelFolder, graph: GraphFacts, wanted: str | None) -> Finding[str | None]:
    """None where the files say it themselves, and go on saying it."""
    if wanted:
        return Finding(wanted, f"Pooling is {wanted}, as --pooling says.")
    if pooled := next((name for name in _pooled_outputs(look) if name in graph.outputs), None):
        return Finding("none", f"The graph pools by itself: its output {pooled} is one vector an input.")
    try:
        told = pooling_of(look.folder)
    except CardError as error:
        raise ImporterError(f"{error}. Say --pooling mean, cls or last.") from None
    if told:
        return Finding(None, f"Pooling is {told} ({MODULES}).")
    return Finding(
        "mean",
        "No file says how token vectors are pooled; mean is assumed, the most common. If the model's page "
        "says otherwise, add it again with --pooling cls or last: wrong pooling gives wrong vectors "
        "without a word.",
    )


def _pooled_outputs(look: ModelFolder) -> tuple[str, ...]:
    """Outputs that are one vector an input, as the backend takes them."""
    return (*POOLED_OUTPUTS, TOWER_OUTPUT) if is_tower(look.folder) else POOLED_OUTPUTS


def _steps(look: ModelFolder) -> Mapping[str, str]:
    """The steps of modules.json by the last word of their types, with their folders."""
    try:
        return dict(sentence_steps(look.folder))
    except CardError as error:
        raise ImporterError(f"{error}.") from None


def _normalize(look: ModelFolder) -> Finding[bool]:
    steps = _steps(look)
    if steps:
        made = "Normalize" in steps
        return Finding(
            made, f"Vectors are {'of length one' if made else 'left at their length'} ({MODULES})."
        )
    return Finding(True, f"There is no {MODULES}: vectors are brought to length one, as cosines want them.")


def _dimensions(look: ModelFolder, graph: GraphFacts) -> Finding[int | None]:
    """Behind the steps of modules.json: a Dense has its own size, several poolings stand side by side."""
    own = dimensions(look, graph, *_pooled_outputs(look))
    steps = _steps(look)
    if "Dense" in steps:
        size = positive_int(look.json(f"{steps['Dense']}/config.json").get("out_features"))
        return Finding(size, f"A vector has {size} numbers ({MODULES}'s Dense)." if size else "")
    poolings = (pooling_of(look.folder) or "").split("+")
    if own.value is None or len(poolings) == 1:
        return own
    size = own.value * len(poolings)
    return Finding(size, f"A vector has {size} numbers, {own.value} of each pooling.")


def dimensions(look: ModelFolder, graph: GraphFacts, *outputs: str) -> Finding[int | None]:
    """By the graph's output, else by config.json; None is left to the first run."""
    names = (*outputs, *POOLED_OUTPUTS, *TOKEN_OUTPUTS, *graph.outputs)
    tensor = next((graph.outputs[name] for name in names if name in graph.outputs), None)
    size = positive_int(tensor.dims[-1]) if tensor and tensor.dims else None
    size = size or positive_int(look.config.get("hidden_size")) or positive_int(look.config.get("dim"))
    return Finding(size, f"A vector has {size} numbers." if size else "")


def _matryoshka(look: ModelFolder) -> Finding[list[int]]:
    for file in ("config_sentence_transformers.json", "config.json"):
        for key in MATRYOSHKA:
            sizes = look.json(file).get(key)
            if isinstance(sizes, list) and sizes and all(positive_int(size) for size in sizes):
                told = ", ".join(str(size) for size in sizes)
                return Finding(sorted(sizes), f"Vectors may be cut to {told} numbers ({file}).")
    return Finding([], "No file says that vectors may be cut, so `dimensions` takes the whole size only.")


def _prompts(look: ModelFolder) -> Finding[dict[str, str]]:
    """As the backend reads them; written into the card so that whoever reads it sees them."""
    blank = Card.model_validate(
        {"name": "look", "provider": "look", "type": Task.EMBEDDINGS, "backend": BACKEND}
    )
    try:
        found = prompts_of(Deployment(blank, look.folder))
    except CardError as error:
        raise ImporterError(f"{error}.") from None
    prompts = {kind: text for kind, text in found.items() if text}
    told = ", ".join(f"{name}: {text!r}" for name, text in prompts.items())
    return Finding(prompts, f"`input_type` puts before an input: {told}." if told else "")


def text_context(look: ModelFolder) -> Finding[int]:
    """The most tokens of an input. Raises `ImporterError` where nothing says it."""
    known = input_limits({name: look.json(name) for name in limit_files(look.folder)})
    if not known:
        raise ImporterError(
            "No file says how many tokens an input may have: put a config.json with max_position_embeddings "
            "beside the graph."
        )
    where = min(known, key=lambda place: known[place])
    return Finding(known[where], f"An input has at most {known[where]} tokens ({where}).")


IMAGE_BACKEND = "onnx-image-encoder"
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
        "backend": IMAGE_BACKEND,
        "files": files,
        **({"context": context} if context else {}),
        "embedding": {"normalize": True, **({"dimensions": size} if size else {})},
        "parameters": declared(Task.IMAGE_EMBEDDINGS, IMAGE_BACKEND, ParameterPlace.STANDARD),
        "extras": declared(Task.IMAGE_EMBEDDINGS, IMAGE_BACKEND, ParameterPlace.EXTRA),
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
