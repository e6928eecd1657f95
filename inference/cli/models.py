"""`python -m inference models ...`: add, convert, list, show, check, default and remove deployments."""

from __future__ import annotations

import argparse
import sys

from inference.cli.model_quality import asks_for_quality, check_quality, configure_quality
from inference.cli.models_add import configure_add, configure_convert, first_folder
from inference.cli.parser import add_command
from inference.settings import Settings


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
    configure_quality(check)
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
    if asks_for_quality(options):
        return check_quality(options)
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
    path = write_defaults(first_folder(settings), dict.fromkeys(deployment.card.routes, deployment.name))
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
