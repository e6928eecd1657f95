"""Sizes of instances that infra/ offers on Azure, and the fit of a measured deployment into each.

Flex Consumption has instances of 512, 2048 and 4096 MB (`instanceMemoryMB` of infra/main.bicep). On Container
Apps a replica's memory is a choice, twice its cores on the Consumption profile (`memoryGiB` of infra/aca).
infra/ gives a quarter of the memory to the KV cache (INFERENCE_KV_MEMORY_MB).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
HOST_MEMORY = 150 * MIB
"""Bytes of the Functions host, which shares an instance's memory with the app: estimated, not measured."""
KV_CACHE_DIVISOR = 4
"""Share of the KV cache in the memory of infra/, as a divisor."""


@dataclass(frozen=True, slots=True)
class AzurePlan:
    """A size of an instance; `memory` is bytes."""

    name: str
    memory: int
    cores: float


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Memory of a deployment: bytes of the process, and of the KV cache bytes a token, tokens a row, rows."""

    memory: int
    per_token: int = 0
    context: int = 0
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """Bytes that a deployment takes on a plan; `problem` is None where it fits, else a phrase."""

    plan: AzurePlan
    memory: int
    problem: str | None


PLANS = (
    AzurePlan("Flex Consumption 512 MB", 512 * MIB, 0.25),
    AzurePlan("Flex Consumption 2048 MB", 2048 * MIB, 1),
    AzurePlan("Flex Consumption 4096 MB", 4096 * MIB, 2),
    AzurePlan("Container Apps 1 GiB", 1024 * MIB, 0.5),
    AzurePlan("Container Apps 2 GiB", 2048 * MIB, 1),
    AzurePlan("Container Apps 4 GiB", 4096 * MIB, 2),
    AzurePlan("Container Apps 8 GiB", 8192 * MIB, 4),
)


def fits(need: MemoryNeed, plans: Sequence[AzurePlan] = PLANS) -> list[Fit]:
    """Return the fit into each plan."""
    return [_fit(need, plan) for plan in plans]


def _fit(need: MemoryNeed, plan: AzurePlan) -> Fit:
    cache, row = plan.memory // KV_CACHE_DIVISOR, need.per_token * need.context
    rows = min(need.slots, cache // row) if row else 0
    total = need.memory + rows * row + HOST_MEMORY
    if row > cache:
        fitting = cache // need.per_token
        problem = f"the KV cache of one sequence does not fit: lower context to {fitting}"
        return Fit(plan, total + row, problem)
    if total > plan.memory:
        return Fit(plan, total, "too little memory")
    return Fit(plan, total, None)
