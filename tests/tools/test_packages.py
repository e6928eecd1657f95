"""The locked packages: those of the target, and a sentence about the one that it cannot have."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tools.package import LOCK
from tools.packages import (
    PackagesError,
    install,
    pip_command,
    refusing,
    requirements,
    sentence,
    write_sbom,
)
from tools.target import Target

LINES = """\
# made by make lock
#    make lock
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:dd
idna==3.20 \\
    --hash=sha256:ee
"""
NO_WHEEL = """\
ERROR: Could not find a version that satisfies the requirement llguidance==1.9.1 (from versions: 0.1, 0.2)
ERROR: No matching distribution found for llguidance==1.9.1
"""


def installed(folder: Path, name: str, python: str | None) -> None:
    """Write the metadata that pip leaves beside an installed package."""
    metadata = folder / f"{name}-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    wanted = f"Requires-Python: {python}\n" if python else ""
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{wanted}", encoding="utf-8")


@pytest.mark.parametrize(
    ("python", "numpy"),
    [
        ("3.11", "numpy==2.4.6 --hash=sha256:aa --hash=sha256:bb"),
        ("3.12", "numpy==2.5.5 --hash=sha256:cc"),
    ],
)
def test_lines_of_the_lock_are_those_that_hold_on_the_target(python: str, numpy: str) -> None:
    assert list(requirements(LINES, Target(python))) == [numpy, "idna==3.20 --hash=sha256:ee"]


def test_every_line_of_the_real_lock_keeps_its_hashes() -> None:
    lines = list(requirements(LOCK.read_text(encoding="utf-8"), Target("3.12")))
    assert len(lines) > 40
    assert all("--hash=sha256:" in line and ";" not in line for line in lines)
    assert not [line for line in lines if line.startswith("colorama")]


def test_pip_installs_wheels_of_the_target_and_nothing_else() -> None:
    command = pip_command(Path("lock"), Target("3.12"), Path("folder"))
    assert command[command.index("--python-version") + 1] == "3.12"
    platforms = [word for flag, word in pairwise(command) if flag == "--platform"]
    assert tuple(platforms) == Target("3.12").tags
    assert "manylinux_2_31_x86_64" in platforms
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert {"--require-hashes", "--no-deps"} < set(command)


def test_a_package_without_a_wheel_is_named_in_one_sentence() -> None:
    assert sentence(NO_WHEEL, Target("3.12")) == (
        "llguidance==1.9.1 has no wheel for Python 3.12 on x86_64 Linux with glibc 2.36: pin another version "
        "of it in requirements.txt and run make lock, or package for another Python with --python."
    )


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("WARNING: old\nERROR: No space left on device\nmore\n", "No space left on device"),
        ("", "it gave no reason"),
    ],
)
def test_another_failure_gives_the_last_reason_of_pip(stderr: str, reason: str) -> None:
    assert sentence(stderr, Target("3.12")) == f"pip could not install the packages: {reason}"


def test_a_failure_of_pip_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", NO_WHEEL)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(PackagesError, match=r"^llguidance==1\.9\.1 has no wheel for Python 3\.11 on"):
        install(LOCK, Target("3.11"), tmp_path)


def test_a_package_that_excludes_the_targets_python_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "open", None)
    installed(tmp_path, "fits", ">=3.11,<3.13")
    assert list(refusing(tmp_path, Target("3.12"))) == []
    assert list(refusing(tmp_path, Target("3.13"))) == ["fits==1.0"]
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", ""))
    with pytest.raises(
        PackagesError, match=r"^fits==1\.0 does not support Python 3\.13 on .* with --python\.$"
    ):
        install(LOCK, Target("3.13"), tmp_path)


def test_sbom_names_the_packages_of_the_target_with_their_hashes(tmp_path: Path) -> None:
    lock, sbom = tmp_path / "requirements.lock", tmp_path / "package.cdx.json"
    digests = LINES
    for letters in ("aa", "bb", "cc", "dd", "ee"):
        digests = digests.replace(f"sha256:{letters}", f"sha256:{letters * 32}")
    lock.write_text(digests, encoding="utf-8")
    write_sbom(lock, Target("3.12"), sbom)
    document = json.loads(sbom.read_text(encoding="utf-8"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "self-hosted-model-inference"
    assert "timestamp" not in document["metadata"], "the same lock gives the same bytes"
    found = {part["purl"]: part["externalReferences"][0]["hashes"] for part in document["components"]}
    assert found == {
        "pkg:pypi/numpy@2.5.5": [{"alg": "SHA-256", "content": "cc" * 32}],
        "pkg:pypi/idna@3.20": [{"alg": "SHA-256", "content": "ee" * 32}],
    }


def test_sbom_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("idna==3.20 --hash=sha256:00\n", encoding="utf-8")
    with pytest.raises(
        PackagesError, match=r"^cyclonedx-bom, of the extra `dev`, could not write none\.json: "
    ):
        write_sbom(lock, Target("3.12"), tmp_path / "no" / "none.json")
