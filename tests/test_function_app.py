"""The Functions app as the host indexes it."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

from inference.settings import PROJECT

HEAVY = ("onnxruntime", "tokenizers", "PIL", "torch", "transformers", "numpy", "jinja2", "onnx", "llguidance")
GET = ["GET", "HEAD", "OPTIONS"]
POST = ["POST", "OPTIONS"]
ROUTES = {
    "info": ("info", GET),
    "models": ("models", GET),
    "chat_completions": ("chat/completions", POST),
    "completions": ("completions", POST),
    "embeddings": ("embeddings", POST),
    "images_embeddings": ("images/embeddings", POST),
    "health": ("health", GET),
    "rerank": ("rerank", ["POST", "OPTIONS"]),
    "classify": ("classify", ["POST", "OPTIONS"]),
    "embed_sparse": ("embed_sparse", ["POST", "OPTIONS"]),
    "elsewhere": ("{*path}", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]),
}
INDEX = """
import json, sys
import function_app
print(json.dumps({
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "bindings": {f.get_function_name(): f.get_raw_bindings() for f in function_app.app.get_functions()},
}))
"""


@pytest.fixture(scope="module")
def indexed() -> dict[str, dict[str, list[str]]]:
    """Return the modules and the bindings of a fresh interpreter that has indexed the app."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INDEX], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return found


def test_indexing_imports_no_heavy_library(indexed: dict[str, dict[str, list[str]]]) -> None:
    assert not set(HEAVY) & set(indexed["modules"])


def test_functions_have_their_routes_and_methods(indexed: dict[str, dict[str, list[str]]]) -> None:
    triggers = {name: json.loads(bindings[0]) for name, bindings in indexed["bindings"].items()}

    assert {name: (trigger["route"], trigger["methods"]) for name, trigger in triggers.items()} == ROUTES
    assert {trigger["type"] for trigger in triggers.values()} == {"httpTrigger"}
    assert {trigger["authLevel"] for trigger in triggers.values()} == {"ANONYMOUS"}


def test_routes_have_no_prefix() -> None:
    host = json.loads((PROJECT / "host.json").read_text())

    assert host["extensions"]["http"]["routePrefix"] == ""


def test_the_sample_settings_enable_indexing_with_the_extension() -> None:
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())

    assert sample["Values"]["PYTHON_ENABLE_INIT_INDEXING"] == "1"
    assert all(isinstance(value, str) for value in sample["Values"].values())


@pytest.mark.parametrize("name", ROUTES)
def test_every_handler_is_async(name: str) -> None:
    import function_app

    builder = getattr(function_app, name)
    assert inspect.iscoroutinefunction(builder._function.get_user_function())
