"""`python -m inference models convert`: a checkpoint becomes a deployment."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inference.cli.models_add import add_options, order_of, told
from inference.cli.parser import Commands, command
from inference.settings import Settings

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


def add(models: Commands) -> None:
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
    from inference.importer.refusal import ImporterError
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
