import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.cards.json_files import Json
from inference.importer.findings import ImporterError
from inference.importer.gguf.rotary import rotary
from inference.importer.gguf.tensor_types import F16
from tests.importer.gguf.gguf_files import Tensor
from tests.importer.gguf.vocabularies import header_of

HEAD, CONTEXT = 64, 131072


def scaling_of(folder: Path, *tensors: Tensor, **keys: Any) -> Json | None:
    metadata = {"general.architecture": "llama"}
    metadata |= {f"llama.rope.{name.replace('__', '.')}": value for name, value in keys.items()}
    found = rotary(header_of(folder, metadata, tensors), head=HEAD, context=CONTEXT)
    assert found["rope_theta"] == keys.get("freq_base", 10000.0)
    return found.get("rope_scaling")


def llama3_factors(factor: float, original: int, base: float) -> Tensor:
    """Return the factors one by one, as llama.cpp's converter computes them."""
    factors = []
    for index in range(0, HEAD, 2):
        wave = 2 * math.pi * base ** (index / HEAD)
        if wave < original / 4:
            factors.append(1.0)
        elif wave > original:
            factors.append(factor)
        else:
            smooth = (original / wave - 1) / 3
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return Tensor.of("rope_freqs.weight", factors)


def test_no_key_is_no_scaling(tmp_path: Path) -> None:
    assert scaling_of(tmp_path) is None


@pytest.mark.parametrize("key", ["scaling__factor", "scale_linear"])
def test_a_factor_alone_is_linear(tmp_path: Path, key: str) -> None:
    assert scaling_of(tmp_path, **{key: 4.0}) == {"rope_type": "linear", "factor": 4.0}


def test_a_factor_of_one_is_no_scaling(tmp_path: Path) -> None:
    assert scaling_of(tmp_path, scaling__type="linear", scaling__factor=1.0) is None


def test_yarn_has_its_numbers(tmp_path: Path) -> None:
    keys = {"scaling__type": "yarn", "scaling__factor": 4.0, "scaling__original_context_length": 32768}
    assert scaling_of(tmp_path, **keys, scaling__yarn_beta_fast=24.0) == {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 32768,
        "beta_fast": 24.0,
    }
    del keys["scaling__original_context_length"]
    found = scaling_of(tmp_path, **keys)
    assert found is not None
    assert found["original_max_position_embeddings"] == 32768


@pytest.mark.parametrize(("factor", "original"), [(8.0, 8192), (32.0, 8192), (4.0, 4096)])
def test_the_factors_of_llama_3_are_recognized(tmp_path: Path, factor: float, original: int) -> None:
    tensor = llama3_factors(factor, original, 500000.0)
    assert scaling_of(tmp_path, tensor, freq_base=500000.0) == {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": original,
    }


def test_other_factors_count_for_every_length(tmp_path: Path) -> None:
    factors = [1.0 + index / 4 for index in range(HEAD // 2)]
    assert scaling_of(tmp_path, Tensor.of("rope_freqs.weight", factors)) == {
        "rope_type": "longrope",
        "short_factor": factors,
        "long_factor": factors,
        "attention_factor": 1.0,
        "original_max_position_embeddings": CONTEXT,
    }


def test_factors_of_one_are_no_scaling(tmp_path: Path) -> None:
    assert scaling_of(tmp_path, Tensor.of("rope_freqs.weight", np.ones(HEAD // 2))) is None


def test_longrope_has_both_lists(tmp_path: Path) -> None:
    tensors = [
        Tensor.of("rope_factors_long.weight", [2.0] * 32),
        Tensor.of("rope_factors_short.weight", [1.5] * 32),
    ]
    found = scaling_of(tmp_path, *tensors, scaling__original_context_length=4096, scaling__attn_factor=1.25)
    assert found == {
        "rope_type": "longrope",
        "short_factor": [1.5] * 32,
        "long_factor": [2.0] * 32,
        "original_max_position_embeddings": 4096,
        "attention_factor": 1.25,
    }


@pytest.mark.parametrize(
    ("tensors", "keys", "reason"),
    [
        ([], {"scaling__type": "dynamic"}, "scales its rotary embedding by 'dynamic'. Supported are linear"),
        (
            [],
            {"scaling__type": "longrope"},
            "by longrope and lacks rope_factors_long.weight, rope_factors_short",
        ),
        ([Tensor("rope_freqs.weight", (2,), b"\0" * 4, F16)], {}, "has rope_freqs.weight as F16, and F32"),
        (
            [Tensor.of("rope_freqs.weight", [0.0] * 32)],
            {},
            "factors in rope_freqs.weight that are not positive",
        ),
    ],
)
def test_what_is_not_supported_is_refused_in_a_sentence(
    tmp_path: Path, tensors: list[Tensor], keys: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ImporterError) as refusal:
        scaling_of(tmp_path, *tensors, **keys)
    assert reason in str(refusal.value)
