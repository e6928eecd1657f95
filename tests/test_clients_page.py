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
from tests.clients.run import SCRIPTS, names

PAGE = (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")
PIN = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)


def rows() -> dict[tuple[str, str], int]:
    """How many cases the table tells of, by the client's first package and its version."""
    found = re.findall(r"^\| (`[^|]*) \| ([^|]*) \| (\d+) \|", PAGE, re.MULTILINE)
    return {
        (packages.split("`")[1], versions.split(",")[0].strip()): int(count)
        for packages, versions, count in found
    }


@pytest.mark.parametrize("name", names())
def test_the_table_tells_the_versions_and_how_many_cases(name: str) -> None:
    (package, version), *_ = PIN.findall((SCRIPTS / f"{name}.txt").read_text(encoding="utf-8"))
    cases = re.findall(r"^(?:async )?def case_", (SCRIPTS / f"{name}.py").read_text("utf-8"), re.MULTILINE)

    assert rows()[package, version] == len(cases)


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
