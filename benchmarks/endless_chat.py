"""A chat deployment whose answers end only at `max_tokens`, one piece of text a token.

Every run makes the same number of tokens and chunks. It has starter-chat's shape and weight format, and so
its cost, with random weights.
"""

from __future__ import annotations

from pathlib import Path

from inference.importer.lm_head import add_indices
from tests.support.decoders import write_deployment, write_json
from tools.graphs.decoder_graph import decoder_graph, random_weights
from training.chat.recipe import SHAPE

NAME = "endless-chat"
PRINTABLE = slice(ord(" "), ord("~") + 1)


def write(folder: Path) -> Path:
    """Write the deployment into a folder of its own under `folder`, and return that."""
    weights = random_weights(SHAPE, seed=0)
    # Logits are products with the embedding: where it is zero, a token is never the most likely one.
    embedding = weights["model.embed_tokens.weight"]
    printable = embedding[PRINTABLE].copy()
    embedding[:] = 0
    embedding[PRINTABLE] = printable
    graph = decoder_graph(SHAPE, weights, bits=8)
    add_indices(graph)
    target = write_deployment(folder, graph, name=NAME, context=SHAPE.context)
    write_json(target / "config.json", {"max_position_embeddings": SHAPE.context})
    write_json(target / "generation_config.json", {})
    return target
