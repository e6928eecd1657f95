"""The GGUF models of a source, and which of them is taken."""

from __future__ import annotations

import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf.choice import choose, is_wanted, offered
from inference.importer.sources import Listing, SourceFile

BUDGET = 1 << 62


def listing(*paths: str, size: int = 100) -> Listing:
    return {path: SourceFile(size) for path in paths}


def chosen(wanted: str | None, *paths: str) -> tuple[str, ...]:
    return choose(offered(listing(*paths)), wanted, BUDGET).value.paths


def test_the_best_of_four_bits_is_taken_where_none_is_named() -> None:
    found = choose(offered(listing("m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-f16.gguf")), None, BUDGET)
    assert found.value.paths == ("m-Q4_K_M.gguf",)
    assert found.sentence == (
        "The GGUF file is m-Q4_K_M.gguf (0.0 MB), chosen of 3 by its quantization and the memory. The others "
        "are m-Q8_0.gguf (Q8_0, 0.0 MB), m-f16.gguf (F16, 0.0 MB); --variant takes one of them."
    )


@pytest.mark.parametrize(
    "wanted", ["Q8_0", "q8_0", "m-Q8_0", "m-Q8_0.gguf", "deep/m-Q8_0.gguf", "elsewhere/m-Q8_0.gguf"]
)
def test_a_variant_is_a_quantization_a_stem_or_a_path(wanted: str) -> None:
    assert chosen(wanted, "m-Q4_K_M.gguf", "deep/m-Q8_0.gguf") == ("deep/m-Q8_0.gguf",)


def test_a_quantization_is_matched_whole() -> None:
    assert chosen("Q4_K", "m-Q4_K_M.gguf", "m.Q4_K.gguf") == ("m.Q4_K.gguf",)
    with pytest.raises(ImporterError, match=r"There is no variant Q4. The source has m-Q4_K_M.gguf"):
        chosen("Q4", "m-Q4_K_M.gguf")


def test_a_folder_names_the_quantization_where_the_file_does_not() -> None:
    assert offered(listing("Q5_K_M/model.gguf"))[0].quantization == "Q5_K_M"


def test_parts_are_one_model() -> None:
    parts = ("Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf")
    models = offered(listing(*parts))
    assert [(one.paths, one.size, one.stem) for one in models] == [(parts, 200, "m-Q8_0")]
    assert chosen("m-Q8_0", *parts) == parts
    assert chosen(parts[1], *parts) == parts


def test_a_missing_part_is_refused() -> None:
    with pytest.raises(ImporterError, match=r"m-00001-of-00002.gguf is missing: the model has 2 parts"):
        offered(listing("m-00002-of-00002.gguf"))


def test_projectors_and_adapters_are_no_models_beside_one() -> None:
    assert chosen(None, "mmproj-m-f16.gguf", "m-lora.gguf", "imatrix.gguf", "m.gguf") == ("m.gguf",)


def test_a_file_that_is_named_is_taken_to_be_named_as_what_it_is() -> None:
    models = offered(listing("mmproj-m.gguf", "m.gguf"), "mmproj-m.gguf")
    assert choose(models, "mmproj-m.gguf", BUDGET).value.paths == ("mmproj-m.gguf",)


def test_alone_a_file_is_taken_whatever_its_name() -> None:
    assert chosen(None, "m-lora-merged.gguf") == ("m-lora-merged.gguf",)


def test_a_model_larger_than_the_memory_is_not_taken_by_itself() -> None:
    models = offered({"m-Q4_K_M.gguf": SourceFile(500), "m-Q2_K.gguf": SourceFile(200)})
    assert choose(models, None, 300).value.paths == ("m-Q2_K.gguf",)
    assert choose(models, "Q4_K_M", 300).value.paths == ("m-Q4_K_M.gguf",)
    with pytest.raises(ImporterError, match=r"No GGUF file fits into 0.0 MB"):
        choose(models, None, 100)


@pytest.mark.parametrize(
    ("paths", "wanted", "expected"),
    [
        (("m.gguf",), None, True),
        (("m.gguf",), "anything", True),
        (("model.onnx",), None, False),
        (("model.onnx", "m.gguf"), None, False),
        (("model.onnx", "m-Q4_K_M.gguf"), "Q4_K_M", True),
        (("model.onnx", "m-Q4_K_M.gguf"), "m-Q4_K_M.gguf", True),
        (("model.onnx", "m-Q4_K_M.gguf"), "Q8_0", False),
        (("model.onnx", "m-Q4_K_M.gguf"), "int8", False),
        (("mmproj.gguf",), None, True),
        (("model.onnx", "mmproj.gguf"), None, False),
    ],
)
def test_a_graph_goes_before_a_gguf_file_that_is_not_named(
    paths: tuple[str, ...], wanted: str | None, expected: bool
) -> None:
    assert is_wanted(listing(*paths), wanted) is expected
