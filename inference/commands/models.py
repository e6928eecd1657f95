"""`python -m inference models ...`: the deployments of this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inference.commands import convert
from inference.commands.group import Commands, command, group
from inference.settings import Settings

SOURCES = """\
SOURCE is one of
  FOLDER                                                     files on this machine
  hf:owner/repo[@revision]                                   a repository on the Hugging Face hub
  https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]   files in Azure Blob Storage

Of the hub's files only the graph that fits this machine and what describes it are fetched, into the hub's
own cache (HF_HOME), with its token (HF_TOKEN or `hf auth login`). A run that was cut goes on when repeated.
Nothing that comes with a model is executed. The deployment appears when it is whole, opened and answered
once.

Exit code: 0 added, 1 not, with a sentence that says why."""


def add(commands: Commands) -> None:
    models = group(commands, "models", meaning="add, list, check and remove deployments")
    _add_adding(models)
    listed = command(models, "list", meaning="name every deployment, the broken ones with the reason")
    listed.set_defaults(run=_list)
    shown = command(models, "show", meaning="print what a deployment can do, as /info does")
    shown.add_argument("name")
    shown.set_defaults(run=_show)
    checked = command(models, "check", meaning="prove what a deployment's card declares, and measure it")
    checked.add_argument("name")
    checked.add_argument("--no-measure", action="store_true", help="prove only")
    checked.set_defaults(run=_check)
    removed = command(models, "remove", meaning="delete a deployment's folder")
    removed.add_argument("name")
    removed.add_argument("--yes", action="store_true", help="do not ask")
    removed.set_defaults(run=_remove)
    convert.add(models)


def _add_adding(models: Commands) -> None:
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
        "--memory",
        type=int,
        metavar="MB",
        help="the most its files may take (default: half of this machine's)",
    )
    added.add_argument("--provider", help="who made the model (default: as the source says)")
    added.add_argument(
        "--pooling", choices=("mean", "cls", "last"), help="of an encoder whose files do not say"
    )
    added.add_argument("--int8", action="store_true", help="write an encoder's fp32 weights anew in 8 bits")
    added.add_argument("--copy", action="store_true", help="copy large files that could be hard links")
    added.add_argument("--no-open", action="store_true", help="do not open it once to see that it serves")


def _add(options: argparse.Namespace) -> int:
    from inference.intake.refusal import IntakeError
    from inference.intake.source import parse

    try:
        return add_source(parse(options.source), options)
    except IntakeError as error:
        print(error, file=sys.stderr)
        return 1


def add_source(source: object, options: argparse.Namespace) -> int:
    """Raises `IntakeError`."""
    from inference.intake.adding import Order, add
    from inference.intake.cpu import memory
    from inference.intake.plan import Wishes
    from inference.intake.source import BlobPrefix, Folder, HubRepository, name_of

    assert isinstance(source, Folder | HubRepository | BlobPrefix)
    settings = Settings.from_environment()
    budget = options.memory * 1_000_000 if options.memory else memory() // 2
    order = Order(
        name=options.name or name_of(source),
        into=(options.into or settings.models[0]).resolve(),
        wishes=Wishes(options.variant, budget),
        provider=options.provider,
        pooling=options.pooling,
        copy=options.copy,
        opens=not options.no_open,
        int8=options.int8,
    )
    target = add(source, order, settings, lambda sentence: print(f"  {sentence}", flush=True))
    print(f"\n{order.name} is added: {target}\nTry it: python -m inference models check {order.name}")
    if target.parent not in settings.models:
        print(f"INFERENCE_MODELS does not name {target.parent} yet: add it there to serve it.")
    return 0


def _list(_: argparse.Namespace) -> int:
    from inference.registry import Registry

    registry = Registry(Settings.from_environment())
    for deployment in registry.deployments:
        routes = " ".join(sorted("/" + route for route in deployment.card.routes))
        print(f"{deployment.name:<28}{deployment.card.type:<20}{routes}")
    for broken in registry.broken:
        print(f"{broken.name:<28}broken: {broken.reason}")
    return 1 if registry.broken else 0


def _show(options: argparse.Namespace) -> int:
    import orjson

    from inference.errors import ApiError
    from inference.guard import Guard
    from inference.info import info_body
    from inference.registry import Registry

    try:
        settings = Settings.from_environment()
        registry = Registry(settings)
        deployment, guard = registry.get(options.name), Guard(settings, registry)
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(orjson.dumps(info_body(deployment, guard.describe), option=orjson.OPT_INDENT_2).decode())
    return 0


def _check(options: argparse.Namespace) -> int:
    import asyncio

    from inference.errors import ApiError
    from inference.proof.check import check

    try:
        work = check(options.name, Settings.from_environment(), print, measures=not options.no_measure)
        return 0 if asyncio.run(work) else 1
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1


def _remove(options: argparse.Namespace) -> int:
    from inference.intake.refusal import IntakeError
    from inference.intake.removal import find, remove

    try:
        folder = find(options.name, Settings.from_environment().models)
        if not (options.yes or _agreed(f"Delete {folder} and all that is in it? [y/N] ")):
            print("Nothing was removed.", file=sys.stderr)
            return 1
        remove(folder)
    except IntakeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.name} is removed.")
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
