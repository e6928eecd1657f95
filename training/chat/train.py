"""Trains the chat model on the CPU: `python -m training.chat.train`.

Needs torch and a C++ compiler. Deterministic: fixed seed, fixed thread count, deterministic algorithms.
Another kind of processor rounds otherwise and so gives other weights. `--resume` goes on from the last
checkpoint and ends in the same model. `--shipped` needs no checkpoint and no compiler: it runs the last
stages alone, from the 8 bit weights of the deployment folder and with its tokenizer.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.chat.network import Parameters, fresh_parameters, mean_loss
from training.chat.optimizer import Optimizer
from training.chat.recipe import (
    CHECKPOINTS,
    DEPLOYMENT,
    FROM_SHIPPED,
    MATRIX_RATE,
    SEED,
    SHAPE,
    STAGES,
    THREADS,
    VECTOR_RATE,
    WEIGHTS,
)
from training.chat.samples import Batch, batches
from training.chat.shipped import shipped_weights
from training.chat.tokenizer import load_tokenizer, train_tokenizer

REPORT_EVERY = 20
SAVE_EVERY = 40


@dataclass(frozen=True, slots=True)
class Progress:
    """How many steps of which stage are done."""

    stage: int
    step: int


def prepare(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory only guards against reading what was never written; it costs a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(SEED)
    # One compiled layer for each row length, with and without room for its gradients.
    torch._dynamo.config.recompile_limit = 64


def layer_of(name: str) -> int:
    """The layer of a weight: the embedding comes before all, the last norm after them."""
    if name.startswith("model.layers."):
        return int(name.split(".")[2])
    return -1 if "embed" in name else SHAPE.layers


class Training:
    """The weights in the making, and the folder they are saved in after every SAVE_EVERY steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parameters: Parameters = fresh_parameters(SHAPE, SEED)
        self.optimizer = Optimizer(self.parameters, MATRIX_RATE, VECTOR_RATE)

    def hold_back(self, upper: int) -> None:
        """Let only the last layers and the last norm learn, from momenta of their own."""
        first = SHAPE.layers - upper
        learning = {name: value for name, value in self.parameters.items() if layer_of(name) >= first}
        for name, value in self.parameters.items():
            value.requires_grad_(name in learning)
        self.optimizer = Optimizer(learning, MATRIX_RATE, VECTOR_RATE)

    def save(self, done: Progress) -> None:
        """The weights for the export, and everything needed to go on."""
        arrays = {name: value.detach().numpy() for name, value in self.parameters.items()}
        np.savez(self.folder / WEIGHTS, **arrays)
        state = {"stage": done.stage, "step": done.step, "optimizer": self.optimizer.state()}
        torch.save(state, self.folder / "optimizer.pt")

    def take(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(torch.from_numpy(weights[name].copy()))

    def restore(self) -> Progress:
        with np.load(self.folder / WEIGHTS) as saved:
            self.take(saved)
        state = torch.load(self.folder / "optimizer.pt")
        # After its last step a stage is saved as the start of the next.
        upper = STAGES[state["stage"] if state["step"] else state["stage"] - 1].upper
        if upper is not None:
            self.hold_back(upper)
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
        if stage.upper is not None and not first:
            self.hold_back(stage.upper)
        stream = batches(SEED + number, tokenizer, stage)
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
    prepare(THREADS)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(SEED)
    tokenizer.save(str(folder / "tokenizer.json"))
    training = Training(folder)
    done = training.restore() if resume else Progress(0, 0)
    for number in range(done.stage, len(STAGES)):
        training.run(number, done.step if number == done.stage else 0, tokenizer)


def refine(folder: Path, shipped: Path, *, resume: bool) -> None:
    """The last stages alone, from shipped weights."""
    prepare(1)
    # So few steps take less time than the compilation would.
    torch.compiler.set_stance("force_eager")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(shipped / "tokenizer.json", folder / "tokenizer.json")
    training = Training(folder)
    training.take(shipped_weights(shipped, SHAPE))
    done = training.restore() if resume else Progress(FROM_SHIPPED, 0)
    for number in range(done.stage, len(STAGES)):
        training.run(number, done.step if number == done.stage else 0, load_tokenizer(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=CHECKPOINTS)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--shipped", action="store_true", help="the last stages only, from the deployment")
    chosen = parser.parse_args()
    if chosen.shipped:
        refine(chosen.folder, DEPLOYMENT, resume=chosen.resume)
    else:
        train(chosen.folder, resume=chosen.resume)


if __name__ == "__main__":
    main()
