"""The machine in general words: what a reader needs in order to compare, and no name of it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("onnxruntime", "numpy", "tokenizers", "pydantic", "uvicorn", "httpx")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm")
"""What onnxruntime's kernels look for."""
CPUINFO = Path("/proc/cpuinfo")


def description() -> str:
    """Return processors, their instruction sets, versions, and the machine's load."""
    cpu = _cpuinfo()
    name = cpu.get("model name") or platform.machine()
    present = (cpu.get("flags") or cpu.get("Features") or "").split()
    flags = [flag for flag in FLAGS if flag in present]
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]
    load = f"{os.getloadavg()[0]:.1f}"
    return (
        f"{os.cpu_count()} cores, {name} ({', '.join(flags) or 'instruction sets unknown'}), "
        f"{platform.system()}; {', '.join(versions)}; load {load} at the start"
    )


def _cpuinfo() -> dict[str, str]:
    """Return the lines about one processor; empty where the system has no such file."""
    if not CPUINFO.is_file():
        return {}
    first = CPUINFO.read_text(encoding="utf-8").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
