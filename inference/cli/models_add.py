"""`python -m inference models add`: a model becomes a deployment."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from inference.cli.parser import Commands, command
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.importer.add import AddOptions
    from inference.importer.sources import Source

SOURCES = """\
SOURCE is one of
  FOLDER                                                     files on this machine
  hf:owner/repo[@revision]                                   a repository on the Hugging Face hub
  https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]   files in Azure Blob Storage

Of the hub's files only the graph that fits this machine and what describes it are fetched, into the hub's
own cache (HF_HOME), with its token (HF_TOKEN or `hf auth login`). A run that was cut goes on when repeated.
Large files of a folder or cache become hard links where the file system can, else copies.
Nothing that comes with a model is executed. The deployment appears when it is whole, was opened and answered.

Exit code: 0 added, 1 not, with a sentence that says why."""


def add(models: Commands) -> None:
    added = command(models, "add", meaning="make a deployment of a model's files", more=SOURCES)
    added.add_argument("source", metavar="SOURCE")
    add_options(added)
    added.set_defaults(run=_add)


def add_options(added: argparse.ArgumentParser) -> None:
    """What `models add` and `models convert` both take."""
    added.add_argument("--name", help="what requests call it (default: the source's last part)")
    added.add_argument("--into", type=Path, help="folder of deployments (default: INFERENCE_MODELS' first)")
    added.add_argument(
        "--variant", help="q4, int8, fp16, fp32, or a graph's path (default: by size and processor)"
    )
    added.add_argument(
        "--memory", type=int, metavar="MB", help="the most its files may take (default: half of the memory)"
    )
    added.add_argument("--provider", help="who made the model (default: as the source says)")
    added.add_argument(
        "--pooling", choices=("mean", "cls", "last"), help="of an encoder whose files do not say"
    )
    added.add_argument("--int8", action="store_true", help="write an encoder's fp32 weights anew in 8 bits")
    added.add_argument("--copy", action="store_true", help="copy large files that could be hard links")
    added.add_argument("--no-open", action="store_true", help="do not open it once to see that it serves")


def order_of(source: Source, options: argparse.Namespace, settings: Settings) -> AddOptions:
    """Raises `intake.refusal.IntakeError` for a name that cannot be one."""
    from inference.importer.add import AddOptions
    from inference.importer.plan import PlanOptions
    from inference.importer.sources import name_of
    from inference.importer.variants import memory

    budget = options.memory * 1_000_000 if options.memory else memory() // 2
    return AddOptions(
        name=options.name or name_of(source),
        into=(options.into or _first_folder(settings)).resolve(),
        wishes=PlanOptions(options.variant, budget),
        provider=options.provider,
        pooling=options.pooling,
        copy=options.copy,
        opens=not options.no_open,
        int8=options.int8,
    )


def _first_folder(settings: Settings) -> Path:
    """Raises `intake.refusal.IntakeError` where all deployments come from containers."""
    from inference.importer.deployment_folder import folders_of
    from inference.importer.findings import ImporterError

    if not (folders := folders_of(settings)):
        raise ImporterError("INFERENCE_MODELS names no folder: say --into FOLDER.")
    return folders[0]


def told(sentence: str) -> None:
    print(f"  {sentence}", flush=True)


def _add(options: argparse.Namespace) -> int:
    from inference.importer.add import add
    from inference.importer.findings import ImporterError
    from inference.importer.sources import parse

    settings = Settings.from_environment()
    try:
        source = parse(options.source)
        target = add(source, order_of(source, options, settings), settings, told)
    except ImporterError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{target.name} is added: {target}\nTry it: python -m inference models check {target.name}")
    if target.parent not in settings.models:
        print(f"INFERENCE_MODELS does not name {target.parent} yet: add it there to serve it.")
    return 0


PRECISIONS = ("int4", "int8", "fp32")
MORE = """\
SOURCE is a folder or hf:owner/repo[@revision] with config.json and model.safetensors. Pickles (.bin) are not
opened, and code that comes with a model is not run.

  builder   decoders: Llama, Qwen, Mistral, Phi, Gemma and others; int4 (default), int8, fp32
  optimum   text encoders: BERT's kind; fp32 (default), int8
  torch     text and image encoders, CLIP and SigLIP; fp32 (default), int8

Each runs in an environment of its own, made by venv and pip when first needed and kept in
~/.cache/model-inference/exporters; some GB of disk. pip's own settings hold, such as PIP_INDEX_URL.
Exit code: 0 added, 1 not, with a sentence that says why."""


def add_convert(models: Commands) -> None:
    converted = command(models, "convert", meaning="export a checkpoint to ONNX and add it", more=MORE)
    converted.add_argument("source", metavar="SOURCE")
    converted.add_argument(
        "--exporter", choices=("builder", "optimum", "torch"), help="default: by architecture"
    )
    converted.add_argument("--precision", choices=PRECISIONS, help="default: the exporter's first")
    converted.add_argument("--environments", type=Path, help="where the exporters' environments are kept")
    add_options(converted)
    converted.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> int:
    from inference.importer.export.convert import ConvertOptions, convert
    from inference.importer.findings import ImporterError
    from inference.importer.sources import parse

    settings = Settings.from_environment()
    choice = ConvertOptions(options.exporter, options.precision, options.environments)
    try:
        source = parse(options.source)
        target = convert(source, choice, order_of(source, options, settings), settings, told)
    except ImporterError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{target.name} is added: {target}\nTry it: python -m inference models check {target.name}")
    return 0
