"""Reads from a decoder's inputs and outputs what it is, and refuses what the engine cannot drive.

Understood: graphs of onnxruntime-genai's builder and their like, whose GroupQueryAttention writes into a KV
cache that it is given:

    input_ids            int64 [batch, sequence]
    attention_mask       int64 [batch, total]
    position_ids         int64 [batch, sequence]                           optional
    num_logits_to_keep   int64 scalar                                      optional
    past_key_values.N.*  float32 or float16 [batch, kv_heads, past, head_dim]
    logits               float32 or float16 [batch, sequence or 1, vocabulary]
    present.N.*          as past_key_values.N.*
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from inference.backends.onnx_session import require
from inference.card import CardError
from inference.engine.kv_cache import CacheLayout

PAST, PRESENT = "past_key_values.", "present."
REQUIRED = ("input_ids", "attention_mask")
OPTIONAL = ("position_ids", "num_logits_to_keep")
FLOATS: Mapping[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
}
FOREIGN = (
    ("encoder", "it is half of an encoder-decoder"),
    ("past_conv", "it keeps convolution state"),
    ("past_recurrent", "it keeps recurrent state"),
    ("past_ssm", "it keeps recurrent state"),
    ("use_cache_branch", "it merges two graphs, one without a cache"),
    ("inputs_embeds", "it takes embeddings in place of token ids"),
)
"""Parts of input names that tell what a graph is instead."""


@dataclass(frozen=True, slots=True)
class DecoderGraph:
    """Names and types of a decoder's tensors. `present[i]` is what becomes of `past[i]`."""

    past: tuple[str, ...]
    present: tuple[str, ...]
    layout: CacheLayout
    logits: np.dtype[Any]
    takes_positions: bool
    takes_keep: bool
    last_only: bool
    """The graph computes logits for the last position alone, by itself or by `num_logits_to_keep`."""

    @classmethod
    def of(cls, session: ort.InferenceSession) -> DecoderGraph:
        """Raises `CardError` naming what was found that does not fit."""
        inputs = {node.name: node for node in session.get_inputs()}
        outputs = {node.name: node for node in session.get_outputs()}
        past = tuple(name for name in inputs if name.startswith(PAST))
        _refuse_foreign(inputs, past)
        require(REQUIRED, inputs)
        for name in (*REQUIRED, *(name for name in OPTIONAL if name in inputs)):
            _refuse_unless(inputs[name].type == "tensor(int64)", f"{name} is {inputs[name].type}, not int64")
        if not past:
            raise _refusal(f"it has no KV cache: no input's name begins with {PAST!r}")
        present = tuple(name.replace(PAST, PRESENT, 1) for name in past)
        require(("logits", *present), outputs, kind="output")
        logits = outputs["logits"]
        keep = "num_logits_to_keep" in inputs
        return cls(
            past=past,
            present=present,
            layout=_layout([inputs[name] for name in past]),
            logits=_float(logits),
            takes_positions="position_ids" in inputs,
            takes_keep=keep,
            last_only=keep or list(logits.shape[1:2]) == [1],
        )


def _layout(past: list[ort.NodeArg]) -> CacheLayout:
    types = {_float(node) for node in past}
    _refuse_unless(len(types) == 1, "its KV cache mixes float32 and float16")
    return CacheLayout(tuple(_heads_and_size(node) for node in past), types.pop())


def _heads_and_size(node: ort.NodeArg) -> tuple[int, int]:
    shape = list(node.shape)
    fits = len(shape) == 4 and all(isinstance(size, int) and size > 0 for size in (shape[1], shape[3]))
    _refuse_unless(fits, f"{node.name} has the shape {shape}, not [batch, kv_heads, past, head_dim]")
    return int(shape[1]), int(shape[3])


def _float(node: ort.NodeArg) -> np.dtype[Any]:
    _refuse_unless(node.type in FLOATS, f"{node.name} is {node.type}, not float32 or float16")
    return FLOATS[node.type]


def _refuse_foreign(inputs: Iterable[str], past: tuple[str, ...]) -> None:
    for name in inputs:
        for part, meaning in FOREIGN:
            _refuse_unless(part not in name, f"{meaning} (input {name})")
    strange = [name for name in inputs if name not in (*REQUIRED, *OPTIONAL, *past)]
    _refuse_unless(not strange, f"nobody knows what to feed its input {', '.join(strange)}")


def _refuse_unless(condition: bool, problem: str) -> None:
    if not condition:
        raise _refusal(problem)


def _refusal(problem: str) -> CardError:
    return CardError(f"files.model: the graph is no decoder that onnx-decoder runs: {problem}")
