"""Decoders of real architectures, as real exporters write them, against the tokens of transformers.

`tests/golden/make_decoders.py` made both the graphs and the tokens.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from inference.contracts import GenerationRequest, Sampling
from tests.backends.decoder.running import GREEDY, answer, opened
from tests.support.decoders import CARD, write_json

GOLDEN = Path(__file__).parents[2] / "golden" / "decoders"
NAMES = sorted(folder.name for folder in GOLDEN.iterdir())
VOCABULARY = 128
NOISE = (2, 33, 64, 65, 66, 100)


def deployment(folder: Path, name: str, context: int) -> Path:
    target = folder / f"{name}-{context}"
    shutil.copytree(GOLDEN / name, target)
    words = {str(token): token for token in range(VOCABULARY)}
    Tokenizer(models.WordLevel(words, unk_token="0")).save(str(target / "tokenizer.json"))
    (target / "chat_template.jinja").write_text("{{ messages[0].content }}")
    write_json(target / "generation_config.json", {})
    write_json(target / "model.json", {**CARD, "name": name, "context": context})
    return target


def cases(name: str) -> dict[int, list[dict[str, Any]]]:
    """Return the golden answers by their context."""
    found = defaultdict(list)
    for case in json.loads((GOLDEN / name / "tokens.json").read_text()):
        found[case["context"]].append(case)
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_tokens_are_those_of_transformers_alone_and_concurrently(tmp_path: Path, name: str) -> None:
    for context, golden in cases(name).items():
        requests = [GenerationRequest(tuple(case["prompt"]), len(case["tokens"]), GREEDY) for case in golden]
        noise = [
            GenerationRequest(tuple(range(3, 3 + length)), 9, Sampling(0.8, seed=length))
            for length in NOISE
            if length < context
        ]
        with opened(deployment(tmp_path, name, context)) as model:
            alone = [(await answer(model, request))[0] for request in requests]
            assert alone == [case["tokens"] for case in golden]
            mixed = [*requests, *noise] * 2
            one_by_one = [(await answer(model, request))[0] for request in mixed]
            permutation = np.random.default_rng(0).permutation(len(mixed)).tolist()
            together = await asyncio.gather(*(answer(model, mixed[index]) for index in permutation))
        assert [tokens for tokens, _ in together] == [one_by_one[index] for index in permutation]
