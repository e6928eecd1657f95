from pathlib import Path

import pytest

from inference.importer.findings import ImporterError
from inference.prompt.tokenizer import Tokenizer
from tests.importer.gguf.vocabularies import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    byte_level,
    scored,
    sentence_piece,
    tokenizer_of,
)

SPACE = "\u2581"
LETTERS = [("\u2581", -9.0), *((letter, -9.0) for letter in "abcdehlnorw")]
WORDS = [("he", -3.0), ("ll", -2.0), ("llo", -1.0), ("\u2581he", -4.0)]


def test_merges_apply_in_their_sequence(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, byte_level(["l l", "h e", "he ll", "hell o"]))
    assert tokenizer.encode("hellhello").tokens == ["hell", "hello"]


def test_a_pair_listed_twice_has_its_first_rank(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, byte_level(["a b", "b c", "a b"]))
    assert tokenizer.encode("abc").tokens == ["ab", "c"]


def test_merges_that_lead_to_no_token_are_left_out(tmp_path: Path) -> None:
    metadata = byte_level(["a b", "b c"])
    metadata["tokenizer.ggml.merges"] = ["x yz", "b c", "a b"]
    assert tokenizer_of(tmp_path, metadata).encode("abc").tokens == ["a", "bc"]


def test_digits_are_split_where_the_rules_say_so(tmp_path: Path) -> None:
    merges = ["1 2", "\u0120 1"]
    assert tokenizer_of(tmp_path, byte_level(merges, pre="gpt-2")).encode("x 12").tokens == [
        "x",
        "\u0120",
        "12",
    ]
    split = tokenizer_of(tmp_path, byte_level(merges, pre="smollm")).encode("x 12")
    assert split.tokens == ["x", "\u0120", "1", "2"]


def test_a_word_that_is_a_token_is_not_merged_under_rules_that_say_so(tmp_path: Path) -> None:
    more = [("abc", NORMAL)]
    assert tokenizer_of(tmp_path, byte_level(["a b"], more, pre="llama-bpe", add_bos_token=False)).encode(
        "abc"
    ).tokens == ["abc"]
    assert tokenizer_of(tmp_path, byte_level(["a b"], more, pre="dbrx")).encode("abc").tokens == ["ab", "c"]


def test_qwen_composes_a_text(tmp_path: Path) -> None:
    merges = ["\u00c3 \u00a9"]
    assert tokenizer_of(tmp_path, byte_level(merges, pre="qwen2")).encode("e\u0301").tokens == [
        "\u00c3\u00a9"
    ]
    assert len(tokenizer_of(tmp_path, byte_level(merges, pre="gpt-2")).encode("e\u0301").tokens) == 3


def test_special_tokens_are_whole_and_a_users_belong_to_the_text(tmp_path: Path) -> None:
    more = [("<|im_end|>", CONTROL), ("<tool>", USER_DEFINED), ("[PAD3]", UNUSED)]
    tokenizer = tokenizer_of(tmp_path, byte_level([], more))
    ids = tokenizer.encode("a<tool><|im_end|>").ids
    assert ids == [64, 257, 256]
    assert tokenizer.decode(ids) == "a<tool>"
    assert tokenizer.token_to_id("[PAD3]") is None


def test_a_token_that_ends_answers_is_special_whatever_its_type(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, byte_level([], [("<|eot_id|>", USER_DEFINED)]))
    assert tokenizer.decode(tokenizer.encode("a<|eot_id|>").ids) == "a"


@pytest.mark.parametrize(
    ("pre", "keys", "expected"),
    [
        ("gpt-2", {}, ["a"]),
        ("llama-bpe", {}, ["<s>", "a"]),
        ("llama-bpe", {"add_bos_token": False}, ["a"]),
        ("gpt-2", {"add_bos_token": True, "add_eos_token": True}, ["<s>", "a", "</s>"]),
        ("roberta-bpe", {"add_bos_token": True}, ["<s>", "a", "</s>"]),
        ("gpt-2", {"add_sep_token": True}, ["a", "</s>"]),
    ],
)
def test_texts_begin_and_end_as_the_file_says(
    tmp_path: Path, pre: str, keys: dict[str, bool], expected: list[str]
) -> None:
    more = [("<s>", CONTROL), ("</s>", CONTROL)]
    metadata = byte_level([], more, pre=pre, bos_token_id=256, eos_token_id=257, **keys)
    assert tokenizer_of(tmp_path, metadata).encode("a").tokens == expected


def test_the_best_token_is_merged_first(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, sentence_piece([*LETTERS, *WORDS], add_bos_token=False))
    assert tokenizer.encode("hello").tokens == [f"{SPACE}he", "llo"]
    assert tokenizer.encode("a hello").tokens == [SPACE, "a", f"{SPACE}he", "llo"]


def test_a_space_goes_before_each_part_of_a_text_unless_the_file_says_no(tmp_path: Path) -> None:
    words = [*LETTERS, *WORDS]
    prefixed = tokenizer_of(tmp_path, sentence_piece(words))
    assert prefixed.encode("he</s>he").tokens == ["<s>", f"{SPACE}he", "</s>", f"{SPACE}he"]
    assert prefixed.decode(prefixed.encode("he he").ids) == "he he"
    plain = tokenizer_of(tmp_path, sentence_piece(words, add_space_prefix=False))
    assert plain.encode("he he").tokens == ["<s>", "he", f"{SPACE}he"]
    assert plain.decode(plain.encode(" he he").ids) == " he he"


def test_an_unknown_character_becomes_its_bytes(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, sentence_piece(LETTERS, add_space_prefix=False, add_bos_token=False))
    assert tokenizer.encode("a\u00e9\n").tokens == ["a", "<0xC3>", "<0xA9>", "<0x0A>"]
    assert tokenizer.decode(tokenizer.encode("a\u00e9\n").ids) == "a\u00e9\n"


def test_the_special_tokens_of_phi3_swallow_the_spaces_behind_them(tmp_path: Path) -> None:
    metadata = sentence_piece(LETTERS, architecture="phi3", add_bos_token=False)
    tokenizer = tokenizer_of(tmp_path, metadata)
    space, a, b, line_end = 259, 260, 261, 3 + 0x0A
    assert tokenizer.encode("a</s>\n b").ids == [space, a, 2, space, b]
    assert tokenizer.encode("a<s>\n b").ids == [space, a, 1, space, line_end, space, b]


def test_pieces_of_words_get_berts_marks(tmp_path: Path) -> None:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", f"{SPACE}hel", "lo", f"{SPACE}caf", "e", f"{SPACE}!"]
    metadata = scored(
        [(token, CONTROL if token[0] == "[" else NORMAL, 0.0) for token in tokens],
        model="bert",
        unknown_token_id=1,
        cls_token_id=2,
        seperator_token_id=3,
    )
    tokenizer = tokenizer_of(tmp_path, metadata)
    assert tokenizer.encode("Hello, Caf\u00e9!").tokens == [
        *("[CLS]", "hel", "##lo", "[UNK]", "caf", "##e", "!", "[SEP]")
    ]
    assert tokenizer.encode("hello", "hello").type_ids == [0, 0, 0, 0, 1, 1, 1]


def test_unigrams_are_the_likeliest_pieces(tmp_path: Path) -> None:
    words = [("<s>", CONTROL, 0), ("</s>", CONTROL, 0), ("<unk>", UNKNOWN, 0)]
    words += [
        (f"{SPACE}he", NORMAL, -2),
        ("llo", NORMAL, -2),
        (f"{SPACE}hello", NORMAL, -3),
        ("l", NORMAL, -4),
    ]
    metadata = scored(
        words, model="t5", bos_token_id=0, eos_token_id=1, unknown_token_id=2, add_bos_token=True
    )
    assert tokenizer_of(tmp_path, metadata).encode("hello  hel").tokens == [
        *("<s>", f"{SPACE}hello", f"{SPACE}he", "l", "</s>")
    ]


def test_what_a_kind_needs_is_demanded(tmp_path: Path) -> None:
    no_merges = byte_level([])
    del no_merges["tokenizer.ggml.merges"]
    with pytest.raises(
        ImporterError, match=r"has no merges for its tokenizer \(tokenizer.ggml.merges is missing"
    ):
        tokenizer_of(tmp_path, no_merges)
    no_scores = sentence_piece(LETTERS)
    del no_scores["tokenizer.ggml.scores"]
    with pytest.raises(ImporterError, match="has no scores for its tokenizer"):
        tokenizer_of(tmp_path, no_scores)


def test_the_product_knows_the_bytes_of_every_token(tmp_path: Path) -> None:
    for metadata in (byte_level(["h e"]), sentence_piece(LETTERS)):
        (tmp_path / "tokenizer.json").write_text(tokenizer_of(tmp_path, metadata).to_str(), encoding="utf-8")
        tokenizer = Tokenizer.open(tmp_path / "tokenizer.json")
        assert tokenizer.knows_token_bytes
        assert tokenizer.token_bytes(tokenizer.encode("h", special=False)[-1]) == b"h"
