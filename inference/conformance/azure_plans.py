"""The sizes that infra/ offers on Azure, and whether a measured deployment fits into each.

Flex Consumption has instances of 512, 2048 and 4096 MB (`instanceMemoryMB` of infra/main.bicep). On Container
Apps a replica's memory is a choice, twice its cores on the Consumption profile (`memoryGiB` of infra/aca).
infra/ gives a quarter of the memory to the KV cache (INFERENCE_KV_MEMORY_MB).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
HOST = 150 * MIB
"""For the Functions host, which shares an instance's memory with the app: an estimate, not measured."""
PARTS = 4
"""infra/ gives one part of so many to the KV cache."""


@dataclass(frozen=True, slots=True)
class AzurePlan:
    """A size of an instance; `memory` is bytes, `cores` processors."""

    name: str
    memory: int
    cores: float


@dataclass(frozen=True, slots=True)
class Need:
    """What a deployment takes: bytes, and of its KV cache bytes a token, tokens a row, and rows."""

    memory: int
    per_token: int = 0
    context: int = 0
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether it fits, the bytes it would take there, and a sentence where it does not."""

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


def fits(need: Need, plans: Sequence[AzurePlan] = PLANS) -> list[Fit]:
    """One verdict a plan, in their order."""
    return [_fit(need, plan) for plan in plans]


def _fit(need: Need, plan: AzurePlan) -> Fit:
    share, row = plan.memory // PARTS, need.per_token * need.context
    rows = min(need.slots, share // row) if row else 0
    total = need.memory + rows * row + HOST
    if row > share:
        fewer = share // need.per_token
        return Fit(plan, total + row, f"one sequence's KV cache does not fit: lower context to {fewer}")
    if total > plan.memory:
        return Fit(plan, total, "too little memory")
    return Fit(plan, total, None)
