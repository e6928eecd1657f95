"""schemathesis over our own OpenAPI document, against a real server process on small models.

    python -m tests.fuzz.run [EXAMPLES]

Thousands of requests that fit the document and that do not: no answer may be a 5xx, and every body, refusals
included, must fit the schema that the document gives it. The tool has an environment of its own, build/fuzz.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from inference.settings import PROJECT
from tests.conformance.test_probes import ALL_GENERATION
from tests.http.servers import running
from tests.support.decoders import write_decoder
from tests.support.encoders import write_image_encoder, write_text_encoder

ENVIRONMENT = PROJECT / "build" / "fuzz"
TOOL = "schemathesis>=4.32,<5"
EXAMPLES = 60
"""Random requests for each operation; with the tool's own systematic ones some 4,000 in all."""
PATHS = "^/(chat/completions|completions|embeddings|images/embeddings|info|models|health|openai/v1/.*)$"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def prepare() -> Path:
    """The tool's command, installed when it is missing."""
    command = ENVIRONMENT / "bin" / "schemathesis"
    if not command.is_file():
        venv.create(ENVIRONMENT, clear=True, with_pip=True, symlinks=True)
        python = ENVIRONMENT / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", TOOL], check=True)
    return command


def write_models(root: Path) -> None:
    write_decoder(root, card=ALL_GENERATION)
    write_text_encoder(root)
    write_image_encoder(root)


def main(arguments: Sequence[str]) -> int:
    """The tool's own exit code: 0 when every answer was as the document says."""
    examples = arguments[0] if arguments else str(EXAMPLES)
    command = prepare()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_models(root)
        with running(root, root / "server.log", INFERENCE_MAX_TOKENS="8") as server:
            options = ["--include-path-regex", PATHS, "--checks", CHECKS, "--max-examples", examples]
            phases = ["--phases", "examples,coverage,fuzzing", "--request-timeout", "60"]
            document = f"{server.url}/openapi.json"
            return subprocess.run([command, "run", document, *options, *phases], cwd=folder).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
