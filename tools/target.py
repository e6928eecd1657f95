"""The Linux that packages are installed for: the Python and the glibc of the Functions images.

`python -m tools.target` prints the platform as uv names it, for `make lock`.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ARCHITECTURE = "x86_64"
OLDEST_MINOR = 5
"""manylinux tags start at glibc 2.5."""
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""Names that tags had before they named their glibc, by its minor version."""

# The bases of Azure/azure-functions-docker, host/4: Debian 11 (bullseye) for 3.11, Debian 12 (bookworm) from
# 3.12 on. Flex Consumption runs the same: https://github.com/Azure/azure-functions-python-worker/issues/1651
GLIBC_MINOR: Mapping[str, int] = {"3.11": 31, "3.12": 36, "3.13": 36}
"""Minor version of glibc 2 by Python."""
DEFAULT_PYTHON = "3.12"
"""As `infra/main.bicep` and the image have it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Python such as "3.12" on the Linux of its Functions image."""

    python: str

    @property
    def glibc_minor(self) -> int:
        return GLIBC_MINOR[self.python]

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the platform tags of the wheels that run there, the newest glibc first."""
        return tuple(f"{name}_{ARCHITECTURE}" for name in _manylinux(self.glibc_minor))

    @property
    def uv_platform(self) -> str:
        return f"{ARCHITECTURE}-manylinux_2_{self.glibc_minor}"

    @property
    def markers(self) -> dict[str, str]:
        """Return the values of environment markers there."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": ARCHITECTURE,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    def __str__(self) -> str:
        return f"Python {self.python} on {ARCHITECTURE} Linux with glibc 2.{self.glibc_minor}"


def _manylinux(minor: int) -> Iterator[str]:
    for older in range(minor, OLDEST_MINOR - 1, -1):
        yield f"manylinux_2_{older}"
        if older in LEGACY:
            yield LEGACY[older]


def running_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def running() -> Target | None:
    """Return the target whose packages this interpreter can load, or None where there is none."""
    python = running_python()
    if sys.platform != "linux" or platform.machine() != ARCHITECTURE or python not in GLIBC_MINOR:
        return None
    name, version = platform.libc_ver()
    found = re.match(r"2\.(\d+)", version) if name == "glibc" else None
    return Target(python) if found and int(found[1]) >= GLIBC_MINOR[python] else None


if __name__ == "__main__":
    sys.stdout.write(Target(DEFAULT_PYTHON).uv_platform + "\n")
