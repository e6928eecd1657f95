"""An ONNX graph that reads tokens; its inputs and outputs are discovered from the session.

Inputs  [inputs, positions]: input_ids, and where the graph has them attention_mask, token_type_ids and
        position_ids. Padding follows the tokens; where later tokens cannot change earlier ones, as in
        decoders, the side of the padding makes no difference.
        task_id (or adapter_mask), the number of the adapter for all inputs of a run, or one for each.
        past_key_values.N.key and .value of decoders: an empty past, [inputs, heads, 0, size].
        use_cache_branch: false, because there is no cache to read.
Output  the first of the preferred names that the graph has, else its only output:
        [inputs, dimensions] or [inputs, positions, dimensions].
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.encoder.pooling import Lengths
from inference.backends.session import first_line, require
from inference.cards.card import CardError
from inference.contracts import TokenIds

CACHE_BRANCH = "use_cache_branch"
TASK_INPUTS = ("task_id", "adapter_mask")
KNOWN_INPUTS = (
    *("input_ids", "attention_mask", "token_type_ids", "position_ids", CACHE_BRANCH),
    *TASK_INPUTS,
)
POOLED_OUTPUTS = ("sentence_embedding", "text_embeds", "dense_vecs", "dense_embeddings")
TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
PAST = re.compile(r"past_key_values\.\d+\.(key|value)")
DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
"""The element types of onnxruntime to numpy's dtypes."""


class TokenGraph:
    """A session that turns token ids into the chosen output, on the caller's thread."""

    def __init__(
        self,
        session: ort.InferenceSession,
        *,
        role: str,
        outputs: Sequence[str],
        pad: int,
        unmasked_length: int | None = None,
    ) -> None:
        """Discover a session's inputs and output by a first run.

        Args:
            session: The graph, or one tower of it.
            role: The name of the file in the card, for messages.
            outputs: The preferred outputs, the best first.
            pad: The id of the padding token.
            unmasked_length: The length to which inputs are padded if the graph has no attention mask.

        Raises:
            CardError: The graph has other inputs or outputs, or it cannot run.
        """
        self._session = session
        self._dtypes = _input_dtypes(session, role)
        # With a mask any id serves as padding. The padding token's may equal the end token's, which CLIP
        # looks up in its input: a text without one would depend on the texts that share its run.
        self._pad = 0 if "attention_mask" in self._dtypes else pad
        self._pasts = _past_inputs(session, role)
        self._tasks = {one.name: one.shape for one in session.get_inputs() if one.name in TASK_INPUTS}
        self.fixed_length = _fixed_length(session)
        """The length to which every input is padded, or None where the longest of a run decides."""
        if self.fixed_length is None and "attention_mask" not in self._dtypes:
            self.fixed_length = unmasked_length
        self._output = choose_output(session, outputs, role=role)
        self._batches = _fixed_batch(session, role) is None
        self.output_shape = self._first_run(role)
        """The shape of the output for an input of one token and, where a run takes two, one of two tokens."""

    @property
    def reads_task(self) -> bool:
        """True if a run has the number of a task as an input, the same for all of its texts."""
        return bool(self._tasks)

    @property
    def pooled(self) -> bool:
        """True if the output is one vector an input already."""
        return len(self.output_shape) == 2

    def can_batch(self, inputs: Sequence[TokenIds]) -> bool:
        """Return True if these inputs can be one run.

        Inputs of different lengths need a graph with a mask, or one that expects padding to a fixed length.
        """
        if len(inputs) == 1:
            return True
        return self._batches and (self._pads or len({len(tokens) for tokens in inputs}) == 1)

    @property
    def _pads(self) -> bool:
        return "attention_mask" in self._dtypes or self.fixed_length is not None

    def run(
        self, inputs: Sequence[TokenIds], types: Sequence[TokenIds | None] = (), *, task: int = 0
    ) -> tuple[NDArray[np.float32], Lengths]:
        """Return the output, float32, and the inputs' lengths. Raises the errors of onnxruntime.

        `types` are the inputs' token types, for a graph that reads them; without them all are 0. `task` is
        the number of the inputs' task, for a graph of several.
        """
        counts = [len(tokens) for tokens in inputs]
        lengths = np.array(counts)
        positions = self.fixed_length or max(counts)
        feeds = self._feeds(inputs, (len(inputs), positions))
        if "attention_mask" in feeds and min(counts) < positions:
            feeds["attention_mask"][np.arange(positions) >= lengths[:, None]] = 0
        if types and "token_type_ids" in feeds:
            for row, one in zip(feeds["token_type_ids"], types, strict=True):
                if one is not None:
                    row[: len(one)] = one
        for name, shape in self._tasks.items():
            sizes = [size if isinstance(size, int) else len(inputs) for size in shape]
            feeds[name] = np.full(sizes, task, self._dtypes[name])
        (output,) = self._session.run([self._output], feeds)
        return np.asarray(output, np.float32), lengths

    def _feeds(self, inputs: Sequence[TokenIds], shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """Return the arrays of all inputs, with a mask that covers the padding too."""
        ids = _full(shape, self._pad, self._dtypes["input_ids"])
        for row, tokens in zip(ids, inputs, strict=True):
            row[: len(tokens)] = tokens
        feeds: dict[str, NDArray[Any]] = {"input_ids": ids}
        if dtype := self._dtypes.get("attention_mask"):
            feeds["attention_mask"] = _full(shape, 1, dtype)
        if dtype := self._dtypes.get("token_type_ids"):
            feeds["token_type_ids"] = np.zeros(shape, dtype)
        if dtype := self._dtypes.get("position_ids"):
            feeds["position_ids"] = np.tile(np.arange(shape[1], dtype=dtype), (shape[0], 1))
        if dtype := self._dtypes.get(CACHE_BRANCH):
            feeds[CACHE_BRANCH] = np.zeros(1, dtype)
        for name, past in self._pasts.items():
            feeds[name] = np.empty((shape[0], past.heads, 0, past.head_size), past.dtype)
        return feeds

    def _first_run(self, role: str) -> tuple[int, ...]:
        """Run two inputs, else one; this also loads the weights before the first request."""
        one = [self._pad]
        try:
            output = self._run_two([one, one * 2] if self._pads else [one, one]) if self._batches else None
            if output is None:
                self._batches = False
                output, _ = self.run([one])
        except Exception as error:
            raise CardError(f"files.{role}: an input cannot be run: {first_line(error)}") from error
        if output.ndim not in (2, 3):
            raise CardError(f"files.{role}: {self._output} has {output.ndim} dimensions, it must have 2 or 3")
        return output.shape

    def _run_two(self, inputs: Sequence[TokenIds]) -> NDArray[np.float32] | None:
        """Return the output for two inputs, or None for a graph that declares a free batch but takes one."""
        try:
            output, _ = self.run(inputs)
        except Exception:  # noqa: BLE001  the errors of onnxruntime have no narrower class
            return None
        return output if len(output) == len(inputs) else None


def _full(shape: tuple[int, int], value: int, dtype: type[np.generic]) -> NDArray[Any]:
    """Return numpy's `full` at half its cost, which is noticeable for one short text."""
    array = np.empty(shape, dtype)
    array.fill(value)
    return array


def choose_output(session: ort.InferenceSession, preferred: Sequence[str], *, role: str) -> str:
    """Return the first preferred output that a graph has, else its only one. Raises `CardError`."""
    names = [output.name for output in session.get_outputs()]
    chosen = next((name for name in preferred if name in names), names[0] if len(names) == 1 else None)
    if chosen is None:
        raise CardError(
            f"files.{role}: the graph has the outputs {', '.join(names)}; one must be {', '.join(preferred)}"
        )
    return chosen


def dtype_of(argument: ort.NodeArg, *, role: str) -> type[np.generic]:
    """Return numpy's dtype of a graph's input. Raises `CardError`."""
    if argument.type not in DTYPES:
        raise CardError(f"files.{role}: the input {argument.name} is a {argument.type}, it must be a number")
    return DTYPES[argument.type]


class PastInput(NamedTuple):
    """An input of a decoder's graph for the keys or values of earlier tokens."""

    heads: int
    head_size: int
    dtype: type[np.generic]


def _past_inputs(session: ort.InferenceSession, role: str) -> Mapping[str, PastInput]:
    """Return the inputs of the past. Raises `CardError` if one is not [inputs, heads, past, size]."""
    pasts = {}
    for argument in session.get_inputs():
        if not argument.name.startswith("past"):
            continue
        shape = argument.shape
        sizes = shape[1::2] if PAST.fullmatch(argument.name) and len(shape) == 4 else []
        if len(sizes) != 2 or not all(isinstance(size, int) for size in sizes):
            raise CardError(
                f"files.{role}: {argument.name} is {shape}, not the keys or values of attention, "
                "[inputs, heads, past, size]"
            )
        pasts[argument.name] = PastInput(sizes[0], sizes[1], dtype_of(argument, role=role))
    return pasts


def _ids_shape(session: ort.InferenceSession) -> Sequence[int | str | None]:
    shape = next(argument.shape for argument in session.get_inputs() if argument.name == "input_ids")
    return shape if len(shape) == 2 else (None, None)


def _fixed_length(session: ort.InferenceSession) -> int | None:
    length = _ids_shape(session)[1]
    return length if isinstance(length, int) else None


def _fixed_batch(session: ort.InferenceSession, role: str) -> int | None:
    """Return 1 if the graph takes one input a run, None if it takes any number. Raises `CardError`."""
    batch = _ids_shape(session)[0]
    if isinstance(batch, int) and batch > 1:
        raise CardError(
            f"files.{role}: the graph takes exactly {batch} inputs a run; it must take any number, or one"
        )
    return 1 if batch == 1 else None


def _input_dtypes(session: ort.InferenceSession, role: str) -> dict[str, type[np.generic]]:
    """Return the inputs except those of the past, and their dtypes. Raises `CardError`."""
    arguments = [argument for argument in session.get_inputs() if not argument.name.startswith("past")]
    names = [argument.name for argument in arguments]
    require(["input_ids"], names, role=role)
    if unknown := [name for name in names if name not in KNOWN_INPUTS]:
        raise CardError(
            f"files.{role}: the graph has the inputs {', '.join(unknown)}, which are not known; "
            f"known are {', '.join(KNOWN_INPUTS)}"
        )
    return {argument.name: dtype_of(argument, role=role) for argument in arguments}
