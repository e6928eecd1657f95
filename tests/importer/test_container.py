"""Models from a blob container, through Azurite: from uploaded files to a served answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.__main__ import main
from inference.importer.container import report_in_steps
from tests.blobs.faulty import Fault, StorageRequest, proxy
from tests.blobs.storage import KEY, Bucket, Storage
from tests.http.servers import running
from tests.importer.models import HERMES, built


@pytest.fixture
def bucket(storage: Storage) -> Bucket:
    return storage.container()


@pytest.fixture
def into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path / "deployments"))
    return tmp_path / "deployments"


def put(bucket: Bucket, folder: Path) -> None:
    """Upload a model, with weights of another framework that are never downloaded."""
    source = built(folder)
    (source / "chat_template.jinja").write_text(HERMES)
    bucket.put_folder(source, "team/tiny/")
    bucket.put("team/tiny/model.safetensors", b"x" * 100_000)
    bucket.put("team/tinyx/model.onnx", b"another one")


def test_a_model_of_a_container_is_added_and_served(
    bucket: Bucket, into: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(bucket, tmp_path / "source")
    signature = bucket.sas()
    assert main(["models", "add", f"{bucket.at('team/tiny').url}?{signature}"]) == 0
    output = capsys.readouterr().out
    assert "lists 6 files" in output
    assert "are downloaded." in output
    assert signature.rpartition("sig=")[2][:20] not in output
    assert not (into / "tiny" / "model.safetensors").exists()
    assert [path.name for path in into.iterdir() if path.is_dir()] == ["tiny"]
    assert f"from {bucket.at('team/tiny').url}" in (into / "tiny" / "model.json").read_text()
    with running(into, tmp_path / "server.log") as server:
        question = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
        answer = server.http.post("/chat/completions", json=question)
    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] > 0


def test_the_storage_key_gives_access_and_an_interrupted_run_is_resumed(
    bucket: Bucket,
    into: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(bucket, tmp_path / "source")
    monkeypatch.setenv("INFERENCE_STORAGE_KEY", KEY)
    monkeypatch.setattr("inference.blobs.client.RETRIES", 0)
    with proxy(bucket.url) as between:
        address = bucket.at("team/tiny", server=between.url).url
        between.fault = cut
        assert main(["models", "add", address, "--no-open"]) == 1
        output = capsys.readouterr().err
        assert "run the same command again to resume" in output
        assert KEY not in output
        assert not (into / "tiny").exists()
        between.fault = lambda asked: None
        assert main(["models", "add", address, "--no-open"]) == 0
    assert (into / "tiny" / "model.json").is_file()


def cut(asked: StorageRequest) -> Fault | None:
    return Fault(cut=10) if ".onnx.data" in asked.path else None


def test_a_container_that_cannot_be_opened_is_reported_without_secrets(
    bucket: Bucket, into: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("team/tiny/model.onnx", b"x")
    assert main(["models", "add", f"{bucket.at('team/tiny').url}?{bucket.sas()}AAAA"]) == 1
    refused = capsys.readouterr().err
    assert "cannot be opened" in refused
    assert "INFERENCE_STORAGE_SAS" in refused
    assert "sig=" not in refused
    assert main(["models", "add", f"{bucket.at('nothing').url}?{bucket.sas()}"]) == 1
    assert "holds no files" in capsys.readouterr().err
    assert not [path for path in into.glob("*") if path.is_dir()]


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_pointer_in_a_container_is_refused_with_the_way_out(
    bucket: Bucket, into: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    put(bucket, tmp_path / "source")
    bucket.put(f"team/tiny/{name}", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert main(["models", "add", f"{bucket.at('team/tiny').url}?{bucket.sas()}"]) == 1
    message = capsys.readouterr().err
    assert f"{name} is a Git LFS pointer" in message
    assert "Run git lfs pull in the clone that they were uploaded from" in message
    assert not (into / "tiny").exists()


def test_progress_is_reported_ten_times_at_most() -> None:
    reports: list[str] = []
    on_progress = report_in_steps(reports.append)
    for done in range(1001):
        on_progress(done * 1000, 1_000_000)
    assert len(reports) == 10
    assert reports[-1] == "1.0 MB of 1.0 MB are downloaded."
