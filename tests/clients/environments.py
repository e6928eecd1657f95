"""Environments of the clients, made once and anew when their pins change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.clients.clients import HERE, Client, JsClient, PythonClient

INSTALL_SECONDS = 420


def prepare(client: Client) -> Sequence[str]:
    """Return the command that runs a client's cases, once its packages are installed.

    Raises:
        subprocess.SubprocessError: if they cannot be.
        FileNotFoundError: if the program that installs them is not on this machine.
    """
    stamp, pins = client.environment / "installed", client.pins.read_text(encoding="utf-8")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != pins:
        shutil.rmtree(client.environment, ignore_errors=True)
        print(f"Installing {client.name} ...", file=sys.stderr, flush=True)
        _install_js(client) if isinstance(client, JsClient) else _install_python(client)
        stamp.write_text(pins, encoding="utf-8")
    if isinstance(client, JsClient):
        # Node looks for packages beside the script.
        for source in (client.script, HERE / "js" / "cases.mjs"):
            shutil.copy(
                source, client.environment / ("client.mjs" if source == client.script else "cases.mjs")
            )
        return ("node", str(client.environment / "cases.mjs"))
    # -P: beside the scripts, `import litellm` would find the script and not the package.
    return (str(client.environment / "bin" / "python"), "-P", str(HERE / "cases.py"), str(client.script))


def runtime(client: Client) -> str:
    """Return the language's version that a client runs on."""
    if isinstance(client, PythonClient):
        return f"Python {sys.version.split()[0]}"
    return f"Node {_run(['node', '--version']).strip().removeprefix('v')}"


def _install_python(client: PythonClient) -> None:
    uv = Path(sys.executable).with_name("uv")
    _run([str(uv), "venv", "--quiet", "--python", sys.executable, str(client.environment)])
    # The pins are complete: nothing is left to resolve.
    options = ("--quiet", "--no-deps", "--python", str(client.environment), "--requirement", str(client.pins))
    _run([str(uv), "pip", "install", *options])


def _install_js(client: JsClient) -> None:
    client.environment.mkdir(parents=True)
    for source in (client.pins, client.pins.with_name("package.json")):
        shutil.copy(source, client.environment)
    _run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], client.environment)


def _run(command: Sequence[str], folder: Path | None = None) -> str:
    ran = subprocess.run(
        command, cwd=folder, check=True, timeout=INSTALL_SECONDS, capture_output=True, text=True
    )
    return ran.stdout
