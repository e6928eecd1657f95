"""The Linux of the Functions images, and that nothing else in the repository names another one."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

from inference.settings import PROJECT
from tools.target import DEFAULT_PYTHON, GLIBC_MINOR, Target, running


def read(path: str) -> str:
    return (PROJECT / path).read_text(encoding="utf-8")


def test_tags_are_all_up_to_the_glibc_of_the_image() -> None:
    assert Target("3.12").tags[:3] == (
        "manylinux_2_36_x86_64",
        "manylinux_2_35_x86_64",
        "manylinux_2_34_x86_64",
    )
    assert Target("3.11").tags == (
        *(f"manylinux_2_{minor}_x86_64" for minor in range(31, 16, -1)),
        "manylinux2014_x86_64",
        *(f"manylinux_2_{minor}_x86_64" for minor in range(16, 11, -1)),
        "manylinux2010_x86_64",
        *(f"manylinux_2_{minor}_x86_64" for minor in range(11, 4, -1)),
        "manylinux1_x86_64",
    )


def test_the_lock_is_made_for_the_same_platform() -> None:
    command = [sys.executable, "-m", "tools.target"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "x86_64-manylinux_2_36\n"
    assert "--python-platform $$($(BIN)/python -m tools.target)" in read("Makefile")
    assert f"--python-version {DEFAULT_PYTHON} \\" in read("Makefile")
    assert "manylinux" not in read("Makefile")


def test_templates_image_and_workflow_take_the_same_pythons() -> None:
    for template in ("infra/main.bicep", "infra/group.bicep"):
        assert f"@allowed({list(GLIBC_MINOR)})" in read(template)
        assert f"param pythonVersion string = '{DEFAULT_PYTHON}'" in read(template)
    dockerfile = read("infra/aca/Dockerfile")
    assert f"ARG PYTHON=python:{DEFAULT_PYTHON}-slim-bookworm\n" in dockerfile
    assert f"/python:4-python{DEFAULT_PYTHON}\n" in dockerfile
    deploy = read(".github/workflows/deploy.yml")
    assert re.findall(r"tools\.package --python (\S+)", deploy) == [DEFAULT_PYTHON]


def test_markers_are_those_of_the_target() -> None:
    assert Target("3.11").markers["python_full_version"] == "3.11.0"
    assert Target("3.11").markers["sys_platform"] == "linux"


@pytest.mark.parametrize(
    ("version", "machine", "libc", "found"),
    [
        ((3, 12), "x86_64", ("glibc", "2.36"), Target("3.12")),
        ((3, 11), "x86_64", ("glibc", "2.36"), Target("3.11")),
        ((3, 12), "x86_64", ("glibc", "2.35"), None),
        ((3, 12), "aarch64", ("glibc", "2.36"), None),
        ((3, 12), "x86_64", ("", ""), None),
        ((3, 14), "x86_64", ("glibc", "2.41"), None),
    ],
)
def test_packages_are_loaded_here_only_where_python_and_glibc_match(
    version: tuple[int, int],
    machine: str,
    libc: tuple[str, str],
    found: Target | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tools.target.sys.platform", "linux")
    monkeypatch.setattr("tools.target.running_python", lambda: f"{version[0]}.{version[1]}")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    assert running() == found
