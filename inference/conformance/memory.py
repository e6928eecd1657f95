"""How much memory this process has."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


def resident() -> int | None:
    """Bytes that are in memory now; None where the system does not say."""
    return _field("VmRSS:")


def peak() -> int | None:
    """The most bytes that were in memory since the process began; None where the system does not say."""
    return _field("VmHWM:")


def _field(name: str, status: Path | None = None) -> int | None:
    try:
        lines = (status or STATUS).read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith(name))
    kilobytes = next(found, None)
    return None if kilobytes is None else int(kilobytes) * 1024
