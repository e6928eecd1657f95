"""`models check`: the output, and the exit code."""

from pathlib import Path

import pytest

from inference.__main__ import main
from inference.conformance.client import reason_of
from tests.support.decoders import write_decoder
from tests.support.encoders import write_image_encoder, write_text_encoder


def test_check_prints_rates_sizes_and_probes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_decoder(tmp_path)
    write_text_encoder(tmp_path)
    write_image_encoder(tmp_path)
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    for name, units in (
        ("tiny-chat", {"s", "tokens/s", "ms"}),
        ("tiny-embeddings", {"s", "texts/s"}),
        ("tiny-images", {"s", "texts/s", "images/s"}),
    ):
        assert main(["models", "check", name]) == 0
        lines = capsys.readouterr().out.splitlines()
        rates = lines[: lines.index("")]
        assert {line.split()[-1] for line in rates} >= units
        assert all(float(line.split()[-2].replace(",", "")) >= 0 for line in rates)
        assert [line for line in lines if line.startswith("Flex Consumption 4096 MB")]
        assert lines[-1] == "All declared parameters take effect."


def test_a_declared_parameter_without_effect_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_decoder(tmp_path)
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    from inference.conformance import check

    monkeypatch.setitem(check.LOCAL_PROBES, "seed", check._no_probe)
    assert main(["models", "check", "tiny-chat", "--no-measure"]) == 1
    assert "2 of the declared parameters failed." in capsys.readouterr().out
    (folder / "model.onnx").unlink()
    assert main(["models", "check", "tiny-chat"]) == 1
    assert "is broken" in capsys.readouterr().err


def test_the_reason_of_a_refusal_has_its_place_even_where_its_message_has_none() -> None:
    general = "One of the parameters contain invalid values."
    detail = {"target": "messages[0].content", "message": general, "input": "x"}
    assert reason_of({"message": general, "details": [detail]}) == f"{general} (messages[0].content is 'x')"
    detail["message"] = "is too long"
    assert reason_of({"message": general, "details": [detail]}).endswith("(messages[0].content: is too long)")
    named = "messages[0].content: is too long"
    assert reason_of({"message": named, "details": [detail]}) == named
    assert reason_of({"message": named}) == named
