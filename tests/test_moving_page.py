"""The page on moving says what the code does, and its snippets run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from inference.contracts import Route
from inference.settings import PROJECT, Settings
from tests.clients.clients import clients
from tests.clients.snippets import MODEL, PAGE, Snippet, snippets
from tests.http.servers import Server, running

SNIPPETS = snippets()
HERE = [
    one for one in SNIPPETS if one.client in ("azure_ai_inference", "openai") and one.language == "python"
]
"""Those whose packages this environment has; `make clients` runs the others."""
NOT_RUN = {"csharp", "java"}
SECONDS = 120
NO_ROUTE = "this version does not serve responses"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("moving")
    (folder / "models").mkdir()
    (folder / "models" / MODEL).symlink_to(PROJECT / "models" / MODEL)
    with running(folder / "models", folder / "server.log", INFERENCE_RESPONSES="memory") as made:
        yield made


@pytest.mark.parametrize("snippet", HERE, ids=lambda one: one.name)
def test_a_snippet_runs_and_says_what_its_comments_promise(snippet: Snippet, server: Server) -> None:
    if snippet.uses_responses and not hasattr(Route, "RESPONSES"):
        pytest.skip(NO_ROUTE)
    ran = subprocess.run(
        [sys.executable, "-c", snippet.at(server.url)],
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        timeout=SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    for line in snippet.said:
        assert line in ran.stdout


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda one: one.name)
def test_a_snippet_belongs_to_a_client_that_runs_it_or_says_that_none_does(snippet: Snippet) -> None:
    assert (snippet.language in NOT_RUN) is (snippet.client not in clients())
    if snippet.language == "python":
        compile(snippet.code, snippet.name, "exec")


def test_every_package_of_the_three_steps_has_its_snippets() -> None:
    steps = {one.name.rpartition(" ")[0] for one in SNIPPETS}
    assert steps == {
        "Python",
        "JavaScript",
        ".NET",
        "Java",
        "LangChain",
        "LlamaIndex",
        "Semantic Kernel",
        "Agent Framework",
    }
    assert len(HERE) == 4


def test_the_page_says_where_responses_are_kept_as_the_settings_do() -> None:
    page = Path(PAGE).read_text(encoding="utf-8")
    variables = {one.metadata["variable"]: one.default for one in fields(Settings)}
    assert f"`INFERENCE_RESPONSES_DAYS`, {variables['INFERENCE_RESPONSES_DAYS']};" in page
    assert variables["INFERENCE_RESPONSES_MAX_BYTES"] == 1024 * 1024
    for words in ("`INFERENCE_RESPONSES_MAX_BYTES` of one conversation, 1 MiB", "for 30 days unless told"):
        assert words in page
    assert "`INFERENCE_RESPONSES=off`, on Azure `responseDays=0`" in page
