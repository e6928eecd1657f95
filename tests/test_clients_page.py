"""The page on clients says what the cases and the code do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inference.api.http_types import HttpRequest, resolve
from inference.auth.authority import Authenticator
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import PROJECT, Settings
from tests.clients.clients import BROUGHT, KINDS, PIN, PythonClient, clients
from tests.clients.outcomes import read_record
from tests.clients.page import generated_part, page_with

PAGE = (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")


NAMES = tuple(clients())


def test_the_record_has_every_client() -> None:
    assert sorted(read_record()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_client_has_or_lacks_every_kind_of_case(name: str) -> None:
    client = clients()[name]

    assert KINDS.keys() - set(client.cases) == set(client.lacks)


@pytest.mark.parametrize("name", NAMES)
def test_the_record_has_the_cases_and_pins_of_a_client(name: str) -> None:
    client, record = clients()[name], read_record()[name]

    assert {*record.passed, *record.failed} == set(client.cases)
    assert record.packages == client.packages


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("js_")])
def test_the_packages_of_a_client_are_all_pinned(name: str) -> None:
    lines = PythonClient(name).pins.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line != BROUGHT and not PIN.fullmatch(line)] == []


def test_the_table_is_made_from_the_record() -> None:
    assert page_with(generated_part(), PAGE) == PAGE


async def test_the_example_of_a_dry_run_is_its_answer(tmp_path: Path) -> None:
    (tmp_path / "starter-chat").symlink_to(PROJECT / "models" / "starter-chat")
    settings = Settings(models=(tmp_path,))
    service = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    asked, told = example()

    async def read(_: int) -> bytes:
        return asked.encode()

    async def gone() -> bool:
        return False

    path = "chat/completions"
    call = HttpRequest("POST", f"/{path}", resolve(path), {"x-dry-run": "true"}, {}, read, gone)
    answer = await service.answer(call)
    service.close()

    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body) == told


def example() -> tuple[str, Any]:
    """The body that the page sends with `x-dry-run`, and the report that it shows."""
    section = PAGE[PAGE.index("## Dry runs") :]
    sent, shown = re.search(r"-d '(.*?)'", section), re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert sent is not None
    assert shown is not None
    return sent[1], json.loads(shown[1])
