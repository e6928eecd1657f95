"""`python -m inference smoke`: a test of a running endpoint."""

from __future__ import annotations

import argparse

from inference.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = "Exit code: 0 if every check passed, else 1."
    parser.add_argument("url", help="the endpoint, such as https://NAME.azurewebsites.net")
    parser.add_argument("--key", default="", help="an API key (default: the first of INFERENCE_API_KEYS)")
    parser.add_argument("--token", default="", help="an Entra access token instead of a key")
    parser.add_argument("--patience", type=float, default=240, help="seconds for a cold start (%(default)s)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import httpx

    from inference.conformance.smoke import SmokeTarget, smoke, table

    key = options.key or next(iter(Settings.from_environment().api_keys), "")
    bearer = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    with httpx.Client(base_url=options.url, timeout=options.patience) as client:
        checks = smoke(SmokeTarget(client, bearer or ({"api-key": key} if key else {}), options.patience))
    print(table(checks))
    return 0 if all(check.passed for check in checks) else 1
