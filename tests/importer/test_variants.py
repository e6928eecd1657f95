"""The choice among variants of a graph, by size, processor and memory."""

from pathlib import Path

import pytest

from inference.importer.findings import ImporterError
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
def test_precision_is_taken_from_the_path(path: str, precision: str) -> None:
    assert precision_of(path) == precision


def chosen(
    listing: dict[str, SourceFile], processor: Processor, *, budget: int = 1 << 60, wanted: str | None = None
) -> str:
    generates = "generation_config.json" in listing
    return choose(
        variants(listing), generates=generates, wanted=wanted, processor=processor, budget=budget
    ).value.path


def test_a_decoder_prefers_the_fewest_bits() -> None:
    assert chosen(COMMUNITY, VNNI) == "onnx/model_q4.onnx"
    assert chosen(COMMUNITY, VNNI, budget=600 * MB) == "onnx/model_quantized.onnx"
    small = {**COMMUNITY, "onnx/model.onnx_data": SourceFile(30 * MB)}
    assert chosen(small, VNNI) == "onnx/model.onnx"


def test_an_encoder_prefers_the_precision_of_its_processor() -> None:
    assert chosen(SENTENCES, VNNI) == "onnx/model_qint8_avx512_vnni.onnx"
    assert chosen(SENTENCES, OLD) == "onnx/model.onnx"
    assert chosen(SENTENCES, OLD, budget=200 * MB) == "onnx/model_quint8_avx2.onnx"
    assert chosen(SENTENCES, Processor(frozenset({"arm64"}), True)) == "onnx/model_qint8_arm64.onnx"
    assert chosen({**SENTENCES, "onnx/model.onnx": SourceFile(90 * MB)}, VNNI) == "onnx/model.onnx"


def test_a_wanted_variant_is_taken_or_refused_with_the_list() -> None:
    assert chosen(COMMUNITY, VNNI, wanted="fp16") == "onnx/model_fp16.onnx"
    assert chosen(COMMUNITY, VNNI, wanted="onnx/model_q4f16.onnx") == "onnx/model_q4f16.onnx"
    with pytest.raises(ImporterError, match=r"no variant q2. The source has .*model_q4.onnx \(q4, 780 MB\)"):
        chosen(COMMUNITY, VNNI, wanted="q2")


def test_variants_beyond_the_budget_are_refused_with_sizes() -> None:
    with pytest.raises(ImporterError, match=r"Its files may take 1.0 MB, .* --memory MB"):
        chosen(COMMUNITY, VNNI, budget=MB)


def test_external_data_belongs_to_its_graph() -> None:
    whole = next(one for one in variants(COMMUNITY) if one.path == "onnx/model.onnx")
    assert (whole.size, whole.data) == (2001 * MB, ("onnx/model.onnx_data",))


def test_processor_features_are_taken_from_its_flags(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    assert Processor.here(info, "x86_64") == VNNI
    info.write_text("Features\t: fp asimd asimddp\n")
    assert Processor.here(info, "aarch64") == Processor(frozenset({"arm64"}), True)
    assert Processor.here(tmp_path / "none", "x86_64") == Processor(frozenset(), False)
