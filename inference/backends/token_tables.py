"""The rows of a model's tables of tokens, and the tokenizer that fits them.

A count of tokens says little: a tokenizer may have special tokens for which its model was given no row, gaps
in its ids, or fewer tokens than the tables have rows. What shows that it belongs to another model is a word
of plain text without a row, or a config.json that describes other tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

from inference.backends.model_files import text_config
from inference.backends.onnx_header import GRAPH_INITIALIZER, MODEL_GRAPH, TENSOR_NAME
from inference.backends.protobuf import Message, first_text, inner_messages
from inference.cards.card import CardError, Deployment
from inference.cards.json_files import Json, positive_int
from inference.prompt.tokenizer import Tokenizer

PADDING = 1024
"""Rows beyond `vocab_size` from which a table is no longer one that was padded for its kernels."""
INPUT = "input_ids"
GRAPH_NODE = 1
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR = 1, 2, 4
TENSOR_SIZES = 1
"""Field numbers of onnx.proto."""
SAME_IDS = frozenset({"Cast", "Clip", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators that pass token ids on."""
SAME_TABLE = frozenset({"Cast", "DequantizeLinear", "Identity"})
"""Operators that pass a table on, in another type."""
LOOKUPS = frozenset({"Gather", "GatherBlockQuantized", "EmbedLayerNormalization"})
"""Operators that look ids up in the first table among their inputs that has two dimensions."""


def embedding_rows(path: Path) -> int | None:
    """Return the rows of the table in which a graph looks up its tokens, None where it does not show."""
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            graphs = inner_messages(Message(data, 0, len(data)), MODEL_GRAPH)
            return next((_gathered_rows(graph, INPUT) for graph in graphs), None)
    except (OSError, ValueError, IndexError):
        return None


def _gathered_rows(graph: Message, name: str) -> int | None:
    """Return the rows of the table that a graph indexes with its input `name`, None where there is no one."""
    tables = dict(_table(tensor) for tensor in inner_messages(graph, GRAPH_INITIALIZER))
    names = {name}
    for operator, inputs, outputs in _nodes(graph):  # each comes after those it depends on
        if operator in SAME_TABLE and inputs[0] in tables:
            tables[outputs[0]] = tables[inputs[0]]
        elif operator in SAME_IDS and inputs[0] in names:
            names |= set(outputs)
        found = [tables[one] for one in inputs if len(tables.get(one, ())) == 2]
        if operator in LOOKUPS and found and not names.isdisjoint(inputs):
            return found[0][0]
    return None


def _nodes(graph: Message) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the operator, the inputs and the outputs of each node."""
    for node in inner_messages(graph, GRAPH_NODE):
        inputs, outputs = ([one.text for one in inner_messages(node, n)] for n in (NODE_INPUT, NODE_OUTPUT))
        yield first_text(node, NODE_OPERATOR), inputs, outputs


def _table(tensor: Message) -> tuple[str, tuple[int, ...]]:
    """Return the name and the sizes of a weight."""
    sizes = [value for number, value in tensor if number == TENSOR_SIZES and isinstance(value, int)]
    packed = [size for value in inner_messages(tensor, TENSOR_SIZES) for size in value.numbers()]
    return first_text(tensor, TENSOR_NAME), (*sizes, *packed)


def encoder_tokenizer(deployment: Deployment, role: str, default: str) -> Tokenizer:
    """Return the tokenizer of an encoder, for the rows of the table in the graph of a role.

    Where the graph does not show the table, config.json's `vocab_size` counts. Raises `CardError`.
    """
    tokenizer, config = Tokenizer.of(deployment), text_config(deployment.folder)
    rows = embedding_rows(deployment.file(role, default)) or positive_int(config.get("vocab_size"))
    if rows is None:
        return tokenizer
    return fitted_tokenizer(tokenizer, rows, config, table="the graph's table of tokens")


def fitted_tokenizer(tokenizer: Tokenizer, rows: int, config: Json, *, table: str) -> Tokenizer:
    """Return a tokenizer for a model whose `table` has so many rows: ids without one cannot be used.

    `config` is config.json. Raises `CardError` for a tokenizer that belongs to another model.
    """
    tokens, stated = tokenizer.vocabulary_size, positive_int(config.get("vocab_size"))
    problem = f"files.tokenizer: it has {tokens} tokens, {table} only {rows}"
    if tokens > rows and stated is not None and stated != rows:
        raise CardError(
            f"{problem}, and config.json's vocab_size is {stated}: graph and tokenizer belong to two models"
        )
    if tokens > rows and (words := tokenizer.words_without_row(rows)):
        raise CardError(
            f"{problem}: {len(words)} tokens of plain text, such as {words[0]!r}, have no row, so it belongs "
            "to another model"
        )
    if stated is not None and tokens <= stated and rows >= stated + PADDING:
        raise CardError(
            f"files.tokenizer: it has {tokens} tokens and config.json's vocab_size is {stated}, {table} "
            f"{rows}: the graph belongs to another model"
        )
    return tokenizer.with_rows(rows)
