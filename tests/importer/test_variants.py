"""Which graph of several is taken, by size, processor and memory."""

from pathlib import Path

import pytest

from inference.importer.findings import ImporterError
from inference.importer.plan import PlanOptions, plan
from inference.importer.sources import SourceFile
from inference.importer.variants import Processor, choose, precision_of, variants

MB = 1_000_000
VNNI = Processor(frozenset({"avx2", "avx512", "vnni"}), True)
OLD = Processor(frozenset({"avx2"}), False)

COMMUNITY = {
    "onnx/model.onnx": SourceFile(1 * MB),
    "onnx/model.onnx_data": SourceFile(2000 * MB),
    "onnx/model_fp16.onnx": SourceFile(990 * MB),
    "onnx/model_q4.onnx": SourceFile(780 * MB),
    "onnx/model_q4f16.onnx": SourceFile(480 * MB),
    "onnx/model_quantized.onnx": SourceFile(500 * MB),
    "generation_config.json": SourceFile(1),
    "config.json": SourceFile(1),
    "tokenizer.json": SourceFile(1),
}
SENTENCES = {
    "onnx/model.onnx": SourceFile(470 * MB),
    "onnx/model_O4.onnx": SourceFile(235 * MB),
    "onnx/model_qint8_arm64.onnx": SourceFile(118 * MB),
    "onnx/model_qint8_avx512_vnni.onnx": SourceFile(118 * MB),
    "onnx/model_quint8_avx2.onnx": SourceFile(118 * MB),
}
MICROSOFT = {
    "cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx": SourceFile(1 * MB),
    "cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx.data": SourceFile(2600 * MB),
    "cpu_and_mobile/cpu-int4-rtn-block-32/genai_config.json": SourceFile(1),
    "cpu_and_mobile/cpu-int4-rtn-block-32/tokenizer.json": SourceFile(1),
    "cuda/cuda-fp16/model.onnx": SourceFile(7000 * MB),
    "cuda/cuda-fp16/genai_config.json": SourceFile(1),
    "config.json": SourceFile(1),
    "modeling_phi3.py": SourceFile(1),
    "pytorch_model.bin": SourceFile(1),
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


def chosen(
    listing: dict[str, SourceFile], cpu: Processor, *, budget: int = 1 << 60, wanted: str | None = None
) -> str:
    generates = "generation_config.json" in listing
    return choose(variants(listing), generates=generates, wanted=wanted, cpu=cpu, budget=budget).value.path


def test_a_decoder_takes_the_fewest_bits() -> None:
    assert chosen(COMMUNITY, VNNI) == "onnx/model_q4.onnx"
    assert chosen(COMMUNITY, VNNI, budget=600 * MB) == "onnx/model_quantized.onnx"
    small = {**COMMUNITY, "onnx/model.onnx_data": SourceFile(30 * MB)}
    assert chosen(small, VNNI) == "onnx/model.onnx"


def test_an_encoder_takes_what_its_processor_is_good_at() -> None:
    assert chosen(SENTENCES, VNNI) == "onnx/model_qint8_avx512_vnni.onnx"
    assert chosen(SENTENCES, OLD) == "onnx/model.onnx"
    assert chosen(SENTENCES, OLD, budget=200 * MB) == "onnx/model_quint8_avx2.onnx"
    assert chosen(SENTENCES, Processor(frozenset({"arm64"}), True)) == "onnx/model_qint8_arm64.onnx"
    assert chosen({**SENTENCES, "onnx/model.onnx": SourceFile(90 * MB)}, VNNI) == "onnx/model.onnx"


def test_what_is_wanted_is_taken_or_refused_with_what_there_is() -> None:
    assert chosen(COMMUNITY, VNNI, wanted="fp16") == "onnx/model_fp16.onnx"
    assert chosen(COMMUNITY, VNNI, wanted="onnx/model_q4f16.onnx") == "onnx/model_q4f16.onnx"
    with pytest.raises(ImporterError, match=r"no variant q2. There are: .*model_q4.onnx \(q4, 780 MB\)"):
        chosen(COMMUNITY, VNNI, wanted="q2")


def test_what_does_not_fit_is_refused_with_sizes() -> None:
    with pytest.raises(ImporterError, match=r"They may take 1.0 MB here .* --memory MB"):
        chosen(COMMUNITY, VNNI, budget=MB)


def test_the_data_counts_and_comes_along() -> None:
    whole = next(one for one in variants(COMMUNITY) if one.path == "onnx/model.onnx")
    assert (whole.size, whole.data) == (2001 * MB, ("onnx/model.onnx_data",))


def test_a_plan_is_flat_and_takes_nothing_that_could_be_executed() -> None:
    said: list[str] = []
    made = plan(MICROSOFT, PlanOptions(), VNNI, said.append, source="hf:microsoft/phi")
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
        f"onnx/{name}.onnx": SourceFile(10 * MB)
        for name in ("model", "text_model", "vision_model", "vision_model_q4")
    }
    made = plan(listing, PlanOptions(), VNNI, lambda _: None, source="hf:acme/clip")
    assert {role: one.path for role, one in made.graphs.items()} == {
        "model": "onnx/vision_model.onnx",
        "text_model": "onnx/text_model.onnx",
    }


def test_an_encoder_decoder_is_refused_by_name() -> None:
    listing = {f"onnx/{name}.onnx": SourceFile(MB) for name in ("encoder_model", "decoder_model_merged")}
    with pytest.raises(ImporterError, match="parts of a model that no backend runs"):
        plan(listing, PlanOptions(), VNNI, lambda _: None, source="hf:acme/t5")


def test_a_processor_is_known_by_its_flags(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    assert Processor.here(info, "x86_64") == VNNI
    info.write_text("Features\t: fp asimd asimddp\n")
    assert Processor.here(info, "aarch64") == Processor(frozenset({"arm64"}), True)
    assert Processor.here(tmp_path / "none", "x86_64") == Processor(frozenset(), False)
