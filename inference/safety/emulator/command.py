"""`python -m inference safety-emulator`: listens until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from inference.safety.blocklist import read_blocklist
from inference.safety.emulator.faults import Fault
from inference.safety.emulator.server import EmulatorServer
from inference.safety.emulator.service import EmulatedService


def run(options: argparse.Namespace) -> int:
    """Serves until SIGINT; 1 with a sentence on stderr when the rules or the fault cannot be read."""
    try:
        phrases = read_blocklist(options.rules) if options.rules else []
        fault = Fault(options.fault)
    except ValueError as error:
        sys.stderr.write(f"{error}; faults are {', '.join(Fault)}\n")
        return 1
    server = EmulatorServer(EmulatedService(phrases, options.key), fault, options.delay, options.retry_after)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, options.host, options.port))
    return 0


async def _serve(server: EmulatorServer, host: str, port: int) -> None:
    listening = await server.serve(host, port)
    url = f"http://{host}:{listening.sockets[0].getsockname()[1]}"
    sys.stdout.write(
        f"\n  {url}\n\n  {len(server.service.phrases)} rules. In the endpoint's settings:\n"
        f"  INFERENCE_CONTENT_SAFETY_ENDPOINT={url}\n"
        f"  INFERENCE_CONTENT_SAFETY_KEY={server.service.key or 'any'}\n  Ctrl-C stops.\n"
    )
    sys.stdout.flush()
    await listening.serve_forever()
