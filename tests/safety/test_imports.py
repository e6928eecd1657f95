"""Modules that a process loads for the content filter: none of Azure's, unless Azure is a moderator."""

from __future__ import annotations

import re
from pathlib import Path

from tests.http.servers import running
from tests.safety.emulating import KEY, emulator, server_of
from tests.support.decoders import write_decoder

IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)
"""A line that an interpreter writes for every module when PYTHONPROFILEIMPORTTIME is set."""
SDK = re.compile(r"azure\.(ai|core|identity)\b|inference\.safety\.azure")
"""The SDK's packages and our modules on them; `azure.functions` is the host's."""


def azure_modules(folder: Path, **settings: str) -> set[str]:
    """Serve one chat request with these settings, and return the modules of Azure that are loaded."""
    write_decoder(folder / "models", name="tiny")
    log = folder / "server.log"
    with running(folder / "models", log, PYTHONPROFILEIMPORTTIME="1", **settings) as server:
        assert server.chat("tiny", max_tokens=2).status_code == 200
    imported = set(IMPORTED.findall(log.read_text()))
    assert "inference.service" in imported
    return {name for name in imported if SDK.match(name)}


def test_without_a_content_filter_no_module_of_azure_is_loaded(tmp_path: Path) -> None:
    assert azure_modules(tmp_path) == set()


def test_with_local_blocklists_alone_no_module_of_azure_is_loaded(tmp_path: Path) -> None:
    blocklist = tmp_path / "ours.txt"
    blocklist.write_text("forbidden words\n", encoding="utf-8")
    assert azure_modules(tmp_path, INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES=str(blocklist)) == set()


def test_with_azure_content_safety_its_modules_are_loaded(tmp_path: Path) -> None:
    with emulator(server_of()) as azure:
        settings = {"INFERENCE_CONTENT_SAFETY_ENDPOINT": azure.url, "INFERENCE_CONTENT_SAFETY_KEY": KEY}
        loaded = azure_modules(tmp_path, **settings)
    assert {"azure.ai.contentsafety", "azure.core", "inference.safety.azure"} <= loaded
