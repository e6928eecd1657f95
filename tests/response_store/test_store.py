"""The limit of what is kept of a conversation."""

import pytest

from inference.errors import RecordTooLarge
from inference.response_store.store import check_size

ITEM = {"role": "user", "content": "day"}
BYTES = len('{"role":"user","content":"day"}')


def test_a_conversation_of_just_the_limit_is_kept() -> None:
    check_size([ITEM], [ITEM], 2 * (BYTES + len("[]")))


def test_a_larger_conversation_is_refused_at_input_with_both_sizes() -> None:
    with pytest.raises(RecordTooLarge) as caught:
        check_size([ITEM], [ITEM], 2 * BYTES)
    assert caught.value.status == 413
    assert caught.value.param == "input"
    assert f"take {2 * BYTES + 4} bytes to keep, and at most {2 * BYTES} are kept" in caught.value.message
    assert "`store: false`" in caught.value.message


def test_letters_count_by_their_bytes() -> None:
    with pytest.raises(RecordTooLarge, match="take 10 bytes"):
        check_size(["í" * 2], [], 9)  # type: ignore[list-item]
