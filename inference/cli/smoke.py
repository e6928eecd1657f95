"""`python -m inference smoke URL`: asks a running endpoint everything."""

from __future__ import annotations

import argparse

from inference.cli.parser import Commands, command
from inference.settings import Settings


def add(commands: Commands) -> None:
    tried = command(commands, "smoke", meaning="ask a running endpoint everything, and what it must refuse")
    tried.add_argument("url", help="where it answers, such as https://NAME.azurewebsites.net")
    tried.add_argument("--key", default="", help="an API key (default: what INFERENCE_API_KEYS has first)")
    tried.add_argument("--token", default="", help="an Entra access token instead of a key")
    tried.add_argument("--patience", type=float, default=240, help="seconds for a cold start (%(default)s)")
    tried.set_defaults(run=_smoke)


def _smoke(options: argparse.Namespace) -> int:
    import httpx

    from inference.conformance.smoke import SmokeTarget, smoke, table

    key = options.key or next(iter(Settings.from_environment().api_keys), "")
    bearer = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    with httpx.Client(base_url=options.url, timeout=options.patience) as client:
        checks = smoke(SmokeTarget(client, bearer or ({"api-key": key} if key else {}), options.patience))
    print(table(checks))
    return 0 if all(check.passed for check in checks) else 1
