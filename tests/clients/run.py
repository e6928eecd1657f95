"""Runs the clients of this API, each in an environment of its own, against an endpoint of this repository.

    python -m tests.clients.run [NAME...]

The outcome is recorded in outcomes.json, from which the table in docs/clients.md is made. A client that
could not be installed keeps its record.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.clients.cases import MARK
from tests.clients.clients import ENVIRONMENTS, Client, clients
from tests.clients.deployments import write_deployments
from tests.clients.environments import prepare, runtime
from tests.clients.outcomes import ClientRecord, Outcome, read_record, write_record
from tests.clients.page import write_page
from tests.http.servers import running

RUN_SECONDS = 300
AT_ONCE = 2
"""Clients that run at a time: most of their time goes into imports."""
INSTALLATION = "installation"
"""Stands for a case where there was none."""
KEY = "key-of-the-clients"
NOWHERE = "http://127.0.0.1:9"
"""A proxy that does not exist: requests to other hosts fail at once."""

PROXIES = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1,localhost"}
QUIET: Mapping[str, str] = {
    **PROXIES,
    **{name.lower(): value for name, value in PROXIES.items()},
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "PF_TRACING_SKIP_LOCAL_SETUP": "true",
    "PYTHONWARNINGS": "ignore",
}


def examine(client: Client, endpoint: str) -> list[Outcome]:
    """Return the outcome of every case of a client, and one without a case if it did not get to its end."""
    started = time.monotonic()
    try:
        command = prepare(client)
    except (subprocess.SubprocessError, FileNotFoundError) as error:
        reason = f"{error}\n{_text(getattr(error, 'stderr', None))}"
        return [Outcome(client.name, INSTALLATION, passed=False, remark=reason)]
    try:
        ran = subprocess.run(
            [*command, endpoint, KEY],
            env={**os.environ, **QUIET},
            cwd=ENVIRONMENTS,
            timeout=RUN_SECONDS,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"{_text(error.stderr)}\nno answer within {RUN_SECONDS} s"
        return [
            *_outcomes(client, _text(error.stdout)),
            Outcome(client.name, "", passed=False, remark=reason),
        ]
    print(f"{client.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    outcomes = _outcomes(client, ran.stdout)
    if ran.returncode:
        outcomes.append(Outcome(client.name, "", passed=False, remark=ran.stderr))
    return outcomes


def _outcomes(client: Client, output: str) -> list[Outcome]:
    lines = [line.removeprefix(MARK) for line in output.split("\n") if line.startswith(MARK)]
    return [Outcome(client.name, **json.loads(line)) for line in lines]


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def record_of(client: Client, outcomes: Sequence[Outcome]) -> ClientRecord:
    """Return the record of a run, in which a case that the run did not get to has failed."""
    failed = {outcome.case: outcome.last_line for outcome in outcomes if outcome.case and not outcome.passed}
    passed = [outcome.case for outcome in outcomes if outcome.passed]
    missing = {case: "not reached" for case in client.cases if case not in failed and case not in passed}
    today = datetime.now(UTC).date().isoformat()
    return ClientRecord(today, runtime(client), client.packages, passed, {**failed, **missing})


def table(outcomes: Sequence[Outcome]) -> str:
    """Return one line a case; of a failure its last line."""
    width = max(len(outcome.client) for outcome in outcomes)
    wide = max(len(outcome.case) for outcome in outcomes)
    return "\n".join(
        f"{outcome.client:{width}}  {outcome.case:{wide}}  {'ok  ' if outcome.passed else 'FAIL'}  "
        f"{outcome.last_line}".rstrip()
        for outcome in outcomes
    )


def run(chosen: Mapping[str, Client]) -> dict[str, list[Outcome]]:
    """Return the outcomes of the cases of each client, against a server of their deployments."""
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        models = write_deployments(Path(folder) / "models")
        log = Path(folder) / "server.log"
        with running(models, log, INFERENCE_API_KEYS=KEY) as server, ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda client: examine(client, server.url), chosen.values())
            return dict(zip(chosen, found, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run clients, record the outcome, make the page's table from it, and return 1 if any case failed."""
    known = clients()
    parser = argparse.ArgumentParser(prog="python -m tests.clients.run", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(known)}; all where none is named")
    names = parser.parse_args(arguments).name or list(known)
    if strangers := set(names) - known.keys():
        parser.error(f"no such client: {', '.join(sorted(strangers))}")
    found = run({name: known[name] for name in names})
    ran = {
        name: record_of(known[name], outcomes)
        for name, outcomes in found.items()
        if outcomes[0].case != INSTALLATION
    }
    kept = {name: record for name, record in read_record().items() if name in known}
    write_record({**kept, **ran})
    write_page()
    outcomes = [outcome for name in names for outcome in found[name]]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        print(f"--- {outcome.client} {outcome.case}\n{outcome.remark}", file=sys.stderr)
    print(table(outcomes))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
