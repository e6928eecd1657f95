"""What this machine's processor is good at, as far as the choice of a variant goes."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""Flags of instructions that multiply and add 8-bit numbers without saturating on the way."""


@dataclass(frozen=True, slots=True)
class Processor:
    """`words` are what names of files say that want such a processor: avx2, avx512, vnni, arm64."""

    words: frozenset[str]
    dot_products: bool

    @classmethod
    def here(cls, cpuinfo: Path = CPUINFO, machine: str | None = None) -> Processor:
        """Of this machine; where the system does not list flags, only the architecture is known."""
        machine = (machine or platform.machine()).lower()
        flags = _flags(cpuinfo)
        words = {word for word in ("avx2", "avx512", "vnni") if any(word in flag for flag in flags)}
        arm = machine in ("arm64", "aarch64")
        # Apple's processors have them and have no cpuinfo to say so.
        dots = bool(flags & DOT_PRODUCTS) or (arm and platform.system() == "Darwin")
        return cls(frozenset(words | ({"arm64"} if arm else set())), dots)


def memory() -> int:
    """Bytes of memory that this machine has; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8_000_000_000


def _flags(cpuinfo: Path) -> frozenset[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    found = (
        line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))
    )
    return frozenset(next(found, []))
