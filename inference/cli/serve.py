"""`python -m inference serve`: every route on this machine, without Azure."""

from __future__ import annotations

import argparse
import logging
import sys

from inference.settings import PROJECT, Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port", type=int, default=7071, help="port, 0 for any free one (default %(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from inference.hosts.local import HostError, is_loopback, listen, prepare, serve

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        prepare(PROJECT, options.host)
        settings = Settings.from_environment()
        if not (settings.has_credentials or settings.anonymous or is_loopback(options.host)):
            raise HostError(
                f"Refusing to serve {options.host} without keys or tokens: set INFERENCE_API_KEYS=..., or "
                "INFERENCE_ENTRA_TENANT=..., or INFERENCE_ANONYMOUS=true to serve everyone who can reach "
                "this address."
            )
        listener = listen(options.host, options.port)
        _print_greeting(settings, *listener.getsockname()[:2])
        serve(PROJECT, listener, settings, on_stop=_close_service)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _close_service() -> None:
    """Close the models, if a request has made the service."""
    from inference.hosts.functions import has_service, service

    if has_service():
        service().close()


def _print_greeting(settings: Settings, host: str, port: int) -> None:
    """Print the URL, the deployments, a request to try, and the callers that are accepted."""
    from inference.hosts.functions import service

    registry = service().registry
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"\n  {url}\n")
    for deployment in registry.deployments:
        print(f"  {deployment.name:<24}{' '.join(sorted('/' + route for route in deployment.card.routes))}")
    for broken in registry.broken:
        print(f"  {broken.name:<24}broken: {broken.reason}")
    for _ in registry.listing_problems:
        print("  (a container with more deployments is still being listed)")
    print("\n" + _curl(url, settings))
    print("\n  Add a model: python -m inference models add hf:owner/repo:FILE.gguf\n")
    print(f"  Content safety: {service().content_filter.summary}.")
    print(f"  {_callers(settings, host)}\n  Ctrl-C stops.\n", flush=True)


def _curl(url: str, settings: Settings) -> str:
    """Return a curl command for a chat completion, with a variable for the credential."""
    token = ' -H "Authorization: Bearer $TOKEN"' if settings.entra_tenant else ""
    credential = ' -H "api-key: $KEY"' if settings.api_keys else token
    body = '{"messages": [{"role": "user", "content": "Hello! Who are you?"}]}'
    return f"  curl {url}/chat/completions{credential} -H 'Content-Type: application/json' -d '{body}'"


def _callers(settings: Settings, host: str) -> str:
    """Return a sentence about the requests that are accepted."""
    from inference.hosts.local import is_loopback

    if settings.has_credentials and not settings.anonymous:
        key = f"one of {len(settings.api_keys)} key(s) of INFERENCE_API_KEYS" if settings.api_keys else ""
        token = f"a token of the Entra tenant {settings.entra_tenant}" if settings.entra_tenant else ""
        return f"Requests need {' or '.join(credential for credential in (key, token) if credential)}."
    reason = "INFERENCE_ANONYMOUS is set" if settings.anonymous else "No keys are set"
    callers = "only this machine" if is_loopback(host) else "EVERYONE who can reach this address"
    return f"{reason}: {callers} can send requests."
