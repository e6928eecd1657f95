"""`models check --quality`: the windows, the numbers, and the command."""

import json
import math
from pathlib import Path

import pytest

from inference.__main__ import main
from inference.conformance.quality import (
    NoQuality,
    TextScores,
    agreement,
    quality_table,
    read_text,
    recorded_scores,
    windows_of,
)
from inference.settings import PROJECT
from tests.importer.export.test_direct import checkpoint
from tests.support.decoders import write_decoder
from tests.support.encoders import write_text_encoder

SCORES = TextScores(((1, 2, 3),), (math.log(0.5), math.log(0.125)), (2, 9))


def test_windows_begin_with_the_first_token_and_cover_the_text() -> None:
    assert windows_of([1, 2, 3, 4, 5], [9], 3) == ((9, 1, 2), (9, 3, 4), (9, 5))
    assert windows_of([1, 2, 3, 4, 5], [], 2) == ((1, 2), (3, 4))


def test_perplexity_is_the_mean_branching() -> None:
    assert SCORES.perplexity == pytest.approx(4.0)
    assert SCORES.bits_per_byte == pytest.approx(4 / len(read_text().encode()))


def test_agreement_counts_tokens_and_differences() -> None:
    other = TextScores(SCORES.windows, (math.log(0.5), math.log(0.25)), (2, 3))
    found = agreement(SCORES, other)
    assert found is not None
    assert found.perplexity_change == pytest.approx(math.sqrt(2) - 1)
    assert found.same_best == 0.5
    assert found.mean_difference == pytest.approx(math.log(2) / 2)
    assert found.worst_difference == pytest.approx(math.log(2))


def test_a_reference_with_other_tokens_is_compared_by_bytes_alone() -> None:
    other = TextScores(((1, 2),), (-1.0,), (2,))
    assert agreement(SCORES, other) is None
    lines = list(quality_table("one", SCORES, other))
    assert lines[-1] == "The reference cuts the text into other tokens: only bits per byte can be compared."


@pytest.mark.parametrize("content", ["[]", "{}", '{"windows": 1, "logprobs": [], "best": []}', "no json"])
def test_a_file_without_scores_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scores.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NoQuality, match="has no scores of a text"):
        recorded_scores(path)


def test_a_file_with_scores_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({**SCORES.json, "best": [1]}), encoding="utf-8")
    with pytest.raises(NoQuality, match="has 2 scores for 2 tokens: record it again"):
        recorded_scores(path)


def test_the_starter_agrees_with_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starter, record = PROJECT / "models" / "starter-chat", tmp_path / "scores.json"
    monkeypatch.setenv("INFERENCE_MODELS", str(starter))
    assert main(["models", "check", "starter-chat", "--quality", "--record", str(record)]) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0].split() == ["perplexity", "bits", "per", "byte", "tokens"]
    assert first[1].startswith("starter-chat ")
    assert len(first) == 2
    assert main(["models", "check", "starter-chat", "--json", "--reference", str(record)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["perplexity"] == pytest.approx(found["reference_perplexity"], rel=1e-5)
    assert found["same_best"] == 1.0
    assert found["worst_difference"] < 1e-4
    assert found["tokens"] == found["reference_tokens"] > 1000


def test_a_deployment_is_compared_with_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_decoder(tmp_path)
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    assert main(["models", "check", folder.name, "--quality", "--reference", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line][1:3] == [folder.name, "reference"]
    assert lines[-3].split()[-1] == "100.0%"
    assert lines[-1].split()[-1] == "0.0000"


def test_a_deployment_is_compared_with_its_checkpoint_in_float(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, folder = checkpoint(tmp_path / "checkpoint"), write_decoder(tmp_path / "models")
    monkeypatch.setenv("INFERENCE_MODELS", str(folder))
    assert main(["models", "check", folder.name, "--json", "--reference", f"hf:{source}"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["same_best"] > 0.99
    assert found["worst_difference"] < 1e-3
    assert "The graph is written in fp32" in printed.err
    assert main(["models", "check", folder.name, "--reference", "gguf"]) == 1
    assert "--reference gguf does not say where the file is" in capsys.readouterr().err


def test_what_cannot_be_measured_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text_encoder(tmp_path)
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    assert main(["models", "check", "tiny-embeddings", "--quality"]) == 1
    assert "tiny-embeddings does not generate text" in capsys.readouterr().err
    assert main(["models", "check", "nothing", "--quality"]) == 1
    assert "nothing" in capsys.readouterr().err
    decoder = write_decoder(tmp_path)
    assert main(["models", "check", decoder.name, "--reference", str(tmp_path)]) == 1
    assert "is not a deployment: it has no model.json" in capsys.readouterr().err
