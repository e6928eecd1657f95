"""The processors and the memory that this process may use, within the limits of its container."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MIB = 1024 * 1024
UNLIMITED = 1 << 60
"""Bytes from which a limit is none: control groups of version 1 write a number beyond every machine."""


def available_processors(cgroup: Path = CGROUP) -> int:
    """Return the number of processors for this process: its affinity, or a lower quota of its container."""
    return max(1, min(affinity(), math.ceil(cpu_quota(cgroup) or affinity())))


def affinity() -> int:
    """Return the number of processors that this process may be scheduled on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """Return the container's CPU quota in processors, from control groups of version 2 or 1.

    None where there is no quota.
    """
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            share, period = " ".join((cgroup / name).read_text() for name in names).split()
            if float(share) > 0:
                return float(share) / float(period)
        except (OSError, ValueError):  # no such file, or the word `max`
            continue
    return None


def has_dedicated_processors(cgroup: Path = CGROUP) -> bool:
    """Return True if this process has two or more dedicated processors, on which threads may spin.

    Where the quota is below the number of processors, spinning threads use it up without working.
    """
    share = cpu_quota(cgroup)
    return affinity() >= 2 and (share is None or share >= affinity())


def available_memory(cgroup: Path = CGROUP) -> int:
    """Return the bytes of memory for this process: its container's limit, or the machine's if that is less.

    0 where neither is known.
    """
    limits = [limit for limit in (_limit(cgroup), _installed()) if limit]
    return min(limits, default=0)


def _limit(cgroup: Path) -> int | None:
    """Return the container's memory limit in bytes; None where there is none."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int((cgroup / name).read_text())
        except (OSError, ValueError):  # no such file, or the word `max`
            continue
        return limit if limit < UNLIMITED else None
    return None


def _installed() -> int | None:
    """Return the machine's memory in bytes; None where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
