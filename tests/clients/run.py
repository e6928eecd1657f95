"""The clients that people have, each in an environment of its own, against an endpoint of this repository.

    python -m tests.clients.run [NAME...]

A client is a pair of files in `python/`: NAME.txt, all packages at pinned versions, and NAME.py, its cases.
The environments lie under build/clients and are made anew when their pins change.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.settings import PROJECT
from tests.clients.cases import MARK
from tests.clients.deployments import write_deployments
from tests.http.servers import running

HERE = Path(__file__).parent
SCRIPTS = HERE / "python"
ENVIRONMENTS = PROJECT / "build" / "clients"
INSTALL_SECONDS = 420
RUN_SECONDS = 300
KEY = "key-of-the-clients"
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: what a package wants to send or fetch elsewhere fails at once."""

PROXIES = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1,localhost"}
QUIET: Mapping[str, str] = {
    **PROXIES,
    **{name.lower(): value for name, value in PROXIES.items()},
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
    "PF_TRACING_SKIP_LOCAL_SETUP": "true",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case, or of the whole client where `case` is empty."""

    client: str
    case: str
    passed: bool
    remark: str = ""


def names() -> list[str]:
    return sorted(path.stem for path in SCRIPTS.glob("*.txt"))


def prepare(name: str) -> Path:
    """The interpreter of a client's environment. Raises `subprocess.SubprocessError`."""
    pins, folder = SCRIPTS / f"{name}.txt", ENVIRONMENTS / name
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if stamp.is_file() and stamp.read_text() == pins.read_text():
        return python
    venv.create(folder, clear=True, with_pip=True, symlinks=True)
    print(f"Installing {name} ...", file=sys.stderr, flush=True)
    # The pins are complete: nothing to resolve; and most of what they bring is never imported, nor compiled.
    options = ("--quiet", "--no-deps", "--no-compile", "--requirement")
    install: list[str | Path] = ["nice", python, "-m", "pip", "install", *options, pins]
    subprocess.run(install, check=True, timeout=INSTALL_SECONDS, capture_output=True, text=True)
    stamp.write_text(pins.read_text())
    return python


def examine(name: str, endpoint: str) -> list[Outcome]:
    """Every case of a client, and why there are no more where it did not get to its end."""
    try:
        python = prepare(name)
    except subprocess.SubprocessError as error:
        return [Outcome(name, "", passed=False, remark=f"{error}\n{_text(getattr(error, 'stderr', None))}")]
    # -P: beside the scripts, `import litellm` would find the script and not the package.
    command: list[str | Path] = [python, "-P", HERE / "cases.py", SCRIPTS / f"{name}.py", endpoint, KEY]
    try:
        ran = subprocess.run(
            command,
            env={**os.environ, **QUIET},
            cwd=ENVIRONMENTS,
            timeout=RUN_SECONDS,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"{_text(error.stderr)}\nno answer within {RUN_SECONDS} s"
        return [*_outcomes(name, _text(error.stdout)), Outcome(name, "", passed=False, remark=reason)]
    outcomes = _outcomes(name, ran.stdout)
    if ran.returncode:
        outcomes.append(Outcome(name, "", passed=False, remark=ran.stderr))
    return outcomes


def _outcomes(client: str, output: str) -> list[Outcome]:
    lines = [line.removeprefix(MARK) for line in output.split("\n") if line.startswith(MARK)]
    return [Outcome(client, **json.loads(line)) for line in lines]


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a case; of a failure its last line."""
    width = max(len(outcome.client) for outcome in outcomes)
    wide = max(len(outcome.case) for outcome in outcomes)
    return "\n".join(
        f"{outcome.client:{width}}  {outcome.case:{wide}}  {'ok  ' if outcome.passed else 'FAIL'}  "
        f"{(outcome.remark.strip().splitlines() or [''])[-1]}".rstrip()
        for outcome in outcomes
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients.run", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names())}; all when none is given")
    chosen = parser.parse_args(arguments).name or names()
    if strangers := set(chosen) - set(names()):
        parser.error(f"no such client: {', '.join(sorted(strangers))}")
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        models = write_deployments(Path(folder) / "models")
        with running(models, Path(folder) / "server.log", INFERENCE_API_KEYS=KEY) as server:
            for name in chosen:
                started = time.monotonic()
                outcomes += examine(name, server.url)
                print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        print(f"--- {outcome.client} {outcome.case}\n{outcome.remark}", file=sys.stderr)
    print(table(outcomes))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
