"""One tower of a graph that holds two: optimum exports CLIP and SigLIP as one, with the inputs of both.

onnxruntime computes such a graph whole whatever is asked of it, and so the other tower is given the least it
can read: one token, or one black picture. That costs a text a picture's time; towers in files of their own do
not have this cost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.encoder.token_graph import KNOWN, element_type

PIXELS = "pixel_values"


class Tower:
    """A session as one tower sees it: with the tower's inputs only."""

    def __init__(
        self, session: ort.InferenceSession, *, other: Collection[str], size: tuple[int, int], role: str
    ) -> None:
        """`other` are the other tower's inputs, `size` is a picture's height and width.

        `role` is the file's name in the card. Raises `CardError` for inputs that are no numbers.
        """
        self._session = session
        arguments = session.get_inputs()
        self._inputs = [argument for argument in arguments if argument.name not in other]
        self._least = {
            argument.name: _least(argument, size, role) for argument in arguments if argument.name in other
        }

    def get_inputs(self) -> Sequence[ort.NodeArg]:
        return self._inputs

    def get_outputs(self) -> Sequence[ort.NodeArg]:
        return list(self._session.get_outputs())

    def run(self, outputs: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """As a session runs."""
        return list(self._session.run(outputs, {**self._least, **arrays}))


def vision_tower(session: ort.InferenceSession, size: tuple[int, int]) -> ort.InferenceSession | Tower:
    """What embeds pictures: the session itself, unless its graph also reads texts. Raises `CardError`."""
    joint = _has(session, PIXELS, "input_ids")
    return Tower(session, other=KNOWN, size=size, role="model") if joint else session


def text_tower(session: ort.InferenceSession, size: tuple[int, int]) -> ort.InferenceSession | Tower:
    """What embeds texts: the session itself, unless its graph also sees pictures. Raises `CardError`."""
    joint = _has(session, PIXELS, "input_ids")
    return Tower(session, other=(PIXELS,), size=size, role="text_model") if joint else session


def _has(session: ort.InferenceSession, *names: str) -> bool:
    return set(names) <= {argument.name for argument in session.get_inputs()}


def _least(argument: ort.NodeArg, size: tuple[int, int], role: str) -> NDArray[Any]:
    """The smallest input that runs: dimensions that the graph leaves open are one, of a picture its size."""
    own = (1, 3, *size) if argument.name == PIXELS else (1,) * len(argument.shape)
    shape = [
        wanted if isinstance(wanted, int) else least
        for wanted, least in zip(argument.shape, own, strict=True)
    ]
    fill = np.ones if argument.name == "attention_mask" else np.zeros
    return fill(shape, element_type(argument, role=role))
