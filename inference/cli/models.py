"""`python -m inference models ...`: the deployments of this machine."""

from __future__ import annotations

import argparse
import sys

from inference.cli import models_add
from inference.cli.parser import Commands, command, group
from inference.settings import Settings


def add(commands: Commands) -> None:
    models = group(commands, "models", meaning="add, list, check and remove deployments")
    models_add.add(models)
    models_add.add_convert(models)
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


def _list(_: argparse.Namespace) -> int:
    from inference.registry.registry import Registry

    registry = Registry.settled(Settings.from_environment())
    for problem in registry.unlisted:
        print(f"A container of INFERENCE_MODELS is not known: {problem}", file=sys.stderr)
    for deployment in registry.deployments:
        routes = " ".join(sorted("/" + route for route in deployment.card.routes))
        print(f"{deployment.name:<28}{deployment.card.type:<20}{routes}")
    for broken in registry.broken:
        print(f"{broken.name:<28}broken: {broken.reason}")
    return 1 if registry.broken or registry.unlisted else 0


def _show(options: argparse.Namespace) -> int:
    import orjson

    from inference.errors import ApiError
    from inference.pipeline.content_filter import ContentFilter
    from inference.pipeline.info import info_body
    from inference.registry.registry import Registry

    try:
        settings = Settings.from_environment()
        registry = Registry.settled(settings)
        deployment, guard = registry.get(options.name), ContentFilter(settings, registry)
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(orjson.dumps(info_body(deployment, guard.describe), option=orjson.OPT_INDENT_2).decode())
    return 0


def _check(options: argparse.Namespace) -> int:
    import asyncio

    from inference.conformance.check import check
    from inference.errors import ApiError

    try:
        work = check(options.name, Settings.from_environment(), print, measures=not options.no_measure)
        return 0 if asyncio.run(work) else 1
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1


def _remove(options: argparse.Namespace) -> int:
    from inference.importer.deployment_folder import find, folders_of, remove
    from inference.importer.findings import ImporterError

    try:
        folder = find(options.name, folders_of(Settings.from_environment()))
        if not (options.yes or _agreed(f"Delete {folder} and all that is in it? [y/N] ")):
            print("Nothing was removed.", file=sys.stderr)
            return 1
        remove(folder)
    except ImporterError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.name} is removed.")
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
