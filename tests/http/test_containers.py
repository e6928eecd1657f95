"""Deployments in a blob container, seen by clients while they are fetched and afterwards."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.blobs.faulty import Fault, Proxy, StorageRequest, proxy
from tests.blobs.storage import Bucket, Storage
from tests.http.refusals import refusal
from tests.http.servers import PATIENCE, Server, running
from tests.support.decoders import write_decoder
from tests.support.encoders import write_text_encoder

LOOKS = 600
"""So often /health is asked before a state is given up; each look takes some milliseconds."""


@pytest.fixture(scope="module")
def bucket(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """A chat model and an embedding model under a prefix."""
    folder = tmp_path_factory.mktemp("models")
    write_decoder(folder)
    write_text_encoder(folder, name="tiny-embed")
    made = storage.container()
    made.put_folder(folder, "team/")
    return made


@pytest.fixture
def between(storage: Storage) -> Iterator[Proxy]:
    with proxy(storage.url) as made:
        yield made


@contextmanager
def serving(bucket: Bucket, between: Proxy, root: Path, **settings: str) -> Iterator[Server]:
    """A server that reads the container through a proxy; what it fetches lies under `root`."""
    address = f"{bucket.at('team', server=between.url).url}?{bucket.sas()}"
    where = {"INFERENCE_CACHE": str(root / "cache"), **settings}
    with running(address, root / "server.log", **where) as server:
        yield server


def health(server: Server) -> Mapping[str, Any]:
    body: Mapping[str, Any] = server.get("/health").json()
    return body


def until(server: Server, **states: str) -> Mapping[str, Any]:
    """What /health says when the deployments have these states; dashes are written as underscores."""
    wanted = {name.replace("_", "-"): state for name, state in states.items()}
    for _ in range(LOOKS):
        body = health(server)
        if wanted.items() <= body["deployments"].items():
            return body
        assert server.process.poll() is None
        _breathe()
    raise AssertionError(body)


def _breathe() -> None:
    """Gives the processor to whoever is waited for."""
    select.select([], [], [], PATIENCE / LOOKS)


def embed(server: Server, name: str = "tiny-embed") -> Any:
    return server.post("/embeddings", {"model": name, "input": "text"})


def test_a_start_waits_for_nothing_and_requests_are_told_when_to_come_back(
    bucket: Bucket, between: Proxy, tmp_path: Path
) -> None:
    between.gate.clear()
    with serving(bucket, between, tmp_path) as server:
        body = refusal(embed(server), 503, "model_not_ready")
        assert body["message"] == "The deployment tiny-embed is not known yet: the container is being listed."
        assert health(server)["containers"] == ["the container is being listed"]
        between.gate.set()
        found = until(server, tiny_embed="closed", tiny_chat="closed")

        assert found["containers"] == ["listed"]
        assert found["fetching"] == {}
        assert embed(server).status_code == 200
        assert server.chat("tiny-chat", max_tokens=2).status_code == 200
        assert {entry["id"] for entry in server.get("/models").json()["data"]} == {"tiny-chat", "tiny-embed"}
        assert refusal(server.chat("nobody"), 404, "unknown_model")


def test_bytes_are_counted_while_weights_come_and_what_was_asked_for_comes_first(
    bucket: Bucket, between: Proxy, tmp_path: Path
) -> None:
    held = {"tiny-chat/model.onnx", "tiny-embed/model.onnx"}
    order: list[str] = []

    def hold(asked: StorageRequest) -> Fault | None:
        if found := [name for name in held if name in asked.path]:
            order.extend(found)
            between.gate.clear()
        return None

    between.fault = hold
    with serving(bucket, between, tmp_path, INFERENCE_FETCH="request") as server:
        until(server, tiny_embed="closed", tiny_chat="closed")
        assert not order, "nothing is fetched before it is asked for"
        answer = embed(server)
        body = refusal(answer, 503, "model_not_ready")
        assert body["message"].startswith("tiny-embed is still being fetched: 0 of ")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        found = until(server, tiny_embed="fetching", tiny_chat="closed")["fetching"]["tiny-embed"]
        assert 0 <= found["bytes"] < found["total"]

        between.fault = lambda asked: None
        between.gate.set()
        until(server, tiny_embed="closed")
        assert embed(server).status_code == 200
        phases = health(server)["start"]["deployments"]["tiny-embed"]
        assert list(phases) == ["fetch", "import", "open", "first_run"]
        assert phases["fetch"]["at"] < phases["open"]["at"] < phases["first_run"]["at"]


def test_what_was_fetched_serves_the_next_start(bucket: Bucket, between: Proxy, tmp_path: Path) -> None:
    with serving(bucket, between, tmp_path) as server:
        until(server, tiny_embed="closed", tiny_chat="closed")
        first = embed(server).json()["data"]
    fetched = len(between.ranges)
    with serving(bucket, between, tmp_path) as server:
        until(server, tiny_embed="closed", tiny_chat="closed")
        assert embed(server).json()["data"] == first
    assert len(between.ranges) == fetched > 0


def test_a_storage_that_is_away_at_the_start_is_used_when_it_is_back(
    bucket: Bucket, between: Proxy, tmp_path: Path
) -> None:
    between.fault = lambda asked: Fault(status=403)
    with serving(bucket, between, tmp_path) as server:
        for _ in range(LOOKS):
            if "403" in health(server)["containers"][0]:
                break
            _breathe()
        body = refusal(server.chat("tiny-chat"), 503, "model_not_ready")
        assert "the storage answered 403" in body["message"]
        between.fault = lambda asked: None
        until(server, tiny_embed="closed")
        assert embed(server).status_code == 200


def test_nothing_says_the_signature(bucket: Bucket, between: Proxy, tmp_path: Path) -> None:
    between.fault = lambda asked: Fault(cut=3) if ".onnx" in asked.path else None
    with serving(bucket, between, tmp_path) as server:
        until(server, tiny_embed="fetching")
        said = [server.get("/health").text, embed(server).text, server.chat("tiny-chat").text]
    said.append(server.log.read_text())
    assert not [text for text in said if "sig=" in text or ("127.0.0.1" in text and "devstore" in text)]


def test_files_whose_md5_is_wrong_are_given_up_with_the_reason(
    storage: Storage, between: Proxy, tmp_path: Path
) -> None:
    bucket = storage.container()
    bucket.put_folder(write_text_encoder(tmp_path / "made", name="tiny-embed"), "team/tiny-embed/")
    between.fault = lambda asked: Fault(spoil=True) if ".onnx" in asked.path else None
    with serving(bucket, between, tmp_path) as server:
        until(server, tiny_embed="broken")
        body = refusal(embed(server), 424, "deployment_broken")
        assert "the bytes received are not those of its Content-MD5" in body["message"]


def test_a_card_that_cannot_be_is_broken_before_anything_is_fetched(
    storage: Storage, between: Proxy, tmp_path: Path
) -> None:
    bucket = storage.container()
    bucket.put("team/odd/model.json", b"{")
    bucket.put("team/lacking/model.json", json.dumps({"name": "lacking"}).encode())
    with serving(bucket, between, tmp_path) as server:
        until(server, odd="broken", lacking="broken")
        assert "model.json is not JSON" in refusal(server.chat("odd"), 424, "deployment_broken")["message"]


def test_a_file_that_rots_on_the_disk_is_fetched_again(
    bucket: Bucket, between: Proxy, tmp_path: Path
) -> None:
    with serving(bucket, between, tmp_path) as server:
        until(server, tiny_embed="closed", tiny_chat="closed")
        for path in tmp_path.glob("cache/folders/*/model.onnx"):
            was = path.stat()
            path.write_bytes(b"\0" * was.st_size)
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        body = refusal(embed(server), 503, "model_not_ready")
        assert "tiny-embed was damaged on the disk" in body["message"]
        for _ in range(LOOKS):
            if embed(server).status_code == 200:
                break
            _breathe()
        assert embed(server).status_code == 200
