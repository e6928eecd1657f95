"""`python -m inference bench URL`: load from several streams, and a small report."""

from __future__ import annotations

import argparse
import sys

from inference.cli.parser import Commands, command
from inference.settings import LOOPBACK, Settings

MORE = """\
Load costs whoever runs the endpoint: another machine than this one is asked only with --yes.
Exit code: 0, or 1 when a request was refused."""


def add(commands: Commands) -> None:
    bench = command(commands, "bench", meaning="measure an endpoint under load", more=MORE)
    bench.add_argument("url", help="an endpoint, any base path, such as http://127.0.0.1:7071")
    bench.add_argument("--streams", type=_count, default=4, help="requests at once (default %(default)s)")
    bench.add_argument("--requests", type=_count, default=32, help="in all, at most (default %(default)s)")
    bench.add_argument("--seconds", type=float, default=60, help="none begins later (default %(default)s)")
    bench.add_argument("--max-tokens", type=_count, default=64, help="of an answer (default %(default)s)")
    bench.add_argument("--model", help="the deployment, where the endpoint serves several")
    bench.add_argument("--key", default="", help="an API key (default: what INFERENCE_API_KEYS has first)")
    bench.add_argument("--yes", action="store_true", help="put load on another machine than this one")
    bench.set_defaults(run=_bench)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a whole number from 1")
    return number


def _bench(options: argparse.Namespace) -> int:
    import asyncio

    from inference.cli.chunks import Refusal

    try:
        return asyncio.run(_load(options))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1


async def _load(options: argparse.Namespace) -> int:
    """Raises `client.chunks.Refusal` before anything is asked."""
    from inference.cli.chat_client import HttpChatClient
    from inference.cli.chunks import Refusal
    from inference.cli.load import LoadBounds, load
    from inference.cli.report import report

    key = options.key or next(iter(Settings.from_environment().api_keys), "")
    remote = HttpChatClient(options.url, key=key, model=options.model)
    try:
        if remote.host not in LOOPBACK and not options.yes:
            raise Refusal(f"{remote.host} is another machine: say --yes to put load on it.")
        bounds = LoadBounds(options.streams, options.requests, options.seconds, options.max_tokens)
        loaded = await load(remote, bounds)
    finally:
        await remote.close()
    for line in report(loaded):
        print(line)
    return 1 if any(one.refusal for one in loaded.answered) else 0
