"""`python -m training.images.train`: draws the pictures and trains both towers, into build/.

The result is a function of this package and the seed: generators are seeded, torch runs its deterministic
algorithms on a fixed number of threads. Another processor or torch version may round differently.
"""

import time
from math import cos, pi
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.images.dataset import Batch, Pictures, epoch_batches, training_captions, training_pictures
from training.images.tokenizer import trained
from training.images.towers import STATISTICS, Weights, image_embeds, initial_weights, text_embeds

BUILD = Path(__file__).resolve().parents[2] / "build" / "starter-images"
SEED = 20261122
THREADS = 1  # faster than two where the other core is busy, and one order of summation
PICTURES = 30_000
EPOCHS = 14
BATCH = 256
PEAK_RATE = 1.5e-3
WARM_UP = 150
WEIGHT_DECAY = 0.05
MAX_LOGIT_SCALE = 4.6  # natural logarithm; a temperature of 0.01
AVERAGE_DECAY = 0.995


def main() -> None:
    be_deterministic()
    BUILD.mkdir(parents=True, exist_ok=True)
    pictures = training_pictures(PICTURES, SEED)
    captions = training_captions(pictures.scenes, Random(SEED))
    tokenizer = trained(caption.text for caption in captions)
    tokenizer.save(str(BUILD / "tokenizer.json"))
    save(train(pictures, tokenizer))


def be_deterministic() -> None:
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(THREADS)


def train(pictures: Pictures, tokenizer: Tokenizer) -> Weights:
    """The average of the weights over the last steps of EPOCHS passes."""
    weights = initial_weights(SEED)
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimiser = adamw(weights)
    steps_per_epoch = len(pictures.scenes) // BATCH
    started = time.monotonic()
    for epoch in range(EPOCHS):
        losses = []
        for step, batch in enumerate(epoch_batches(pictures, tokenizer, BATCH, SEED + epoch)):
            rate = learning_rate(epoch * steps_per_epoch + step, EPOCHS * steps_per_epoch)
            losses.append(train_step(weights, optimiser, batch, rate))
            update_average(average, weights)
        report(epoch, losses, time.monotonic() - started)
    return average


def adamw(weights: Weights) -> torch.optim.Optimizer:
    """AdamW that decays matrices only."""
    learned = [weight for name, weight in weights.items() if not name.endswith(STATISTICS)]
    groups = [
        {"params": [weight for weight in learned if weight.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [weight for weight in learned if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98))


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    return PEAK_RATE * 0.5 * (1 + cos(pi * (step - WARM_UP) / (steps - WARM_UP)))


def train_step(weights: Weights, optimiser: torch.optim.Optimizer, batch: Batch, rate: float) -> float:
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = contrastive_loss(weights, batch)
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_([weight for weight in weights.values() if weight.requires_grad], 1.0)
    optimiser.step()
    with torch.no_grad():
        weights["logit_scale"].clamp_(max=MAX_LOGIT_SCALE)
    return float(loss.detach())


def contrastive_loss(weights: Weights, batch: Batch) -> Tensor:
    """Cross-entropy both ways, each caption's target spread over all pictures of the batch it is true of."""
    with torch.autocast("cpu", torch.bfloat16):
        images = image_embeds(weights, torch.from_numpy(batch.pixels), training=True)
        texts = text_embeds(weights, torch.from_numpy(batch.ids), torch.from_numpy(batch.mask))
    logits = weights["logit_scale"].exp() * texts.float() @ images.float().T
    truth = torch.from_numpy(batch.truth).float()
    return (spread_cross_entropy(logits, truth) + spread_cross_entropy(logits.T, truth.T)) / 2


def spread_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return functional.cross_entropy(logits, truth / truth.sum(1, keepdim=True))


def update_average(average: Weights, weights: Weights) -> None:
    """The exponential average of the weights over steps, which is what is kept."""
    with torch.no_grad():
        for name, weight in weights.items():
            average[name].lerp_(weight, 1 - AVERAGE_DECAY)


def report(epoch: int, losses: list[float], seconds: float) -> None:
    print(f"epoch {epoch + 1}/{EPOCHS}: loss {np.mean(losses):.4f}, {seconds:.0f} s", flush=True)


def save(weights: Weights) -> None:
    arrays: dict[str, Any] = {name: weight.numpy() for name, weight in weights.items()}
    np.savez(BUILD / "weights.npz", **arrays)


if __name__ == "__main__":
    main()
