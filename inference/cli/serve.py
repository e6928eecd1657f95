"""`python -m inference serve`: every route on this machine, without Azure."""

from __future__ import annotations

import argparse
import logging
import sys

from inference.cli.parser import Commands, command
from inference.settings import PROJECT, Settings


def add(commands: Commands) -> None:
    serve = command(commands, "serve", meaning="serve every route on this machine, without Azure")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument(
        "--port", type=int, default=7071, help="port to listen on, 0 for any (default %(default)s)"
    )
    serve.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from inference.hosts.local import HostError, is_loopback, listen, prepare, serve

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        prepare(PROJECT, options.host)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    settings = Settings.from_environment()
    if not (settings.has_credentials or settings.anonymous or is_loopback(options.host)):
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
    from inference.hosts.functions import is_made, service

    if is_made():
        service().close()


def _greet(settings: Settings, host: str, port: int) -> None:
    from inference.hosts.functions import service

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
    if settings.has_credentials and not settings.anonymous:
        key = f"one of {len(settings.api_keys)} key(s) from INFERENCE_API_KEYS" if settings.api_keys else ""
        token = f"a token of the Entra tenant {settings.entra_tenant}" if settings.entra_tenant else ""
        return f"Callers need {' or '.join(way for way in (key, token) if way)}."
    reach = (
        "This machine alone can call"
        if host.startswith(("127.", "::1"))
        else "EVERYONE who reaches it can call"
    )
    return f"{'INFERENCE_ANONYMOUS is set' if settings.has_credentials else 'No keys are set'}: {reach}."
