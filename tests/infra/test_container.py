"""The image: how its Dockerfile is written, what it copies, and the versions it installs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from inference.settings import PROJECT
from tests.infra.bicep import INFRA, named
from tools.target import Target

DOCKERFILE = INFRA / "aca" / "Dockerfile"
LOCKS = (INFRA / "requirements.lock", INFRA / "aca" / "requirements-cuda.lock")


def instructions() -> list[tuple[str, str]]:
    """(word, the rest) of every instruction, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def of(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def test_bases_are_pinned_and_can_be_given_by_digest() -> None:
    arguments = dict(argument.split("=", 1) for argument in of("ARG"))
    for base in of("FROM"):
        name = re.fullmatch(r"\$\{(\w+)\}(?: AS \w+)?", base)
        assert name is not None, base
        image, tag = arguments[name[1]].rsplit(":", 1)
        assert image
        assert tag != "latest"
        assert "3.12" in tag


def test_the_user_is_not_root_and_owns_no_code() -> None:
    assert int(of("USER")[-1]) > 1000
    assert not [copied for copied in of("COPY") if "--chown" in copied]
    last_copy = max(index for index, (word, _) in enumerate(instructions()) if word == "COPY")
    assert ("USER", of("USER")[-1]) in instructions()[last_copy:]


def test_one_port_for_the_image_the_host_and_the_template() -> None:
    port = of("EXPOSE")[-1]
    assert int(port) > 1024
    assert f"ASPNETCORE_URLS=http://+:{port}" in of("ENV")[-1]
    assert named("aca/app.bicep", "var")["port"].value == int(port)
    app = named("aca/app.bicep", "resource")["app"]
    assert app.get("properties.configuration.ingress.targetPort") == "port"


def test_packages_are_installed_by_hash_and_leave_no_cache() -> None:
    installs = [run for run in of("RUN") if "pip install" in run]
    assert installs
    for run in installs:
        for option in ("--require-hashes", "--no-cache-dir", "--only-binary :all:"):
            assert option in run
    assert not of("ADD")
    assert not [run for run in of("RUN") if re.search(r"\b(sudo|curl|wget|apt|apt-get)\b", run)]


def test_streaming_is_switched_on_and_packages_are_found() -> None:
    environment = dict(pair.split("=", 1) for pair in of("ENV")[-1].split())
    assert environment["PYTHON_ENABLE_INIT_INDEXING"] == "1"
    root = environment["AzureWebJobsScriptRoot"]
    assert of("WORKDIR")[-1] == root
    assert environment["PYTHONPATH"] == f"{root}/.python_packages/lib/site-packages"


def test_what_is_copied_is_let_into_the_context() -> None:
    allowed = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in allowed
    for copied in of("COPY"):
        if copied.startswith("--from"):
            continue
        for source in copied.split()[:-1]:
            source = source.replace("${LOCK}", "infra/requirements.lock")
            assert f"!{source}" in allowed
            assert (PROJECT / source).exists()
    for lock in LOCKS:
        assert f"!{lock.relative_to(PROJECT)}" in allowed


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_lock_satisfies_what_the_app_asks_for(lock: Path) -> None:
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text("utf-8"), re.MULTILINE):
        pins.setdefault(name, []).append(version)
    for line in (PROJECT / "requirements.txt").read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        asked = Requirement(line)
        if "cuda" in lock.name and asked.marker and not asked.marker.evaluate(Target("3.12").markers):
            continue
        name = asked.name.lower().replace("_", "-")
        if name == "onnxruntime" and "cuda" in lock.name:
            name = "onnxruntime-gpu"
        assert name in pins, f"{name} is not in {lock.name}: make lock"
        assert any(asked.specifier.contains(version) for version in pins[name]), f"{name}: make lock"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_line_of_the_lock_has_its_hashes(lock: Path) -> None:
    blocks = re.split(r"^(?=[\w.-]+==)", lock.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert len(blocks) > 30
    assert all("--hash=sha256:" in block for block in blocks)
    assert "onnxruntime==" not in LOCKS[1].read_text("utf-8"), "one onnxruntime an image"


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", str(DOCKERFILE)], check=True)
