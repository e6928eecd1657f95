"""`models check`: the numbers are measured, the sizes judged, the exit code says it."""

from pathlib import Path

import pytest

from inference.__main__ import main
from inference.conformance.azure_plans import HOST, MIB, PLANS, AzurePlan, Need, fits
from inference.conformance.measure import peak, resident
from tests.support.decoders import write_decoder
from tests.support.encoders import write_image_encoder, write_text_encoder

GIB = AzurePlan("a GiB", 1024 * MIB, 1)


def problem(need: Need) -> str | None:
    return fits(need, [GIB])[0].problem


def test_a_model_fits_with_the_host_and_as_much_cache_as_infra_gives() -> None:
    assert problem(Need(1024 * MIB - HOST)) is None
    assert problem(Need(1024 * MIB - HOST + 1)) == "too little memory"
    # 8 slots of 64 MiB want 512 MiB, of which a quarter of the memory is given: 4 rows
    cached = Need(1024 * MIB - HOST - 256 * MIB, per_token=MIB, context=64, slots=8)
    assert problem(cached) is None
    assert fits(cached, [GIB])[0].memory == 1024 * MIB


def test_a_context_that_no_row_holds_is_told_what_would_fit() -> None:
    assert problem(Need(100 * MIB, per_token=MIB, context=257, slots=1)) is not None
    assert "lower context to 256" in str(problem(Need(100 * MIB, per_token=MIB, context=257, slots=1)))


def test_the_sizes_are_those_of_infra() -> None:
    infra = Path(__file__).parents[2] / "infra" / "main.bicep"
    assert "@allowed([512, 2048, 4096])" in infra.read_text()
    assert [plan.memory // MIB for plan in PLANS[:3]] == [512, 2048, 4096]


@pytest.mark.skipif(resident() is None, reason="no /proc")
def test_memory_is_the_process_s_own() -> None:
    before = peak() or 0
    held = bytearray(64 * MIB)
    held[::4096] = b"x" * len(held[::4096])
    assert (peak() or 0) >= before
    assert (peak() or 0) >= (resident() or 0) - MIB
    assert (resident() or 0) > 64 * MIB


def test_a_check_prints_numbers_sizes_and_proofs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_decoder(tmp_path)
    write_text_encoder(tmp_path)
    write_image_encoder(tmp_path)
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    for name, units in (
        ("tiny-chat", {"s", "tokens/s", "ms"}),
        ("tiny-embeddings", {"s", "texts/s"}),
        ("tiny-images", {"s", "texts/s", "pictures/s"}),
    ):
        assert main(["models", "check", name]) == 0
        lines = capsys.readouterr().out.splitlines()
        rates = lines[: lines.index("")]
        assert {line.split()[-1] for line in rates} >= units
        assert all(float(line.split()[-2].replace(",", "")) >= 0 for line in rates)
        assert [line for line in lines if line.startswith("Flex Consumption 4096 MB")]
        assert lines[-1] == "All that is declared is proved."


def test_a_promise_that_is_not_kept_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_decoder(tmp_path)
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    from inference.conformance import check

    monkeypatch.setitem(check.HERE, "seed", check._unknown)
    assert main(["models", "check", "tiny-chat", "--no-measure"]) == 1
    assert "2 of the declared parameters failed." in capsys.readouterr().out
    (folder / "model.onnx").unlink()
    assert main(["models", "check", "tiny-chat"]) == 1
    assert "is broken" in capsys.readouterr().err
