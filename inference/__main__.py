"""The command line: `python -m inference ...`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from inference.settings import PROJECT, InvalidSetting, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 when it did what was asked, 1 with a sentence on stderr when it could not."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference", description="A self-hosted Azure AI Model Inference endpoint."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve every route on this machine, without Azure")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument(
        "--port", type=int, default=7071, help="port to listen on, 0 for any (default %(default)s)"
    )
    serve.set_defaults(run=_serve)
    _add_models(commands)
    _add_smoke(commands)
    _add_emulator(commands)
    documents = commands.add_parser("documents", help="write the documents that the code gives")
    documents.set_defaults(run=_documents)
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_models(commands: Commands) -> None:
    models = commands.add_parser("models", help="look at the deployments").add_subparsers(
        required=True, metavar="COMMAND"
    )
    listed = models.add_parser("list", help="name every deployment, the broken ones with the reason")
    listed.set_defaults(run=_list)
    shown = models.add_parser("show", help="print what a deployment can do, as /info does")
    shown.add_argument("name")
    shown.set_defaults(run=_show)
    checked = models.add_parser("check", help="prove that a deployment does what its card declares")
    checked.add_argument("name")
    checked.set_defaults(run=_check)


def _add_smoke(commands: Commands) -> None:
    tried = commands.add_parser("smoke", help="ask a running endpoint everything, and what it must refuse")
    tried.add_argument("url", help="where it answers, such as https://NAME.azurewebsites.net")
    tried.add_argument("--key", default="", help="an API key (default: what INFERENCE_API_KEYS has first)")
    tried.add_argument("--token", default="", help="an Entra access token instead of a key")
    tried.add_argument("--patience", type=float, default=240, help="seconds for a cold start (%(default)s)")
    tried.set_defaults(run=_smoke)


def _add_emulator(commands: Commands) -> None:
    emulator = commands.add_parser(
        "safety-emulator", help="stand in for Azure AI Content Safety on this machine, by rules in a file"
    )
    emulator.add_argument("--rules", type=Path, help="file of phrases and what they are (none: all is safe)")
    emulator.add_argument("--key", default="", help="the key that requests must carry (default: any)")
    emulator.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    emulator.add_argument(
        "--port", type=int, default=7072, help="port, 0 for any other (default %(default)s)"
    )
    emulator.add_argument("--delay", type=float, default=0, help="seconds before every answer")
    emulator.add_argument("--fault", default="none", help="what goes wrong with every request")
    emulator.add_argument("--retry-after", type=float, default=1, help="seconds that a 429 asks for")
    emulator.set_defaults(run=_emulate)


def _serve(options: argparse.Namespace) -> int:
    from inference.devhost import HostError, is_loopback, listen, prepare, serve

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        prepare(PROJECT, options.host)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    settings = Settings.from_environment()
    if not (settings.locked or settings.anonymous or is_loopback(options.host)):
        print(
            f"Refusing to serve {options.host} without keys or tokens: set INFERENCE_API_KEYS=..., or "
            "INFERENCE_ENTRA_TENANT=..., or INFERENCE_ANONYMOUS=true to answer everyone who can reach this "
            "address.",
            file=sys.stderr,
        )
        return 1
    try:
        listener = listen(options.host, options.port)
        _greet(settings, *listener.getsockname()[:2])
        serve(PROJECT, listener, on_stop=_close)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _close() -> None:
    """Closes the models, if any request made the service open some."""
    from inference.http import is_made, service

    if is_made():
        service().close()


def _greet(settings: Settings, host: str, port: int) -> None:
    from inference.http import service

    registry = service().registry
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"\n  {url}\n")
    for deployment in registry.deployments:
        print(f"  {deployment.name:<24}{' '.join(sorted('/' + route for route in deployment.card.routes))}")
    for broken in registry.broken:
        print(f"  {broken.name:<24}broken: {broken.reason}")
    for _ in registry.unlisted:
        print("  (more in a container, which is being listed)")
    print("\n" + _curl(url, settings) + "\n")
    print(f"  Content safety: {service().guard.summary}.")
    print(f"  {_openness(settings, host)}\n  Ctrl-C stops.\n", flush=True)


def _curl(url: str, settings: Settings) -> str:
    token = ' -H "Authorization: Bearer $TOKEN"' if settings.entra_tenant else ""
    credential = ' -H "api-key: $KEY"' if settings.api_keys else token
    body = '{"messages": [{"role": "user", "content": "Hello! Who are you?"}]}'
    return f"  curl {url}/chat/completions{credential} -H 'Content-Type: application/json' -d '{body}'"


def _openness(settings: Settings, host: str) -> str:
    if settings.locked and not settings.anonymous:
        key = f"one of {len(settings.api_keys)} key(s) from INFERENCE_API_KEYS" if settings.api_keys else ""
        token = f"a token of the Entra tenant {settings.entra_tenant}" if settings.entra_tenant else ""
        return f"Callers need {' or '.join(way for way in (key, token) if way)}."
    reach = (
        "This machine alone can call"
        if host.startswith(("127.", "::1"))
        else "EVERYONE who reaches it can call"
    )
    return f"{'INFERENCE_ANONYMOUS is set' if settings.locked else 'No keys are set'}: {reach}."


def _list(_: argparse.Namespace) -> int:
    from inference.registry import Registry

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
    from inference.guard import Guard
    from inference.info import info_body
    from inference.registry import Registry

    try:
        settings = Settings.from_environment()
        registry = Registry.settled(settings)
        deployment, guard = registry.get(options.name), Guard(settings, registry)
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(orjson.dumps(info_body(deployment, guard.describe), option=orjson.OPT_INDENT_2).decode())
    return 0


def _check(options: argparse.Namespace) -> int:
    import asyncio

    from inference.errors import ApiError
    from inference.proof.run import prove

    async def check() -> bool:
        fine = True
        async for verdict in prove(options.name, Settings.from_environment()):
            fine = fine and verdict.problem is None
            print(f"{verdict.route:<20}{verdict.parameter or '(plain request)':<24}{verdict.problem or 'ok'}")
        return fine

    try:
        return 0 if asyncio.run(check()) else 1
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1


def _smoke(options: argparse.Namespace) -> int:
    import httpx

    from inference.smoke import Endpoint, smoke, table

    key = options.key or next(iter(Settings.from_environment().api_keys), "")
    bearer = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    with httpx.Client(base_url=options.url, timeout=options.patience) as client:
        checks = smoke(Endpoint(client, bearer or ({"api-key": key} if key else {}), options.patience))
    print(table(checks))
    return 0 if all(check.passed for check in checks) else 1


def _emulate(options: argparse.Namespace) -> int:
    from inference.safety.emulator.command import run

    return run(options)


def _documents(_: argparse.Namespace) -> int:
    from inference.documents import write_documents

    for name in write_documents(PROJECT):
        print(f"written: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
