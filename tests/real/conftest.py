"""The deployment of real weights, open once for all tests, or the reason for its absence."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from inference.backends.loaded_models import GenerativeModel
from inference.cards.card import load
from inference.conformance.client import InProcessClient, in_process_service
from inference.contracts import Route
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.golden.make_smollm2 import TARGET
from tools.smollm2.build import FOLDER

Result = TypeVar("Result")
LARGE = 1_000_000
TOOL_TEMPLATE = """\
{%- if tools %}<|im_start|>system
You may call functions: {{ tools | tojson }}
Answer with <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% for call in message.tool_calls or [] %}<tool_call>
{{ {"name": call.function.name, "arguments": call.function.arguments} | tojson }}
</tool_call>{% endfor %}{{ message.content or "" }}<|im_end|>
{% endfor %}<|im_start|>assistant
"""
"""A template with tools in the form of Hermes: that of the file has none."""


@dataclass(frozen=True)
class Served:
    """A service of one deployment, and the loop in which its requests run."""

    service: Service
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    folder: Path
    settings: Settings

    def ask(self, route: Route = Route.CHAT, **body: Any) -> Any:
        """Return the response to a request; a stream is a list of its chunks."""
        return self.run(InProcessClient(self.service, load(self.folder).card, route).request_again(**body))

    async def model(self) -> GenerativeModel:
        registry = self.service.registry
        opened = await registry.open(registry.deployments[0], patience=600)
        assert isinstance(opened, GenerativeModel)
        return opened


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Served]:
    alone = replace(Settings(), models=(folder,), **settings)
    with asyncio.Runner() as runner:
        service = in_process_service(alone, Registry(alone))
        yield Served(service, runner.run, folder, alone)
        runner.run(service.aclose())


@pytest.fixture(scope="session")
def folder() -> Path:
    if not (FOLDER / "model.json").is_file():
        pytest.skip("models/smollm2 is not there: `make models/smollm2` makes it")
    return FOLDER


@pytest.fixture(scope="session")
def smollm2(folder: Path) -> Iterator[Served]:
    with serving(folder) as served:
        yield served


@pytest.fixture(scope="session")
def with_tools(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same weights behind a template that takes tools."""
    copy = tmp_path_factory.mktemp("real") / "smollm2"
    shutil.copytree(folder, copy, copy_function=_link_or_copy)
    (copy / "chat_template.jinja").write_text(TOOL_TEMPLATE, encoding="utf-8")
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    card["files"]["chat_template"] = "chat_template.jinja"
    card["parameters"] |= {"tools": {"dialect": "hermes"}, "tool_choice": {}}
    (copy / "model.json").unlink()
    (copy / "model.json").write_text(json.dumps(card), encoding="utf-8")
    with serving(copy) as served:
        yield served


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).stat().st_size > LARGE:
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """What transformers and llama.cpp say, see tests/golden/make_smollm2.py."""
    if not TARGET.is_file():
        pytest.skip("tests/golden/smollm2.json is not there: tests/golden/make_smollm2.py writes it")
    found: dict[str, Any] = json.loads(TARGET.read_text(encoding="utf-8"))
    return found
