"""`python -m inference models ...`: add, convert, list, show, check, default and remove deployments."""

from __future__ import annotations

import argparse
import sys
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
  hf:owner/repo[@revision]                                   a repository on the Hugging Face hub
  https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]   files in Azure Blob Storage

From the hub, only the ONNX graph that fits this machine and the files that describe it are downloaded, into
the hub's own cache (HF_HOME), with its token (HF_TOKEN or `hf auth login`). An interrupted command resumes
when it is run again. Large files of a folder or cache become hard links where the file system allows it, else
copies. No code that comes with a model is run. The deployment appears once it is complete, has been opened
and has answered.

Exit code: 0 if the deployment is added, else 1, with the reason."""

PRECISIONS = ("int4", "int8", "fp32")
CONVERT_EPILOG = """\
SOURCE is a folder or hf:owner/repo[@revision] with config.json and model.safetensors. Pickles (.bin) are not
opened, and no code that comes with a model is run.

  builder   decoders: Llama, Qwen, Mistral, Phi, Gemma and others; int4 (default), int8, fp32
  optimum   text encoders of BERT's kind; fp32 (default), int8
  torch     text and image encoders, CLIP and SigLIP; fp32 (default), int8

Each exporter runs in an environment of its own, which venv and pip make at its first use and which is kept in
~/.cache/model-inference/exporters; it takes some GB of disk space. pip's own settings apply, such as
PIP_INDEX_URL.
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
        "--exporter", choices=("builder", "optimum", "torch"), help="default: by architecture"
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
        "--variant", help="q4, int8, fp16, fp32, or a graph's path (default: by size and processor)"
    )
    parser.add_argument(
        "--memory", type=int, metavar="MB", help="the largest size of its files (default: half of the memory)"
    )
    parser.add_argument("--provider", help="maker of the model (default: from the source)")
    parser.add_argument(
        "--pooling", choices=("mean", "cls", "last"), help="of an encoder whose files do not name it"
    )
    parser.add_argument("--int8", action="store_true", help="quantize an encoder's fp32 weights to 8 bits")
    parser.add_argument("--copy", action="store_true", help="copy large files instead of hard links")
    parser.add_argument("--no-open", action="store_true", help="do not open it to test that it answers")


def _add(options: argparse.Namespace) -> int:
    from inference.importer.add import add
    from inference.importer.findings import ImporterError
    from inference.importer.sources import parse

    settings = Settings.from_environment()
    try:
        source = parse(options.source)
        folder = add(source, _add_options(source, options, settings), settings, _print_step)
    except ImporterError as error:
        print(error, file=sys.stderr)
        return 1
    _print_added(folder, settings)
    return 0


def _convert(options: argparse.Namespace) -> int:
    from inference.importer.export.convert import ConvertOptions, convert
    from inference.importer.findings import ImporterError
    from inference.importer.sources import parse

    settings = Settings.from_environment()
    conversion = ConvertOptions(options.exporter, options.precision, options.environments)
    try:
        source = parse(options.source)
        folder = convert(source, conversion, _add_options(source, options, settings), settings, _print_step)
    except ImporterError as error:
        print(error, file=sys.stderr)
        return 1
    _print_added(folder, settings)
    return 0


def _add_options(source: Source, options: argparse.Namespace, settings: Settings) -> AddOptions:
    """Return the importer's options. Raises `ImporterError` if the source has no last part for a name."""
    from inference.importer.add import AddOptions
    from inference.importer.plan import PlanOptions
    from inference.importer.sources import name_of
    from inference.importer.variants import total_memory

    budget = options.memory * 1_000_000 if options.memory else total_memory() // 2
    return AddOptions(
        name=options.name or name_of(source),
        into=(options.into or _first_folder(settings)).resolve(),
        plan_options=PlanOptions(options.variant, budget),
        provider=options.provider,
        pooling=options.pooling,
        copy=options.copy,
        opens=not options.no_open,
        int8=options.int8,
    )


def _first_folder(settings: Settings) -> Path:
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


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own commands."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    configure_add(commands)
    configure_convert(commands)
    listing = add_command(commands, "list", "list every deployment, broken ones with the reason")
    listing.set_defaults(run=_list)
    show = add_command(commands, "show", "print the capabilities of a deployment, as /info does")
    show.add_argument("name")
    show.set_defaults(run=_show)
    check = add_command(commands, "check", "test all that a deployment's card declares, and measure it")
    check.add_argument("name")
    check.add_argument("--no-measure", action="store_true", help="test only")
    check.set_defaults(run=_check)
    default = add_command(commands, "default", "choose the deployment for requests without a model name")
    default.add_argument("name", nargs="?", help="its name; without it, every route's default is printed")
    default.set_defaults(run=_default)
    remove = add_command(commands, "remove", "delete a deployment's folder")
    remove.add_argument("name")
    remove.add_argument("--yes", action="store_true", help="delete without asking")
    remove.set_defaults(run=_remove)


def _list(_: argparse.Namespace) -> int:
    from inference.registry.registry import Registry

    registry = Registry.after_listing(Settings.from_environment())
    for problem in registry.listing_problems:
        print(f"A container of INFERENCE_MODELS cannot be listed: {problem}", file=sys.stderr)
    for deployment in registry.deployments:
        routes = " ".join(sorted("/" + route for route in deployment.card.routes))
        print(f"{deployment.name:<28}{deployment.card.type:<20}{routes}")
    for broken in registry.broken:
        print(f"{broken.name:<28}broken: {broken.reason}")
    return 1 if registry.broken or registry.listing_problems else 0


def _show(options: argparse.Namespace) -> int:
    import orjson

    from inference.errors import ApiError
    from inference.pipeline.content_filter import ContentFilter
    from inference.pipeline.info import info_body
    from inference.registry.registry import Registry

    settings = Settings.from_environment()
    try:
        registry = Registry.after_listing(settings)
        (deployment, _), content_filter = registry.find(options.name), ContentFilter(settings, registry)
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    body = info_body(deployment, content_filter.describe, registry.aliases(deployment))
    print(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
    return 0


def _check(options: argparse.Namespace) -> int:
    import asyncio

    from inference.conformance.check import check
    from inference.errors import ApiError

    settings = Settings.from_environment()
    try:
        passed = asyncio.run(check(options.name, settings, print, measures=not options.no_measure))
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0 if passed else 1


def _default(options: argparse.Namespace) -> int:
    from inference.api.routes import ROUTES
    from inference.errors import ApiError
    from inference.importer.findings import ImporterError
    from inference.registry.registry import Registry

    settings = Settings.from_environment()
    try:
        if options.name:
            _choose_default(options.name, settings)
        registry = Registry.after_listing(settings)
        for route, row in ROUTES.items():
            if row.tasks:
                found = registry.default(route)
                print(f"/{route:<20}{found.name if found else 'refused without a model name'}")
    except (ApiError, ImporterError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _choose_default(name: str, settings: Settings) -> None:
    """Write a deployment as the default of its routes into the first folder, whose file goes before all."""
    from inference.registry.names import write_defaults
    from inference.registry.registry import Registry

    deployment = Registry.after_listing(settings).get(name)
    path = write_defaults(_first_folder(settings), dict.fromkeys(deployment.card.routes, deployment.name))
    print(f"Written: {path}")
    if settings.defaults:
        print("INFERENCE_DEFAULT_DEPLOYMENTS is set and goes before it.")


def _remove(options: argparse.Namespace) -> int:
    from inference.importer.deployment_folder import find, folders_of, remove
    from inference.importer.findings import ImporterError

    try:
        folder = find(options.name, folders_of(Settings.from_environment()))
        if not (options.yes or _confirmed(f"Delete {folder} and all files in it? [y/N] ")):
            print("Nothing was removed.", file=sys.stderr)
            return 1
        remove(folder)
    except ImporterError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.name} is removed.")
    return 0


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
