"""Responses that are kept, over HTTP: instances that share a store, and one that is away."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.contracts import Route
from tests.blobs.storage import ACCOUNT, KEY, Storage
from tests.http.servers import Server, end, running
from tests.support.decoders import write_decoder

pytestmark = pytest.mark.skipif(
    not hasattr(Route, "RESPONSES"), reason="this version does not serve responses"
)
PATH = "/openai/v1/responses"
MODEL = "kept"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_decoder(tmp_path / "models", name=MODEL)
    return tmp_path / "models"


def turn(server: Server, text: str = "Hello", **more: Any) -> httpx.Response:
    return server.post(PATH, {"model": MODEL, "input": text, "max_output_tokens": 4, **more})


def test_a_killed_instance_loses_nothing_that_another_continues_fetches_and_deletes(
    models: Path, tmp_path: Path, storage: Storage
) -> None:
    store = {"INFERENCE_RESPONSES": str(storage.container().at("kept")), "INFERENCE_STORAGE_KEY": KEY}
    with running(models, tmp_path / "two.log", **store) as two:
        with running(models, tmp_path / "one.log", **store) as one:
            first = turn(one).json()
            one.process.kill()
            end(one.process)
        second = turn(two, "And now?", previous_response_id=first["id"]).json()
        assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
        assert two.get(f"{PATH}/{first['id']}").json() == first
        assert two.http.delete(f"{PATH}/{first['id']}").status_code == 200
        assert two.get(f"{PATH}/{first['id']}").status_code == 404
        third = turn(two, "And then?", previous_response_id=second["id"])
        assert third.json()["usage"]["input_tokens"] > second["usage"]["input_tokens"]
        gone = turn(two, previous_response_id=first["id"])
        assert (gone.status_code, gone.json()["error"]["code"]) == (400, "previous_response_not_found")


def test_a_store_that_is_away_refuses_before_a_turn_runs_and_only_what_would_be_kept(
    models: Path, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{unused.getsockname()[1]}/{ACCOUNT}/kept"
        store = {"INFERENCE_RESPONSES": place, "INFERENCE_STORAGE_KEY": KEY}
        with running(models, tmp_path / "server.log", **store) as server:
            for streamed in (False, True):
                refused = turn(server, stream=streamed)
                assert refused.status_code == 503
                assert refused.json()["error"]["code"] == "response_store_unavailable"
                assert refused.headers["retry-after"] == "2"
            assert turn(server, store=False).json()["store"] is False
