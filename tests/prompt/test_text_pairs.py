"""Pairs of texts are joined and cut as the tokenizers library and transformers do it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers

from inference.prompt.text_pairs import PairTemplate, longest_first
from inference.prompt.tokenizer import Tokenizer

SCORERS = Path(__file__).parents[1] / "golden" / "scorers"
TEXTS = ("", "wind", "the wind and the tide", "every harbour has a pilot who knows the sand banks" * 3)


def library_of(name: str) -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer.from_file(str(SCORERS / name / "tokenizer.json"))
    library.no_padding()
    library.no_truncation()
    return library


@pytest.mark.parametrize("name", ["bert", "xlm-roberta", "modernbert", "deberta"])
def test_a_pair_is_joined_as_the_tokenizer_joins_it(name: str) -> None:
    library = library_of(name)
    template, tokenizer = PairTemplate.of(library), Tokenizer(library)
    for first in TEXTS[1:]:
        for second in TEXTS[1:]:
            expected = library.encode(first, second)
            ids = (tokenizer.encode(text, special=False) for text in (first, second))
            joined = template.join(*ids)
            assert (joined.ids, joined.types) == (expected.ids, expected.type_ids)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("context", [5, 8, 9, 16, 17, 400])
def test_a_pair_is_cut_as_the_library_cuts_it(context: int, side: str) -> None:
    plain, cutting = library_of("bert"), library_of("bert")
    cutting.enable_truncation(context, strategy="longest_first", direction=side)
    template, tokenizer = PairTemplate.of(plain), Tokenizer(plain)
    for first in TEXTS:
        for second in TEXTS:
            one, two = (tokenizer.encode(text, special=False) for text in (first, second))
            found = template.fitted(one, two, context, left=side == "left")
            expected = cutting.encode(first, second)
            assert (found.ids, found.types) == (expected.ids, expected.type_ids)


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ((3, 4), 7, (3, 4)),
        ((3, 9), 8, (3, 5)),
        ((9, 3), 8, (5, 3)),
        ((9, 9), 8, (4, 4)),
        ((9, 9), 7, (3, 4)),
        ((9, 8), 7, (4, 3)),
        ((9, 9), 0, (0, 0)),
    ],
)
def test_the_longer_text_loses_tokens_first(
    lengths: tuple[int, int], room: int, kept: tuple[int, int]
) -> None:
    assert longest_first(*lengths, room) == kept


def test_a_tokenizer_without_a_word_of_latin_has_a_template() -> None:
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel({"風": 0, "[SEP]": 1}, unk_token="風"))
    library.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A [SEP]", pair="$A [SEP] $B:1 [SEP]:1", special_tokens=[("[SEP]", 1)]
    )
    assert PairTemplate.of(library).join([0, 0], [0]) == ([0, 0, 1, 0, 1], [0, 0, 0, 1, 1])
