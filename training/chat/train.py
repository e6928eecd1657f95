"""Trains the chat model from scratch on the CPU: `python -m training.chat.train`.

Needs torch and a C++ compiler. Deterministic: fixed seed, fixed thread count, deterministic algorithms.
Another kind of processor rounds otherwise and so gives other weights. `--resume` goes on from the last
checkpoint and ends in the same model.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from training.chat.network import Parameters, fresh_parameters, mean_loss
from training.chat.optimizer import Optimizer
from training.chat.recipe import (
    CHECKPOINTS,
    MATRIX_RATE,
    SEED,
    SHAPE,
    STAGES,
    STEP_TOKENS,
    THREADS,
    VECTOR_RATE,
    WEIGHTS,
)
from training.chat.samples import Batch, batches
from training.chat.tokenizer import train_tokenizer

REPORT_EVERY = 25
SAVE_EVERY = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How many steps of which stage are done."""

    stage: int
    step: int


def prepare() -> None:
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory only guards against reading what was never written; it costs a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(SEED)
    # One compiled layer for each row length, with and without room for its gradients.
    torch._dynamo.config.recompile_limit = 64


class Training:
    """The weights in the making, and the folder they are saved in after every SAVE_EVERY steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parameters: Parameters = fresh_parameters(SHAPE, SEED)
        self.optimizer = Optimizer(self.parameters, MATRIX_RATE, VECTOR_RATE)

    def save(self, done: Progress) -> None:
        """The weights for the export, and everything needed to go on."""
        arrays = {name: value.detach().numpy() for name, value in self.parameters.items()}
        np.savez(self.folder / WEIGHTS, **arrays)
        state = {"stage": done.stage, "step": done.step, "optimizer": self.optimizer.state()}
        torch.save(state, self.folder / "optimizer.pt")

    def restore(self) -> Progress:
        with np.load(self.folder / WEIGHTS) as saved, torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(torch.from_numpy(saved[name]))
        state = torch.load(self.folder / "optimizer.pt")
        self.optimizer.load(state["optimizer"])
        return Progress(state["stage"], state["step"])

    def step(self, batch: Batch, factor: float) -> float:
        """One step; the loss before it."""
        ids, targets = torch.from_numpy(batch.ids), torch.from_numpy(batch.targets)
        loss = mean_loss(SHAPE, self.parameters, ids, targets)
        loss.backward()
        self.optimizer.step(factor)
        return float(loss.detach())

    def run(self, number: int, first: int, tokenizer: Tokenizer) -> None:
        """A stage from its step `first` on."""
        stage = STAGES[number]
        stream = batches(SEED + number, tokenizer, STEP_TOKENS, stage)
        began, seen, losses = time.monotonic(), 0, 0.0
        for done, batch in enumerate(itertools.islice(stream, first, stage.steps), start=first + 1):
            losses += self.step(batch, stage.factor(done - 1))
            seen += batch.ids.size
            if done % REPORT_EVERY == 0:
                speed = seen / (time.monotonic() - began)
                print(
                    f"stage {number} step {done} loss {losses / REPORT_EVERY:.4f} {speed:.0f} tokens/s",
                    flush=True,
                )
                losses = 0.0
            if done == stage.steps:
                self.save(Progress(number + 1, 0))
            elif done % SAVE_EVERY == 0:
                self.save(Progress(number, done))


def train(folder: Path, *, resume: bool) -> None:
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(SEED)
    tokenizer.save(str(folder / "tokenizer.json"))
    training = Training(folder)
    done = training.restore() if resume else Progress(0, 0)
    for number in range(done.stage, len(STAGES)):
        training.run(number, done.step if number == done.stage else 0, tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=CHECKPOINTS)
    parser.add_argument("--resume", action="store_true")
    chosen = parser.parse_args()
    train(chosen.folder, resume=chosen.resume)


if __name__ == "__main__":
    main()
