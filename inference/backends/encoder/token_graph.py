"""An ONNX graph that reads tokens: what it wants is discovered from the session.

Inputs  [inputs, positions]: input_ids, and where the graph has them attention_mask, token_type_ids and
        position_ids. Padding stands behind the tokens; where later tokens cannot change earlier ones, as in
        decoders, it makes no difference on which side it stands.
        past_key_values.N.key and .value, as decoders have them: nothing is past, [inputs, heads, 0, size].
        use_cache_branch: that there is nothing to be read from a cache.
Output  the first of the preferred names that the graph has, else the only output there is:
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
KNOWN = ("input_ids", "attention_mask", "token_type_ids", "position_ids", CACHE_BRANCH)
POOLED_OUTPUTS = ("sentence_embedding", "text_embeds")
TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
PAST = re.compile(r"past_key_values\.\d+\.(key|value)")
TYPES: Mapping[str, type[np.generic]] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
"""onnxruntime's word for an element type to numpy's."""


class TokenGraph:
    """Token ids in, the chosen output out, on the thread that calls."""

    def __init__(
        self,
        session: ort.InferenceSession,
        *,
        role: str,
        outputs: Sequence[str],
        pad: int,
        unmasked: int | None = None,
    ) -> None:
        """`role` is the file's name in the card, `outputs` are preferred in their order, `pad` fills rows.

        `unmasked` is the length that every input is padded to where the graph has no attention mask. Raises
        `CardError` for a graph that wants something else, or that cannot run.
        """
        self._session = session
        self._types = _inputs(session, role)
        # Told by a mask, a graph takes any id. The padding token's may be the end token's, for which CLIP's
        # kind looks in its input: token arrays without one would depend on who shares their run.
        self._pad = 0 if "attention_mask" in self._types else pad
        self._pasts = _pasts(session, role)
        self.positions = _fixed_length(session)
        """The one length that inputs are padded to, where there is one."""
        if self.positions is None and "attention_mask" not in self._types:
            self.positions = unmasked
        self._output = choose_output(session, outputs, role=role)
        self.several = _batch(session, role) is None
        """Whether inputs can share a run at all; some graphs are fixed to one."""
        self.shape = self._first_run(role)
        """The output's shape for an input of one token and, where they can share a run, one of two."""

    @property
    def pooled(self) -> bool:
        """Whether the output is one vector an input already."""
        return len(self.shape) == 2

    def shares(self, inputs: Sequence[TokenIds]) -> bool:
        """Whether these inputs can be one run.

        Those of different lengths need a graph that is told, or knows, what is padding.
        """
        if len(inputs) == 1:
            return True
        return self.several and (self._pads or len({len(tokens) for tokens in inputs}) == 1)

    @property
    def _pads(self) -> bool:
        return "attention_mask" in self._types or self.positions is not None

    def run(self, inputs: Sequence[TokenIds]) -> tuple[NDArray[np.float32], Lengths]:
        """The output, float32, and the inputs' lengths. Raises what onnxruntime raises."""
        sizes = [len(tokens) for tokens in inputs]
        lengths = np.array(sizes)
        positions = self.positions or max(sizes)
        arrays = self._arrays(inputs, (len(inputs), positions))
        if "attention_mask" in arrays and min(sizes) < positions:
            arrays["attention_mask"][np.arange(positions) >= lengths[:, None]] = 0
        (output,) = self._session.run([self._output], arrays)
        return np.asarray(output, np.float32), lengths

    def _arrays(self, inputs: Sequence[TokenIds], shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """What the graph wants, as if nothing were padding."""
        ids = _filled(shape, self._pad, self._types["input_ids"])
        for row, tokens in zip(ids, inputs, strict=True):
            row[: len(tokens)] = tokens
        arrays: dict[str, NDArray[Any]] = {"input_ids": ids}
        if kind := self._types.get("attention_mask"):
            arrays["attention_mask"] = _filled(shape, 1, kind)
        if kind := self._types.get("token_type_ids"):
            arrays["token_type_ids"] = np.zeros(shape, kind)
        if kind := self._types.get("position_ids"):
            arrays["position_ids"] = np.tile(np.arange(shape[1], dtype=kind), (shape[0], 1))
        if kind := self._types.get(CACHE_BRANCH):
            arrays[CACHE_BRANCH] = np.zeros(1, kind)
        for name, past in self._pasts.items():
            arrays[name] = np.empty((shape[0], past.heads, 0, past.size), past.kind)
        return arrays

    def _first_run(self, role: str) -> tuple[int, ...]:
        """Runs two inputs, else one, which also gets the weights into memory before the first request."""
        one = [self._pad]
        try:
            output = self._two([one, one * 2] if self._pads else [one, one]) if self.several else None
            if output is None:
                self.several = False
                output, _ = self.run([one])
        except Exception as error:
            raise CardError(f"files.{role}: an input cannot be run: {first_line(error)}") from error
        if output.ndim not in (2, 3):
            raise CardError(f"files.{role}: {self._output} has {output.ndim} dimensions, not 2 or 3")
        return output.shape

    def _two(self, inputs: Sequence[TokenIds]) -> NDArray[np.float32] | None:
        """The output for two inputs; None of a graph that calls their axis free and is made for one."""
        try:
            output, _ = self.run(inputs)
        except Exception:  # noqa: BLE001  what onnxruntime raises has no narrower class
            return None
        return output if len(output) == len(inputs) else None


def _filled(shape: tuple[int, int], value: int, kind: type[np.generic]) -> NDArray[Any]:
    """numpy's `full` at half its cost, which one short text notices."""
    array = np.empty(shape, kind)
    array.fill(value)
    return array


def choose_output(session: ort.InferenceSession, preferred: Sequence[str], *, role: str) -> str:
    """The first preferred output that a graph has, else its only one. Raises `CardError`."""
    names = [output.name for output in session.get_outputs()]
    chosen = next((name for name in preferred if name in names), names[0] if len(names) == 1 else None)
    if chosen is None:
        raise CardError(
            f"files.{role}: of the outputs {', '.join(names)} none is one of {', '.join(preferred)}"
        )
    return chosen


def element_type(argument: ort.NodeArg, *, role: str) -> type[np.generic]:
    """numpy's type for a graph's input. Raises `CardError`."""
    if argument.type not in TYPES:
        raise CardError(f"files.{role}: the input {argument.name} is a {argument.type}, not a number")
    return TYPES[argument.type]


class Past(NamedTuple):
    """An input of a decoder's graph that holds what it knows of earlier tokens."""

    heads: int
    size: int
    kind: type[np.generic]


def _pasts(session: ort.InferenceSession, role: str) -> Mapping[str, Past]:
    """Raises `CardError` for a state that is no key or value of [inputs, heads, past, size]."""
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
        pasts[argument.name] = Past(sizes[0], sizes[1], element_type(argument, role=role))
    return pasts


def _ids_shape(session: ort.InferenceSession) -> Sequence[int | str | None]:
    shape = next(argument.shape for argument in session.get_inputs() if argument.name == "input_ids")
    return shape if len(shape) == 2 else (None, None)


def _fixed_length(session: ort.InferenceSession) -> int | None:
    length = _ids_shape(session)[1]
    return length if isinstance(length, int) else None


def _batch(session: ort.InferenceSession, role: str) -> int | None:
    """1 where the graph takes one input a run, None where it takes any number. Raises `CardError`."""
    batch = _ids_shape(session)[0]
    if isinstance(batch, int) and batch > 1:
        raise CardError(f"files.{role}: the graph takes {batch} inputs at once and no fewer")
    return 1 if batch == 1 else None


def _inputs(session: ort.InferenceSession, role: str) -> dict[str, type[np.generic]]:
    """The inputs that are no past, and their types. Raises `CardError`."""
    arguments = [argument for argument in session.get_inputs() if not argument.name.startswith("past")]
    names = [argument.name for argument in arguments]
    require(["input_ids"], names, role=role)
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        raise CardError(f"files.{role}: the graph wants {', '.join(unknown)}; known are {', '.join(KNOWN)}")
    return {argument.name: element_type(argument, role=role) for argument in arguments}
