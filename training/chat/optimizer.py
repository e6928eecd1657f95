"""Muon for the matrices of the layers, AdamW for the embedding and the norms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from training.chat.network import COMPUTE

MOMENTUM = 0.95
# The quintic whose iteration drives all singular values towards one; the usual Muon coefficients.
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalized(update: Tensor, iterations: int = 5) -> Tensor:
    """The nearest matrix with all singular values about one, by Newton-Schulz; update [out, in]."""
    tall = update.shape[0] > update.shape[1]
    x = (update.T if tall else update).to(COMPUTE)
    x = x / (x.norm() + 1e-7)
    a, b, c = QUINTIC
    for _ in range(iterations):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).float()


class Muon:
    """Momentum whose direction is orthogonalised, one matrix at a time."""

    def __init__(self, parameters: list[Tensor]) -> None:
        self.parameters = parameters
        self.momenta = [torch.zeros_like(parameter) for parameter in parameters]

    def step(self, rate: float) -> None:
        with torch.no_grad():
            for parameter, momentum in zip(self.parameters, self.momenta, strict=True):
                momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                ahead = parameter.grad.lerp(momentum, MOMENTUM)
                scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.add_(orthogonalized(ahead), alpha=-rate * scale)


class Optimizer:
    """Both optimisers under one learning-rate factor between 0 and 1."""

    def __init__(self, parameters: dict[str, Tensor], matrix_rate: float, vector_rate: float) -> None:
        self.parameters, self.matrix_rate, self.vector_rate = parameters, matrix_rate, vector_rate
        matrices = [name for name, p in parameters.items() if p.dim() == 2 and "embed" not in name]
        self.muon = Muon([parameters[name] for name in matrices])
        rest = [p for name, p in parameters.items() if name not in matrices]
        self.adam = AdamW(rest, lr=vector_rate, betas=(0.9, 0.95), weight_decay=0.0)

    def step(self, factor: float) -> None:
        self.muon.step(self.matrix_rate * factor)
        for group in self.adam.param_groups:
            group["lr"] = self.vector_rate * factor
        self.adam.step()
        for parameter in self.parameters.values():
            parameter.grad = None

    def state(self) -> dict[str, Any]:
        return {"momenta": self.muon.momenta, "adam": self.adam.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.muon.momenta = state["momenta"]
        self.adam.load_state_dict(state["adam"])
