"""Graphs that return their cache longer: a row's numbers depend on that row alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.backends.decoder import opening
from inference.backends.decoder.concatenated import ConcatenatedDecoder
from inference.cards import card
from inference.cards.card import CardError
from tests.backends.decoder.running import SETTINGS, bare
from tests.backends.decoder.test_golden import GOLDEN, VOCABULARY, deployment
from tests.support.decoders import CARD, write_json

CONTEXT = 256
PADDED = ("optimum-llama", "optimum-mistral", "optimum-bloom", "optimum-llama-merged")
EXACT = ("optimum-gpt2-old", "optimum-gemma3")
"""Graphs whose positions come from the past's length, so that no row can be padded."""


def prompt(length: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng(length).integers(3, VOCABULARY, length).tolist())


@pytest.mark.parametrize("name", PADDED + EXACT)
def test_chunks_compute_the_exact_logits_of_one_run(name: str) -> None:
    with bare(GOLDEN / name / "model.onnx", context=CONTEXT) as (decoder, cache):
        assert isinstance(decoder, ConcatenatedDecoder)
        whole = decoder.prefill(0, prompt(200), 0).copy()
        for sizes in ([64, 64, 64, 8], [63, 137], [3, 7, 190], [2] * 100):
            past = 0
            for size in sizes:
                logits = decoder.prefill(1, prompt(200)[past : past + size], past)
                past += size
            np.testing.assert_array_equal(logits, whole)
        for array in cache.arrays:
            np.testing.assert_array_equal(array[0, :, :200], array[1, :, :200])


@pytest.mark.parametrize("name", PADDED + EXACT)
def test_row_has_the_exact_same_logits_alone_and_among_others(name: str) -> None:
    lengths = np.array([20, 3, 100, 127, 128, 129, 200, 1])
    with bare(GOLDEN / name / "model.onnx", rows=8, context=CONTEXT) as (decoder, _):
        assert decoder.traits.pads == (name in PADDED)
        for row, length in enumerate(lengths.tolist()):
            decoder.prefill(row, prompt(length), 0)
        tokens = lengths % VOCABULARY
        together = decoder.decode(tokens, lengths + 1).copy()
        for count in range(1, 8):
            few = decoder.decode(tokens[:count], lengths[:count] + 1)
            np.testing.assert_array_equal(few, together[:count])
        for row, length in enumerate(lengths.tolist()):
            unpadded = decoder.prefill(row, (int(tokens[row]),), length)
            np.testing.assert_allclose(unpadded, together[row], atol=1e-4)


@pytest.mark.parametrize("name", PADDED + EXACT)
def test_cache_after_a_row_and_in_others_is_neither_read_nor_written(name: str) -> None:
    with bare(GOLDEN / name / "model.onnx", context=CONTEXT) as (decoder, cache):
        decoder.prefill(0, prompt(30), 0)
        expected = decoder.decode(np.array([5]), np.array([31])).copy()
        for array in cache.arrays:
            array[:] = np.nan
        decoder.prefill(0, prompt(30)[:20], 0)
        decoder.prefill(0, prompt(30)[20:], 20)
        np.testing.assert_array_equal(decoder.decode(np.array([5]), np.array([31])), expected)
        for array in cache.arrays:
            assert np.isfinite(array[0, :, :31]).all()
            assert np.isnan(array[0, :, 31:]).all()
            assert np.isnan(array[1:]).all()


def test_last_position_of_the_context_is_usable() -> None:
    with bare(GOLDEN / "optimum-gpt2" / "model.onnx", context=CONTEXT) as (decoder, _):
        whole = decoder.prefill(1, prompt(CONTEXT), 0).copy()
        decoder.prefill(0, prompt(CONTEXT)[:-1], 0)
        last = decoder.decode(np.array(prompt(CONTEXT)[-1:]), np.array([CONTEXT]))
    np.testing.assert_allclose(last[0], whole, atol=1e-4)


def test_memory_counts_the_copies_of_a_run(tmp_path: Path) -> None:
    folder = deployment(tmp_path, "optimum-gpt2", CONTEXT)
    model = opening.open(card.load(folder), replace(SETTINGS, kv_memory_mb=1))
    # 2 layers x key and value x 32 x 4 bytes = 512 bytes a token, 384 KiB a row of 256 tokens three times.
    model.close()
    write_json(folder / "config.json", {"n_positions": 4000})
    write_json(folder / "model.json", {**CARD, "name": "longer", "context": 4000})
    with pytest.raises(CardError, match=r"context: .* 4000 tokens takes 5\.9 MiB in the 3 copies that this"):
        opening.open(card.load(folder), replace(SETTINGS, kv_memory_mb=2))
    with pytest.raises(CardError, match=r"context: the graph reaches 256 tokens, not 4000"):
        opening.open(card.load(folder), SETTINGS)
