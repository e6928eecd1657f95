"""`models convert`: a checkpoint is exported, then added.

Its graph is written directly where the importer knows the architecture; the public exporters run in
environments of their own.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inference.importer.add import AddOptions, add_files, downloads_folder, files_of_source, reserved
from inference.importer.deployment_folder import locked, place_files
from inference.importer.export.checkpoint import WEIGHTS, checkpoint_below, checkpoint_files, choose_exporter
from inference.importer.export.direct import DIRECT, PRECISIONS, export_directly
from inference.importer.export.exporters import EXPORTERS, Exporter
from inference.importer.export.supported import generates
from inference.importer.findings import ImporterError, Report, reported
from inference.importer.model_folder import read_object
from inference.importer.sources import FolderFiles, HubSource, Source, SourceFiles, shown
from inference.importer.subfolder import within
from inference.settings import Settings

TAIL_LINES = 20
"""Lines of a process's output that are kept, to be shown when it fails."""
WRITES_INT8 = (DIRECT, "builder")
"""Exporters that write int8 by themselves; after the others it is the importer's, which is for encoders."""
COMPLETE = "ready"
"""Name of the file that marks a complete environment; without it the environment is made again."""


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """Exit code of a process, and the last lines of its output and errors."""

    code: int
    tail: str


Run = Callable[[Sequence[str], Path, Mapping[str, str]], ProcessResult]
"""Runs a command line in a folder, with variables added to those of this process."""


def run_process(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> ProcessResult:
    """Run a process to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    # Packages of this environment must not be found by the Python of another.
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")
    }
    process = subprocess.run(  # noqa: S603  our own command lines, no shell
        list(command),
        cwd=folder,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return ProcessResult(process.returncode, "\n".join(process.stdout.splitlines()[-TAIL_LINES:]))


def environments() -> Path:
    """Return the default folder of all environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-inference" / "exporters"


def python_of(exporter: Exporter, root: Path, run: Run, report: Report) -> str:
    """Return the Python of an exporter's environment under `root`, which is made where it is missing.

    Raises `ImporterError` where it cannot be made.
    """
    requirements = "\n".join(exporter.requirements)
    digest = hashlib.sha256(f"{sys.version}\n{requirements}".encode()).hexdigest()[:12]
    folder = root / f"{exporter.name}-{digest}"
    with locked(root, folder.name):
        if not (folder / COMPLETE).is_file():
            report(f"The environment of {exporter.name} is made once, in {folder}: some hundred MB.")
            _make(folder, exporter, run)
    return _python(folder)


def _make(folder: Path, exporter: Exporter, run: Run) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pip = [_python(folder), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    steps = ([sys.executable, "-m", "venv", str(folder)], [*pip, *exporter.requirements])
    for step in steps:
        result = run(step, folder.parent, {})
        if result.code:
            raise ImporterError(
                f"The environment of {exporter.name} cannot be made. It uses pip's own settings, such as "
                f"PIP_INDEX_URL and PIP_EXTRA_INDEX_URL. The last lines of the output:\n{result.tail}"
            )
    (folder / COMPLETE).write_text("\n".join(exporter.requirements) + "\n", encoding="utf-8")


def _python(folder: Path) -> str:
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return str(folder.joinpath(*parts))


OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Environment variables of an exporter: its checkpoint is complete, it has nothing to download."""
CARRIED = (
    "README.md",
    "config.json",
    "generation_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)
"""Descriptions that exporters do not copy."""


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """Options of an export; None is the exporter of the architecture, its first precision, the cache folder.

    `run` runs the processes.
    """

    exporter: str | None = None
    precision: str | None = None
    environments: Path | None = None
    run: Run = run_process


def convert(
    source: Source, choice: ConvertOptions, options: AddOptions, settings: Settings, report: Report
) -> Path:
    """Export and import a checkpoint, and return the deployment's folder.

    Raises `ImporterError`; then nothing was added.
    """
    downloads, work = downloads_folder(options), options.into / f".{options.name}.converting"
    with reserved(options, settings):
        shutil.rmtree(work, ignore_errors=True)
        try:
            files = files_of_source(source, downloads, settings, report)
            if isinstance(source, HubSource) and not source.path.endswith(".onnx"):
                files = within(files, source.path, whole=True)
            export = _choose_export(choice, files, work, report)
            export.run(choice, report)
            if export.needs_int8:
                options = replace(options, int8=True)
            target = add_files(export.exported_files(files), options, settings, report)
            shutil.rmtree(downloads, ignore_errors=True)
            return target
        except OSError as error:
            raise ImporterError(f"{error.filename or work}: {error.strerror}. Nothing was added.") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Export:
    """One export in a work folder that has the checkpoint; without an exporter the graph is written here."""

    exporter: Exporter | None
    precision: str
    work: Path

    @property
    def needs_int8(self) -> bool:
        """True where the exporter writes float32 and the importer quantizes afterwards."""
        return self.precision == "int8" and self.name not in WRITES_INT8

    @property
    def name(self) -> str:
        return self.exporter.name if self.exporter else DIRECT

    def run(self, choice: ConvertOptions, report: Report) -> None:
        """Export the checkpoint. Raises `ImporterError` where it fails."""
        if self.exporter is None:
            export_directly(self.work / "checkpoint", self.work / "onnx", self.precision, report)
        else:
            self._run_exporter(self.exporter, choice, report)
        _carry_descriptions(self.work / "checkpoint", self.work / "onnx")

    def _run_exporter(self, exporter: Exporter, choice: ConvertOptions, report: Report) -> None:
        """Run an exporter. Raises `ImporterError` with the end of its output where it fails."""
        python = python_of(exporter, choice.environments or environments(), choice.run, report)
        name, target = exporter.name, self.work / "onnx"
        report(f"{name} exports to {self.precision}; this takes some seconds for each 100 MB.")
        command = exporter.command(python, self.work / "checkpoint", target, self.precision)
        result = choice.run(command, self.work, OFFLINE)
        if result.code or not any(target.glob("*.onnx")):
            raise ImporterError(
                f"{name} could not export the model (exit code {result.code}). The last lines of its "
                f"output:\n{result.tail}"
            )

    def exported_files(self, files: SourceFiles) -> FolderFiles:
        """Return the exported files, with provider and licence of the source."""
        origin = f"{files.origin}, converted" + (f" by {self.name}" if self.exporter else "")
        exported = FolderFiles.of(self.work / "onnx", origin)
        return replace(exported, provider=files.provider, license=files.license)


def _choose_export(choice: ConvertOptions, files: SourceFiles, work: Path, report: Report) -> _Export:
    """Fetch the checkpoint into the work folder and choose its exporter."""
    checkpoint = work / "checkpoint"
    _require_checkpoint(files)
    fetched = files.fetch(list(checkpoint_files(files.listing)))
    reported(place_files(fetched, checkpoint, copy=False), report)
    name, config = choice.exporter, read_object(checkpoint / "config.json")
    if name is None:
        name = reported(choose_exporter(config, files.listing), report)
    exporter = EXPORTERS.get(name)
    decoder = generates(config, files.listing)
    return _Export(exporter, _precision(choice, exporter, decoder=decoder), work)


def _require_checkpoint(files: SourceFiles) -> None:
    """Raise `ImporterError` where the checkpoint is in a folder below, which has an address of its own."""
    at_root = any(WEIGHTS.fullmatch(path) for path in files.listing)
    if not at_root and (below := checkpoint_below(files.listing)):
        raise ImporterError(
            f"There is no model.safetensors to convert in {shown(files.address)} itself, but in "
            f"{shown(below)}: convert {shlex.quote(files.below(below))}."
        )


def _precision(choice: ConvertOptions, exporter: Exporter | None, *, decoder: bool) -> str:
    """Return the precision to export to. Raises `ImporterError` for one that does not exist."""
    name, offered = (exporter.name, exporter.precisions) if exporter else (DIRECT, PRECISIONS)
    if decoder and name not in WRITES_INT8:
        name, offered = f"{name} (for decoders)", ("fp32",)
    if choice.precision is None:
        return offered[0]
    if choice.precision not in offered:
        raise ImporterError(f"{name} exports to {', '.join(offered)}, not to {choice.precision}.")
    return choice.precision


def _carry_descriptions(checkpoint: Path, target: Path) -> None:
    """Copy the descriptions that the exporter left out, and the folders of sentence-transformers modules."""
    for path in checkpoint.rglob("*"):
        name = path.relative_to(checkpoint)
        if path.is_file() and (name.name in CARRIED or len(name.parts) > 1) and not (target / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)
