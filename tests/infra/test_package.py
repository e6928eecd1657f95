"""What is deployed: which files, how large, and that it fits the plan."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from inference.settings import PROJECT
from tools import package

IGNORED = (PROJECT / ".funcignore").read_text(encoding="utf-8").splitlines()
LINES = [line for line in IGNORED if line and not line.startswith("#")]
DEPLOYED = {"LICENSE", "function_app.py", "host.json", "inference", "models", "requirements.txt"}


def closure() -> Iterator[metadata.Distribution]:
    """The installed packages that the app needs, directly or not."""
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    waiting = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    seen: set[str] = set()
    while waiting:
        asked = waiting.pop()
        name = asked.name.lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        found = metadata.distribution(name)
        yield found
        wanted = (Requirement(line) for line in found.requires or ())
        extras = asked.extras or {""}
        waiting += [r for r in wanted if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)]


def test_only_what_serves_is_deployed() -> None:
    files = list(package.app_files())
    assert {path.parts[0] for path in files} <= DEPLOYED
    assert Path("models/starter-chat/model.json") in files
    assert Path("inference/backends/session.py") in files
    assert not [path for path in files if "__pycache__" in path.parts]


def test_core_tools_and_azd_read_the_same() -> None:
    """The first reads beginnings of paths, the second what git would; an anchored name is both."""
    special = ["/.*", "!/.python_packages", "**/__pycache__"]
    plain = [line for line in LINES if line not in special]
    assert all(re.fullmatch(r"(/[\w.-]+)+", line) for line in plain)
    for name in DEPLOYED:
        assert not [line for line in plain if name.startswith(line[1:])], "a beginning of something deployed"


def test_secrets_and_environments_stay_here() -> None:
    ignored = package.Ignored.read("\n".join(IGNORED))
    folders = (".venv", ".git", ".azure", "tests", "infra", "tools", "training")
    for name in ("local.settings.json", ".env", *folders):
        assert not ignored.accepts(Path(name)), name
    assert ignored.accepts(Path(".python_packages/lib/site-packages/numpy/tests/a.py"))


@pytest.mark.parametrize(
    ("line", "path", "ignored"),
    [
        ("/tests", "tests/a.py", True),
        ("/tests", "inference/tests/a.py", False),
        ("**/__pycache__", "a/b/__pycache__/c.pyc", True),
        ("**/__pycache__", "__pycache__/c.pyc", False),
        ("/.venv*", ".venv/bin/python", False),
        ("/*.md", "README.md", True),
        ("/*.md", "models/README.md", False),
        ("/.*\n!/.kept", ".kept/a", False),
        ("/.*\n!/.kept", ".other/a", True),
    ],
)
def test_lines_are_read_as_core_tools_reads_them(line: str, path: str, ignored: bool) -> None:
    assert package.Ignored.read(f"# a comment\n\n{line}\n").accepts(Path(path)) is not ignored


def test_the_package_fits_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """Unpacked and with the starter models, measured on the packages that the tests run on."""
    sizes = package.measure(PROJECT, package.app_files())
    packages = sum(
        file.stat().st_size
        for found in closure()
        for file in (Path(str(found.locate_file(entry))) for entry in found.files or ())
        if file.is_file() and file.suffix != ".pyc"
    )
    sizes["packages"] = packages
    sys.stdout.write(package.report(sizes))
    assert 100e6 < packages < 300e6
    assert package.room(sizes) > 250e6, "less than 250 MB is left for models"
    assert "packages" in capsys.readouterr().out


def test_copying_leaves_nothing_of_the_last_time(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    for name in ("app.py", "tests/t.py", "models/m/model.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / ".funcignore").write_text("/tests\n/.funcignore\n")
    (out / "old").mkdir(parents=True)
    package.copy_app(root, out)
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == ["app.py", "models/m/model.json"]
    assert package.measure(out, [Path("app.py"), Path("models/m/model.json")]) == {"app": 6, "models/m": 19}


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    package.zip_folder(tmp_path / "in", tmp_path / "one.zip")
    (tmp_path / "in" / "a.txt").touch()
    package.zip_folder(tmp_path / "in", tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == ["a.txt"]


@pytest.mark.parametrize(("limit", "code"), [(800_000_000, 0), (100_000_000, 1)])
def test_the_command_refuses_what_does_not_fit(
    limit: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(package, "PROJECT", tmp_path)
    monkeypatch.setattr(package, "OUT", tmp_path / "build" / "package")
    monkeypatch.setattr(package, "DISK_BYTES", limit)
    (tmp_path / ".funcignore").write_text("/build\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    assert package.main([]) == code
    assert (tmp_path / "build" / "package.zip").is_file() is (code == 0)
    assert ("does not fit" in capsys.readouterr().err) is (code == 1)
