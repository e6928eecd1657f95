"""Which graph of several is taken, by size, processor and memory."""

from pathlib import Path

import pytest

from inference.importer.cpu import Cpu
from inference.importer.plan import Wishes, plan
from inference.importer.refusal import IntakeError
from inference.importer.stock import Listed
from inference.importer.variants import choose, precision_of, variants

MB = 1_000_000
VNNI = Cpu(frozenset({"avx2", "avx512", "vnni"}), True)
OLD = Cpu(frozenset({"avx2"}), False)

COMMUNITY = {
    "onnx/model.onnx": Listed(1 * MB),
    "onnx/model.onnx_data": Listed(2000 * MB),
    "onnx/model_fp16.onnx": Listed(990 * MB),
    "onnx/model_q4.onnx": Listed(780 * MB),
    "onnx/model_q4f16.onnx": Listed(480 * MB),
    "onnx/model_quantized.onnx": Listed(500 * MB),
    "generation_config.json": Listed(1),
    "config.json": Listed(1),
    "tokenizer.json": Listed(1),
}
SENTENCES = {
    "onnx/model.onnx": Listed(470 * MB),
    "onnx/model_O4.onnx": Listed(235 * MB),
    "onnx/model_qint8_arm64.onnx": Listed(118 * MB),
    "onnx/model_qint8_avx512_vnni.onnx": Listed(118 * MB),
    "onnx/model_quint8_avx2.onnx": Listed(118 * MB),
}
MICROSOFT = {
    "cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx": Listed(1 * MB),
    "cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx.data": Listed(2600 * MB),
    "cpu_and_mobile/cpu-int4-rtn-block-32/genai_config.json": Listed(1),
    "cpu_and_mobile/cpu-int4-rtn-block-32/tokenizer.json": Listed(1),
    "cuda/cuda-fp16/model.onnx": Listed(7000 * MB),
    "cuda/cuda-fp16/genai_config.json": Listed(1),
    "config.json": Listed(1),
    "modeling_phi3.py": Listed(1),
    "pytorch_model.bin": Listed(1),
}


@pytest.mark.parametrize(
    ("path", "precision"),
    [
        ("model.onnx", "fp32"),
        ("onnx/decoder_model_merged_q4f16.onnx", "q4f16"),
        ("onnx/model_bnb4.onnx", "bnb4"),
        ("onnx/model_uint8.onnx", "int8"),
        ("cpu-int4-awq-block-128/model.onnx", "q4"),
        ("onnx/model_O4.onnx", "fp16"),
        ("onnx/model_O2.onnx", "fp32"),
    ],
)
def test_names_tell_the_precision(path: str, precision: str) -> None:
    assert precision_of(path) == precision


def chosen(listing: dict[str, Listed], cpu: Cpu, *, budget: int = 1 << 60, wanted: str | None = None) -> str:
    generates = "generation_config.json" in listing
    return choose(variants(listing), generates=generates, wanted=wanted, cpu=cpu, budget=budget).value.path


def test_a_decoder_takes_the_fewest_bits() -> None:
    assert chosen(COMMUNITY, VNNI) == "onnx/model_q4.onnx"
    assert chosen(COMMUNITY, VNNI, budget=600 * MB) == "onnx/model_quantized.onnx"
    small = {**COMMUNITY, "onnx/model.onnx_data": Listed(30 * MB)}
    assert chosen(small, VNNI) == "onnx/model.onnx"


def test_an_encoder_takes_what_its_processor_is_good_at() -> None:
    assert chosen(SENTENCES, VNNI) == "onnx/model_qint8_avx512_vnni.onnx"
    assert chosen(SENTENCES, OLD) == "onnx/model.onnx"
    assert chosen(SENTENCES, OLD, budget=200 * MB) == "onnx/model_quint8_avx2.onnx"
    assert chosen(SENTENCES, Cpu(frozenset({"arm64"}), True)) == "onnx/model_qint8_arm64.onnx"
    assert chosen({**SENTENCES, "onnx/model.onnx": Listed(90 * MB)}, VNNI) == "onnx/model.onnx"


def test_what_is_wanted_is_taken_or_refused_with_what_there_is() -> None:
    assert chosen(COMMUNITY, VNNI, wanted="fp16") == "onnx/model_fp16.onnx"
    assert chosen(COMMUNITY, VNNI, wanted="onnx/model_q4f16.onnx") == "onnx/model_q4f16.onnx"
    with pytest.raises(IntakeError, match=r"no variant q2. There are: .*model_q4.onnx \(q4, 780 MB\)"):
        chosen(COMMUNITY, VNNI, wanted="q2")


def test_what_does_not_fit_is_refused_with_sizes() -> None:
    with pytest.raises(IntakeError, match=r"They may take 1.0 MB here .* --memory MB"):
        chosen(COMMUNITY, VNNI, budget=MB)


def test_the_data_counts_and_comes_along() -> None:
    whole = next(one for one in variants(COMMUNITY) if one.path == "onnx/model.onnx")
    assert (whole.size, whole.data) == (2001 * MB, ("onnx/model.onnx_data",))


def test_a_plan_is_flat_and_takes_nothing_that_could_be_executed() -> None:
    said: list[str] = []
    made = plan(MICROSOFT, Wishes(), VNNI, said.append, source="hf:microsoft/phi")
    folder = "cpu_and_mobile/cpu-int4-rtn-block-32"
    assert made.files == {
        "config.json": "config.json",
        f"{folder}/genai_config.json": "genai_config.json",
        f"{folder}/tokenizer.json": "tokenizer.json",
        f"{folder}/model.onnx": "model.onnx",
        f"{folder}/model.onnx.data": "model.onnx.data",
    }


def test_the_towers_of_a_dual_encoder_are_chosen_each() -> None:
    listing = {
        f"onnx/{name}.onnx": Listed(10 * MB)
        for name in ("model", "text_model", "vision_model", "vision_model_q4")
    }
    made = plan(listing, Wishes(), VNNI, lambda _: None, source="hf:acme/clip")
    assert {role: one.path for role, one in made.graphs.items()} == {
        "model": "onnx/vision_model.onnx",
        "text_model": "onnx/text_model.onnx",
    }


def test_an_encoder_decoder_is_refused_by_name() -> None:
    listing = {f"onnx/{name}.onnx": Listed(MB) for name in ("encoder_model", "decoder_model_merged")}
    with pytest.raises(IntakeError, match="parts of a model that no backend runs"):
        plan(listing, Wishes(), VNNI, lambda _: None, source="hf:acme/t5")


def test_a_processor_is_known_by_its_flags(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    assert Cpu.here(info, "x86_64") == VNNI
    info.write_text("Features\t: fp asimd asimddp\n")
    assert Cpu.here(info, "aarch64") == Cpu(frozenset({"arm64"}), True)
    assert Cpu.here(tmp_path / "none", "x86_64") == Cpu(frozenset(), False)
