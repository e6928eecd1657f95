"""One tower of a graph that holds two: optimum exports CLIP and SigLIP as one graph that wants both inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.token_graph import KNOWN, element_type

PIXELS = "pixel_values"
TEXT_INPUTS = KNOWN


class Tower:
    """A session seen by one tower: it has the tower's inputs only, and the other tower is never computed."""

    def __init__(self, session: ort.InferenceSession, *, other: Collection[str], role: str) -> None:
        """`other` are the other tower's inputs, `role` the file's name in the card. Raises `CardError`."""
        self._session = session
        self._other = [argument for argument in session.get_inputs() if argument.name in other]
        self._types = {argument.name: element_type(argument, role=role) for argument in self._other}
        self._options = ort.RunOptions()
        self._options.only_execute_path_to_fetches = True

    def get_inputs(self) -> Sequence[ort.NodeArg]:
        return [argument for argument in self._session.get_inputs() if argument.name not in self._types]

    def get_outputs(self) -> Sequence[ort.NodeArg]:
        return list(self._session.get_outputs())

    def run(self, outputs: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """As a session runs. What the other tower wants has to be given, and is not looked at."""
        return list(self._session.run(outputs, {**self._unread, **arrays}, self._options))

    @cached_property
    def _unread(self) -> Mapping[str, NDArray[Any]]:
        return {
            argument.name: np.zeros(
                [size if isinstance(size, int) else 1 for size in argument.shape], self._types[argument.name]
            )
            for argument in self._other
        }


def vision_tower(session: ort.InferenceSession) -> ort.InferenceSession | Tower:
    """What embeds pictures: the session itself, unless its graph also reads texts. Raises `CardError`."""
    return _tower(session, mine=PIXELS, other=TEXT_INPUTS, role="model")


def text_tower(session: ort.InferenceSession) -> ort.InferenceSession | Tower:
    """What embeds texts: the session itself, unless its graph also sees pictures. Raises `CardError`."""
    return _tower(session, mine="input_ids", other=(PIXELS,), role="text_model")


def _tower(
    session: ort.InferenceSession, *, mine: str, other: Collection[str], role: str
) -> ort.InferenceSession | Tower:
    names = {argument.name for argument in session.get_inputs()}
    return Tower(session, other=other, role=role) if mine in names and names & set(other) else session
