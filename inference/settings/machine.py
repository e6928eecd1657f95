"""What the machine gives this process: processors and memory, as its container's limits leave them."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MIB = 1024 * 1024
UNLIMITED = 1 << 60
"""Control groups of version 1 write "no limit" as a number beyond every machine."""


def processors(cgroup: Path = CGROUP) -> int:
    """How many processors this process may use: its affinity, or its container's quota where that is less."""
    return max(1, min(affinity(), math.ceil(quota(cgroup) or affinity())))


def affinity() -> int:
    """The processors that this process may be scheduled on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota(cgroup: Path = CGROUP) -> float | None:
    """The container's CPU quota in processors, of control groups version 2 or 1; None where there is none."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            share, period = " ".join((cgroup / name).read_text() for name in names).split()
            if float(share) > 0:
                return float(share) / float(period)
        except (OSError, ValueError):  # no such file, or the word `max`
            continue
    return None


def alone(cgroup: Path = CGROUP) -> bool:
    """Whether this process has at least two processors and nothing takes them away while it waits on them.

    A quota below the processors that are seen is one that threads which spin use up for nothing.
    """
    share = quota(cgroup)
    return affinity() >= 2 and (share is None or share >= affinity())


def memory(cgroup: Path = CGROUP) -> int:
    """Bytes of memory that this process can have: its container's limit, or the machine's where that is less.

    0 where neither can be known.
    """
    limits = [limit for limit in (_limit(cgroup), _installed()) if limit]
    return min(limits, default=0)


def _limit(cgroup: Path) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int((cgroup / name).read_text())
        except (OSError, ValueError):  # no such file, or the word `max`
            continue
        return limit if limit < UNLIMITED else None
    return None


def _installed() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
