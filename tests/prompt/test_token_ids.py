"""The ids that can be used: those of tokens that have a row in the model's tables."""

from pathlib import Path

import pytest

from inference.errors import InvalidInput
from inference.prompt.token_ids import UsableIds, check_text_ids, check_token_ids
from inference.prompt.tokenizer import Tokenizer
from tests.prompt.test_tokenizer_files import VOCABULARY, opened, token, word_level


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    made = opened(tmp_path, word_level({**VOCABULARY, "far": 5}, token(8, "<x>")))
    return made.with_rows(8)


def test_ids_end_with_the_rows_and_leave_out_the_gaps(tokenizer: Tokenizer) -> None:
    assert tokenizer.usable == UsableIds(8, frozenset({3, 4, 6, 7}))
    assert tokenizer.with_rows(100).usable == UsableIds(9, frozenset({3, 4, 6, 7}))
    assert UsableIds.of([]) == UsableIds(0)
    assert UsableIds(3).only([0, 3, 2, -1]) == [0, 2]


@pytest.mark.parametrize(
    ("ids", "position", "message"),
    [
        ([1, 8], 1, "token id 8 has no row in the model's tables, whose ids are 0 to 7"),
        ([3], 0, "token id 3 is not in the vocabulary, which leaves it out between 0 and 7"),
        ([0, 1, 99], 2, "token id 99 is not in the vocabulary, whose ids are 0 to 7"),
    ],
)
def test_token_ids_that_the_model_does_not_have_are_refused_at_their_place(
    tokenizer: Tokenizer, ids: list[int], position: int, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_token_ids(ids, ("body", "prompt"), tokenizer)
    (offender,) = refused.value.offenders
    assert (offender.loc, offender.input, offender.message) == (
        ("body", "prompt", position),
        ids[position],
        message,
    )


def test_texts_with_a_token_that_has_no_row_are_refused(tokenizer: Tokenizer) -> None:
    check_text_ids(tokenizer.encode("tide far", special=True), ("body", "input", 0), tokenizer)
    with pytest.raises(InvalidInput, match=r"the text has the token '<x>': token id 8 has no row"):
        check_text_ids(tokenizer.encode("tide <x>", special=True), ("body", "input", 0), tokenizer)
