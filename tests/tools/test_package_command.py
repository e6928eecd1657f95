"""`make package` and `make package-smoke` as commands: one sentence on stderr where there is no package."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from inference.settings import PROJECT
from tools import package, package_smoke
from tools.packages import PackagesError
from tools.target import Target


def unavailable(*_: object) -> dict[str, int]:
    raise PackagesError("llguidance==1.9.1 has no wheel.")


def test_a_missing_wheel_ends_both_commands_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(package, "build", unavailable)
    assert package.main([]) == 1
    assert package_smoke.main() == 1
    assert capsys.readouterr() == ("", "llguidance==1.9.1 has no wheel.\n" * 2)


def test_an_unknown_python_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        package.main(["--python", "3.10"])
    assert "3.11" in capsys.readouterr().err


def test_a_package_that_cannot_be_loaded_here_is_built_and_not_served(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[tuple[Target, Path]] = []
    monkeypatch.setattr(package_smoke, "running", lambda: None)
    monkeypatch.setattr(package, "build", lambda *what: built.append(what))
    assert package_smoke.main() == 0
    assert built == [(Target("3.12"), PROJECT / "build" / "package-smoke")]
    assert capsys.readouterr().out == (
        "Packaged for Python 3.12 on x86_64 Linux with glibc 2.36, which this is not: not served.\n"
    )


def test_the_served_app_finds_the_packages_of_its_folder_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/other")
    monkeypatch.setenv("INFERENCE_API_KEYS", "k")
    variables = package_smoke.environment(Path("/app"))
    assert variables["PYTHONPATH"] == str(Path("/app/.python_packages/lib/site-packages"))
    assert not {"PYTHONHOME", "INFERENCE_API_KEYS"} & set(variables)
    assert {"-s", "-S"} < set(package_smoke.PYTHON)


def laid_out(folder: Path) -> Path:
    """Lay out the app with this environment's packages as a package has them."""
    for path in package.app_files(PROJECT):
        if path.parts[0] != "models" or path.parts[1:2] == ("starter-images",):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(PROJECT / path)
    packages = folder / package.PACKAGES
    packages.parent.mkdir(parents=True)
    packages.symlink_to(sysconfig.get_path("purelib"))
    return folder


def test_a_sound_app_is_served_and_passes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    package_smoke.smoke(laid_out(tmp_path))
    assert "checks passed" in capfd.readouterr().out


def test_an_app_that_does_not_start_is_said_to_fail(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(package_smoke.Failed, match="ended before it served"):
        package_smoke.smoke(tmp_path)
    assert "No module named inference" in capfd.readouterr().err
