"""Bindings of a provider with memory of its own, by a double that copies inputs when they are bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from inference.backends.decoder import opening, row_decoder
from inference.backends.session import open_session
from inference.contracts import GenerationRequest
from inference.errors import GenerationFailed
from inference.settings import Settings
from tests.backends.decoder.reference import reference_answer
from tests.backends.decoder.running import GREEDY, WEIGHTS, answer, opened, random_prompt
from tests.support.decoders import SHAPE, write_decoder


class DeviceBinding:
    """A binding that copies inputs when they are bound, as `IOBinding::BindInput` does for a device."""

    def __init__(self, session: DeviceSession) -> None:
        self._session = session
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.made: list[Any] = []

    def bind_ortvalue_input(self, name: str, value: ort.OrtValue) -> None:
        self.inputs[name] = value.numpy().copy()

    def bind_ortvalue_output(self, name: str, value: ort.OrtValue) -> None:
        self.outputs[name] = value

    def bind_output(self, name: str) -> None:
        self.outputs[name] = None

    def get_outputs(self) -> list[Any]:
        return self.made


class DeviceSession:
    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def io_binding(self) -> DeviceBinding:
        return DeviceBinding(self)

    def run_with_iobinding(self, binding: DeviceBinding, options: Any = None) -> None:
        found = self._session.run(list(binding.outputs), binding.inputs, options)
        binding.made = [ort.OrtValue.ortvalue_from_numpy(array) for array in found]
        for value, array in zip(binding.outputs.values(), found, strict=True):
            if value is not None:
                value.update_inplace(np.ascontiguousarray(array))


def on_a_device(path: Path, settings: Settings) -> DeviceSession:
    return DeviceSession(open_session(path, settings))


async def test_device_gets_the_cache_and_tokens_of_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_session", on_a_device)
    with opened(write_decoder(tmp_path)) as model:
        tokens, _ = await answer(model, GenerationRequest(random_prompt(300), 12, GREEDY))
    assert tokens == reference_answer(SHAPE, WEIGHTS, random_prompt(300), 12)


@pytest.mark.usefixtures("capfd")
async def test_binding_that_is_not_renewed_fails_on_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_session", on_a_device)
    monkeypatch.setattr(DeviceSession, "get_providers", lambda _: [row_decoder.CPU])
    # The step's first mask is all zeros, and the device would never see another.
    with opened(write_decoder(tmp_path)) as model, pytest.raises(GenerationFailed):
        await answer(model, GenerationRequest(random_prompt(300), 12, GREEDY))
