"""The graph of a decoder by its inputs and outputs, refused where the engine cannot run it.

Supported, whatever exporter wrote the graph:

    input_ids            int64 [batch, sequence]
    attention_mask       int64 [batch, total]
    position_ids         int64 [batch, sequence]                           optional
    cache_position       int64 [sequence], so that rows run alone           optional
    num_logits_to_keep   int64 scalar, 0 for all                           optional
    logits_indices       int64 [k], of the flattened [batch * sequence]    optional
    use_cache_branch     bool [1]                                          optional, of merged graphs
    past_key_values.N.*  float32 or float16 [batch, kv_heads, past, head_size]
    logits               float32 or float16 [batch, sequence or 1, vocabulary]; with indices [1, k, ...]
    present.N.*          as past_key_values.N.*

A run shows whether the cache is updated in place or returned longer: see `probe`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from inference.backends.decoder.cache_layout import PAST, cache_layout, float_type, graph_refusal
from inference.backends.session import require
from inference.engine.kv_cache import CacheLayout

PRESENT = "present."
REQUIRED = ("input_ids", "attention_mask")
INTEGERS = ("position_ids", "cache_position", "num_logits_to_keep", "logits_indices")
BRANCH = "use_cache_branch"
UNSUPPORTED = (
    ("encoder", "it is half of an encoder-decoder"),
    ("conv", "it keeps convolution state in addition to or instead of a KV cache"),
    ("recurrent", "it keeps recurrent state in addition to or instead of a KV cache"),
    ("ssm", "it keeps recurrent state in addition to or instead of a KV cache"),
    ("rwkv", "it keeps recurrent state in addition to or instead of a KV cache"),
    (".key_value", "it keeps keys and values in one tensor; export the model again with a recent exporter"),
    ("inputs_embeds", "it takes embeddings in place of token ids"),
)
"""Parts of input names by which a graph of another kind is recognized, with the kind."""


@dataclass(frozen=True, slots=True)
class DecoderGraph:
    """Names and types of a decoder's tensors."""

    past: tuple[str, ...]
    present: tuple[str, ...]
    """The outputs: `present[i]` continues `past[i]`."""
    layout: CacheLayout
    logits: np.dtype[Any]
    optional: frozenset[str]
    """The optional inputs that it has."""
    keep_shape: tuple[int, ...]
    """The shape of `num_logits_to_keep`: () or (1,)."""
    last_only: bool
    """The graph computes logits of the last position alone, by itself or by `num_logits_to_keep`."""

    @classmethod
    def of(cls, session: ort.InferenceSession, head_size: int | None = None) -> DecoderGraph:
        """Return the graph of a session; `head_size` is used where the graph leaves it open.

        Raises `CardError` naming the input or output that does not fit.
        """
        inputs = {node.name: node for node in session.get_inputs()}
        outputs = {node.name: node for node in session.get_outputs()}
        past = tuple(name for name in inputs if name.startswith(PAST))
        _refuse_unsupported(inputs, past)
        require(REQUIRED, inputs)
        for name in (*REQUIRED, *(name for name in INTEGERS if name in inputs)):
            _refuse_unless(inputs[name].type == "tensor(int64)", f"{name} is {inputs[name].type}, not int64")
        _refuse_halves(inputs, outputs, past)
        present = tuple(name.replace(PAST, PRESENT, 1) for name in past)
        require(("logits", *present), outputs, kind="output")
        logits = outputs["logits"]
        keep = inputs.get("num_logits_to_keep")
        return cls(
            past=past,
            present=present,
            layout=cache_layout(inputs.values(), head_size),
            logits=float_type(logits),
            optional=frozenset((*INTEGERS, BRANCH)) & inputs.keys(),
            keep_shape=(1,) if keep is not None and len(keep.shape) == 1 else (),
            last_only=keep is not None or list(logits.shape[1:2]) == [1],
        )

    @property
    def scores(self) -> bool:
        """True if the logits of any position can be selected."""
        return bool(self.optional & {"logits_indices", "num_logits_to_keep"}) or not self.last_only


def _refuse_unsupported(inputs: Iterable[str], past: tuple[str, ...]) -> None:
    for name in inputs:
        for part, kind in UNSUPPORTED:
            _refuse_unless(part not in name, f"{kind} (input {name})")
    unknown = [name for name in inputs if name not in (*REQUIRED, *INTEGERS, BRANCH, *past)]
    _refuse_unless(not unknown, f"its input {', '.join(unknown)} is unknown")


def _refuse_halves(inputs: Mapping[str, ort.NodeArg], outputs: Iterable[str], past: tuple[str, ...]) -> None:
    """Refuse one of the two files of older exports: one for the prompt, one for every token after it."""
    merged = "name decoder_model_merged.onnx, or a model.onnx that was exported with past key values"
    if not past:
        first = any(name.startswith(PRESENT) for name in outputs)
        problem = f"it has no KV cache: no input's name starts with {PAST!r}"
        raise graph_refusal(f"{problem}; it is the first of a pair of files: {merged}" if first else problem)
    single = list(inputs["input_ids"].shape[1:2]) == [1]
    _refuse_unless(
        not single, f"it takes one token at a time, as the second of a pair of files does: {merged}"
    )


def _refuse_unless(condition: bool, problem: str) -> None:
    if not condition:
        raise graph_refusal(problem)
