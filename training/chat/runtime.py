"""The exported model on plain onnxruntime, one greedy answer at a time, for evaluation and tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from training.chat.dialogue import Message, Tool
from training.chat.template import END_OF_TURN, render
from training.chat.tokenizer import END_OF_TEXT, load_tokenizer, token_id

ANSWER_LIMIT = 160


class Runtime:
    """A deployment folder, opened."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        model = str(folder / "model.onnx")
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.tokenizer = load_tokenizer(folder)
        self.outputs = [output.name for output in self.session.get_outputs()]
        caches = [value for value in self.session.get_inputs() if value.name.startswith("past_key_values")]
        self.empty = {v.name: np.zeros((1, v.shape[1], 0, v.shape[3]), dtype=np.float32) for v in caches}
        self.ends = [token_id(self.tokenizer, mark) for mark in (END_OF_TURN, END_OF_TEXT)]

    def answer(self, messages: list[Message], tools: list[Tool]) -> str:
        """What the model says next, as text; the tags of a tool call are part of it."""
        return self.complete(render(messages, tools, prompt=True))

    def complete(self, prompt: str, limit: int = ANSWER_LIMIT) -> str:
        fresh, past, length = self.tokenizer.encode(prompt).ids, self.empty, 0
        written: list[int] = []
        while len(written) < limit:
            length += len(fresh)
            logits, past = self.step(fresh, length, past)
            chosen = int(logits.argmax())
            if chosen in self.ends:
                break
            written.append(chosen)
            fresh = [chosen]
        text: str = self.tokenizer.decode(written, skip_special_tokens=False)
        return text

    def step(
        self, ids: list[int], length: int, past: dict[str, NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Logits float32 [vocab] after the last of `ids`, and the cache of all `length` tokens."""
        mask = np.ones((1, length), dtype=np.int64)
        last = np.array([len(ids) - 1])
        feeds = {"input_ids": np.array([ids]), "attention_mask": mask, "logits_indices": last, **past}
        found = dict(zip(self.outputs, self.session.run(None, feeds), strict=True))
        logits = found.pop("logits")[0, -1]
        return logits, {name.replace("present", "past_key_values"): value for name, value in found.items()}
