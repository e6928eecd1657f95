"""`python -m inference models add` and `models convert`: arguments, their values, and what is printed."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inference.cli.parser import Commands, add_command
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.importer.add import AddOptions
    from inference.importer.sources import Source

ADD_EPILOG = """\
SOURCE is one of
  FOLDER                                                     files on this machine
  FILE.gguf                                                  a model of llama.cpp; of a split one any part
  hf:owner/repo[@revision][:FILE.gguf or :Q4_K_M]            a repository on the Hugging Face hub
  https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]   files in Azure Blob Storage

From the hub, only the ONNX graph that fits this machine and the files that describe it are downloaded, into
the hub's own cache (HF_HOME), with its token (HF_TOKEN or `hf auth login`). An interrupted command resumes
when it is run again. Large files of a folder or cache become hard links where the file system allows it, else
copies. A GGUF file becomes an ONNX graph and a tokenizer.json; --variant chooses one of several by its name
or quantization. No code that comes with a model is run. The deployment appears once it is complete, has been
opened and has answered.

Exit code: 0 if the deployment is added, else 1, with the reason."""

PRECISIONS = ("int4", "int8", "fp32")
CONVERT_EPILOG = """\
SOURCE is a folder, hf:owner/repo[@revision] or a page of a folder on the hub, with config.json and
model.safetensors. Pickles (.bin) are not opened, and no code that comes with a model is run.

  direct    decoders, written here without an exporter: Llama, SmolLM, Mistral, Qwen 2 and 3, Gemma 2 and 3,
            Phi-3, Granite, OLMo 2; int4 (default), int8, fp32
  builder   Gemma, Phi-2, OLMo, Nemotron, gpt-oss and others; int4 (default), int8, fp32
  optimum   encoders of BERT's kind, cross-encoders and classifiers, ViT and DINOv2; fp32 (default), int8;
            GPT-2, GPT-NeoX, OPT, Cohere, StableLM and other decoders; fp32
  torch     text and image encoders, CLIP and SigLIP; fp32 (default), int8

builder, optimum and torch run in environments of their own, which venv and pip make at their first use and
which are kept in ~/.cache/model-inference/exporters; each takes some GB of disk space. pip's own settings
apply, such as PIP_INDEX_URL.
Exit code: 0 if the deployment is added, else 1, with the reason."""


def configure_add(commands: Commands) -> None:
    """Add the command `add`."""
    parser = add_command(commands, "add", "make a deployment from a model's files", ADD_EPILOG)
    parser.add_argument("source", metavar="SOURCE")
    _add_deployment_options(parser)
    parser.set_defaults(run=_add)


def configure_convert(commands: Commands) -> None:
    """Add the command `convert`."""
    parser = add_command(commands, "convert", "export a checkpoint to ONNX and add it", CONVERT_EPILOG)
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument(
        "--exporter", choices=("direct", "builder", "optimum", "torch"), help="default: by architecture"
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="default: the exporter's first")
    parser.add_argument("--environments", type=Path, help="folder of the exporters' environments")
    _add_deployment_options(parser)
    parser.set_defaults(run=_convert)


def _add_deployment_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both commands have."""
    parser.add_argument("--name", help="its name in requests (default: the source's last part)")
    parser.add_argument(
        "--into", type=Path, help="folder of deployments (default: the first of INFERENCE_MODELS)"
    )
    parser.add_argument(
        "--variant", help="q4, int8, fp16, fp32, Q4_K_M, or a file's path (default: by size and processor)"
    )
    parser.add_argument(
        "--memory", type=int, metavar="MB", help="the largest size of its files (default: half of the memory)"
    )
    parser.add_argument("--provider", help="maker of the model (default: from the source)")
    parser.add_argument(
        "--pooling", choices=("mean", "cls", "last"), help="of an encoder whose files do not name it"
    )
    parser.add_argument(
        "--context", type=int, metavar="N", help="the most tokens of a sequence, where no file names it"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="quantize the float weights of an encoder or a GGUF file to 8 bits",
    )
    parser.add_argument("--copy", action="store_true", help="copy large files instead of hard links")
    parser.add_argument("--no-open", action="store_true", help="do not open it to test that it answers")


def _add(options: argparse.Namespace) -> int:
    from inference.importer.add import add
    from inference.importer.gguf.locations import split_file
    from inference.importer.sources import parse

    settings = Settings.from_environment()

    def run() -> Path:
        address, file = split_file(options.source)
        options.variant = file or options.variant
        source = parse(address)
        return add(source, _add_options(source, options, settings), settings, _print_step)

    return _added(run, settings)


def _convert(options: argparse.Namespace) -> int:
    from inference.importer.export.convert import ConvertOptions, convert
    from inference.importer.sources import parse

    settings = Settings.from_environment()
    conversion = ConvertOptions(options.exporter, options.precision, options.environments)

    def run() -> Path:
        source = parse(options.source)
        return convert(source, conversion, _add_options(source, options, settings), settings, _print_step)

    return _added(run, settings)


def _added(run: Callable[[], Path], settings: Settings) -> int:
    """Run an import and print where the deployment is, or the sentence on why there is none."""
    from inference.importer.findings import ImporterError

    try:
        folder = run()
    except ImporterError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001  files of every kind come here, and no user reads a traceback
        print(_defect(error), file=sys.stderr)
        return 1
    _print_added(folder, settings)
    return 0


def _defect(error: Exception) -> str:
    """Return the sentence on an error that no module has foreseen, with the place to report it by."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return (
        f"The model cannot be added, and nothing was: {type(error).__name__}: {error} ({place}). This is a "
        "defect of the importer; please report it with this sentence."
    )


def _add_options(source: Source, options: argparse.Namespace, settings: Settings) -> AddOptions:
    """Return the importer's options.

    Raises `ImporterError` if the source has no last part for a name, or a number is not positive.
    """
    from inference.importer.add import AddOptions
    from inference.importer.findings import ImporterError
    from inference.importer.plan import PlanOptions
    from inference.importer.sources import name_of
    from inference.importer.variants import total_memory

    for name in ("memory", "context"):
        if (number := getattr(options, name)) is not None and number < 1:
            raise ImporterError(f"--{name} is {number}. It must be a whole number above 0.")
    budget = options.memory * 1_000_000 if options.memory else total_memory() // 2
    return AddOptions(
        name=name_of(source) if options.name is None else options.name,
        into=_into(source, options.into, settings),
        plan_options=PlanOptions(options.variant, budget),
        provider=options.provider,
        pooling=options.pooling,
        context=options.context,
        copy=options.copy,
        opens=not options.no_open,
        int8=options.int8,
    )


def _into(source: Source, wanted: Path | None, settings: Settings) -> Path:
    """Return the folder of deployments: the user's, the one that the source is in, or the first.

    Raises `ImporterError` for a path that no folder can have, or if there are containers only.
    """
    from inference.importer.deployment_folder import folders_of
    from inference.importer.findings import ImporterError
    from inference.importer.sources import FolderSource, shown

    try:
        if wanted is None and isinstance(source, FolderSource):
            inside = [folder for folder in folders_of(settings) if folder.resolve() == source.path.parent]
            wanted = inside[0] if inside else None
        into = (wanted or first_folder(settings)).resolve()
        into.is_dir()  # raises for a path that no file system takes
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ImporterError(f"--into {shown(str(wanted))} cannot be used: {reason}.") from None
    return into


def first_folder(settings: Settings) -> Path:
    """Return the first folder of INFERENCE_MODELS. Raises `ImporterError` if there are containers only."""
    from inference.importer.deployment_folder import folders_of
    from inference.importer.findings import ImporterError

    if not (folders := folders_of(settings)):
        raise ImporterError("INFERENCE_MODELS names no folder: choose one with --into FOLDER.")
    return folders[0]


def _print_step(sentence: str) -> None:
    print(f"  {sentence}", flush=True)


def _print_added(folder: Path, settings: Settings) -> None:
    print(f"\n{folder.name} is added: {folder}\nTry it: python -m inference models check {folder.name}")
    if folder.parent not in settings.models:
        print(f"INFERENCE_MODELS does not name {folder.parent} yet: add it there to serve it.")
