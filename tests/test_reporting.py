"""Libraries report nothing to their makers: no file under the home folder, no host looked up."""

from __future__ import annotations

import importlib.metadata as metadata
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference import REPORTING_SWITCHES
from inference.importer.export.convert import run_process
from inference.settings import PROJECT
from tests.support.encoders import write_text_encoder

REPORTS_FROM = (1, 29)
"""The first onnxruntime that reports on Linux."""
PATIENCE = 60
"""Seconds in which a library that may report looks up its host; onnxruntime 1.32 takes nine."""
DETECTED = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "TRAVIS", "JENKINS_URL", "TEAMCITY_VERSION")
"""Where one of these is set onnxruntime reports nothing by itself, and a test there would prove nothing."""
BUILD = ("CODEBUILD_BUILD_ID", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "BUILD_ID")

OPEN = """
import sys
from pathlib import Path
from inference.backends.session import open_session
from inference.settings import Settings
session = open_session(Path(sys.argv[1]), Settings(threads=1))
print("open", flush=True)
sys.stdin.read()
"""
ENTRIES = (
    "function_app",
    "inference.__main__",
    "training.chat.runtime",
    "training.images.evaluate",
    "benchmarks.chat",
)
LOOKUPS = """
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hint,
                struct addrinfo **found) {
    int pipe = atoi(getenv("LOOKUPS"));
    if (node && (write(pipe, node, strlen(node)) < 0 || write(pipe, "\\n", 1) < 0)) return EAI_SYSTEM;
    return EAI_NONAME;
}
"""
"""Stands before the C library's look-up: writes down each name and finds none; nothing leaves the machine."""

reports_on_linux = pytest.mark.skipif(
    tuple(map(int, metadata.version("onnxruntime").split(".")[:2])) < REPORTS_FROM or sys.platform != "linux",
    reason="only onnxruntime 1.29 and newer report, and only on Linux are they asked here",
)


@dataclass(frozen=True, slots=True)
class Child:
    """A process with a session open, its home folder, and the end of the pipe that names looked-up hosts."""

    process: subprocess.Popen[str]
    home: Path
    lookups: int

    def files(self) -> list[str]:
        """Return the names of all files under the home folder."""
        return sorted(path.name for path in self.home.rglob("*") if path.is_file())

    def looked_up(self, seconds: float) -> str:
        """Return the hosts that were looked up; waits for the first as long as `seconds`."""
        ready, _, _ = select.select([self.lookups], [], [], seconds)
        return os.read(self.lookups, 4096).decode() if ready else ""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_encoder(tmp_path_factory.mktemp("models")) / "model.onnx"


def fresh(home: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a user who has just come and set nothing."""
    home.mkdir(parents=True)
    foreign = (*REPORTING_SWITCHES, *DETECTED, *BUILD)
    kept = {name: value for name, value in os.environ.items() if name not in foreign and name[:4] != "XDG_"}
    return {**kept, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **variables}


@contextmanager
def child(code: str, model: Path, home: Path, shim: Path | None = None, **variables: str) -> Iterator[Child]:
    """A process that runs `code` and `OPEN`, from when its session is open until the block ends."""
    read, write = os.pipe()
    loaded = {"LD_PRELOAD": str(shim), "LOOKUPS": str(write)} if shim else {}
    process = subprocess.Popen(
        [sys.executable, "-c", code + OPEN, str(model)],
        cwd=PROJECT,
        env=fresh(home, **loaded, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(write,),
    )
    os.close(write)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield Child(process, home, read)
        assert process.stdin is not None
        process.stdin.close()
    os.close(read)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that writes down look-ups, compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("look-ups of native code are only seen where there is a C compiler (cc)")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "lookups.c").write_text(LOOKUPS)
    library = folder / "lookups.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "lookups.c"], check=True)
    return library


@pytest.mark.parametrize("package", ["inference", "training", "tools", "benchmarks", "tests", "function_app"])
def test_every_package_switches_reports_off(package: str, tmp_path: Path) -> None:
    names = f"import os, {package}; print(*map(os.environ.get, {REPORTING_SWITCHES!r}))"
    command = [sys.executable, "-c", names]
    environment = fresh(tmp_path / "home", ORT_DISABLE_TELEMETRY="")
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1 1\n"


def test_an_operator_may_allow_reports(tmp_path: Path) -> None:
    names = f"import os, inference; print(*map(os.environ.get, {REPORTING_SWITCHES!r}))"
    environment = fresh(tmp_path / "home", ORT_DISABLE_TELEMETRY="0", HF_HUB_DISABLE_TELEMETRY="false")
    command = [sys.executable, "-c", names]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0 false\n"


def test_exporters_inherit_the_switches(tmp_path: Path) -> None:
    ended = run_process(
        [sys.executable, "-c", "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"], tmp_path, {}
    )
    assert ended.tail == os.environ["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_open_session_leaves_no_file_at_home(entry: str, model: Path, tmp_path: Path) -> None:
    with child(f"import {entry}", model, tmp_path / "home") as opened:
        assert opened.files() == []
    assert opened.files() == []


def test_preparing_a_graph_leaves_no_file_at_home(model: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "inference.backends.prepared_graphs",
        str(model),
        str(tmp_path / "made.onnx"),
    ]
    environment = fresh(tmp_path / "home")
    subprocess.run([*command, "CPUExecutionProvider"], cwd=PROJECT, env=environment, check=True)
    assert (tmp_path / "made.onnx").is_file()
    assert list((tmp_path / "home").rglob("*")) == []


@reports_on_linux
def test_a_session_that_may_report_leaves_a_file(model: Path, tmp_path: Path) -> None:
    """The tests above would see a report: this is one."""
    with child("", model, tmp_path / "home", ORT_DISABLE_TELEMETRY="0", SSL_CERT_FILE="/none") as opened:
        assert "deviceid" in opened.files()


@reports_on_linux
def test_an_open_session_looks_up_no_host(model: Path, shim: Path, tmp_path: Path) -> None:
    """Watched until a session beside it, opened later and allowed to report, has looked up its host."""
    with (
        child("", model, tmp_path / "silent", shim) as silent,
        child("", model, tmp_path / "allowed", shim, ORT_DISABLE_TELEMETRY="0") as allowed,
    ):
        host = allowed.looked_up(PATIENCE)
        assert silent.looked_up(0) == ""
    assert silent.files() == []
    if not host:
        pytest.skip("onnxruntime looked up nothing here even where it may, as it does without a CA bundle")
    assert host.splitlines()[0].endswith(".microsoft.com")
