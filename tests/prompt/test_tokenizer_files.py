"""Tokenizers completed by the files beside tokenizer.json, as transformers completes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.cards.card import CardError
from inference.prompt.tokenizer import Tokenizer
from tests.support.decoders import write_json

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "side_files" / "tokenizers.json").read_text(encoding="utf-8")
)
VOCABULARY = {"[UNK]": 0, "tide": 1, "storm": 2}


def token(number: int, content: str, *, special: bool = True) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": content, "special": special, **flags}


def word_level(vocabulary: dict[str, int], *added: dict[str, Any], **parts: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder"))
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    split = {"pre_tokenizer": {"type": "WhitespaceSplit"}}
    return {"version": "1.0", **nothing, **split, "added_tokens": list(added), "model": model, **parts}


def opened(folder: Path, tokenizer: dict[str, Any], **files: Any) -> Tokenizer:
    write_json(folder / "tokenizer.json", tokenizer)
    for name, content in files.items():
        write_json(folder / f"{name}.json", content)
    return Tokenizer.open(folder / "tokenizer.json")


@pytest.mark.parametrize("name", GOLDEN)
def test_files_beside_the_tokenizer_give_the_ids_of_transformers(tmp_path: Path, name: str) -> None:
    case = GOLDEN[name]
    tokenizer = opened(tmp_path, case["tokenizer"], tokenizer_config=case["config"])
    assert tokenizer.encode_batch(case["texts"], special=True) == case["ids"]


def test_added_tokens_keep_declared_ids_with_gaps(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, word_level({**VOCABULARY, "far": 7}, token(20, "<x>"), token(30, "<y>")))
    assert tokenizer.encode("tide <y> far <x>", special=False) == [1, 30, 7, 20]
    assert tokenizer.vocabulary_size == 31
    assert tokenizer.usable.gaps == frozenset(range(31)) - {0, 1, 2, 7, 20, 30}


def test_a_token_that_only_the_config_has_keeps_its_id_and_flags(tmp_path: Path) -> None:
    config = {"added_tokens_decoder": {"9": {"content": "<x>", "special": True, "lstrip": True}}}
    tokenizer = opened(tmp_path, word_level(VOCABULARY), tokenizer_config=config)
    assert tokenizer.encode("tide <x> storm", special=False) == [1, 9, 2]
    assert tokenizer.decode([1, 9, 2]) == "tide storm"
    again = Tokenizer.open(tmp_path / "tokenizer.json")
    assert (again.vocabulary_size, json.loads(again.json)["model"]["vocab"]["<x>"]) == (10, 9)


def test_scored_pieces_keep_added_ids_with_gaps(tmp_path: Path) -> None:
    pieces = {
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [["[UNK]", 0.0], ["tide", -1.0]],
        "byte_fallback": False,
    }
    tokenizer = opened(tmp_path, word_level({}, token(5, "<x>"), model=pieces))
    assert tokenizer.encode("tide <x>", special=False) == [1, 5]
    assert (tokenizer.vocabulary_size, sorted(tokenizer.usable.gaps)) == (6, [2, 3, 4])
    assert tokenizer.token_text(3) is None


def test_an_id_that_another_token_has_is_not_taken(tmp_path: Path) -> None:
    config = {"added_tokens_decoder": {"1": {"content": "<x>", "special": True}}}
    tokenizer = opened(tmp_path, word_level(VOCABULARY), tokenizer_config=config)
    assert tokenizer.encode("tide <x>", special=False) == [1, 3]


def test_added_tokens_that_are_no_tokens_are_refused(tmp_path: Path) -> None:
    config = {"added_tokens_decoder": {"x": {"content": "<x>"}}}
    with pytest.raises(CardError, match=r"^tokenizer_config\.json: added_tokens_decoder has 'x'"):
        opened(tmp_path, word_level(VOCABULARY), tokenizer_config=config)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sentence_bert_config": {"do_lower_case": True}}, [1, 2]),
        ({"sentence_roberta_config": {"do_lower_case": True}}, [1, 2]),
        ({"sentence_bert_config": {"do_lower_case": False}}, [0, 2]),
        (
            {"sentence_bert_config": {"tokenizer_args": {"added_tokens_decoder": {"1": {"content": "x"}}}}},
            [0, 2],
        ),
        ({"tokenizer_config": {"do_lower_case": True}}, [0, 2]),
    ],
)
def test_texts_are_put_in_lower_case_where_sentence_transformers_does(
    tmp_path: Path, files: dict[str, Any], expected: list[int]
) -> None:
    assert opened(tmp_path, word_level(VOCABULARY), **files).encode("Tide storm", special=False) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, [0]), ({"do_lower_case": True}, [1]), ({"do_lower_case": True, "strip_accents": False}, [0])],
)
def test_a_bert_normalizer_follows_the_config(
    tmp_path: Path, config: dict[str, Any], expected: list[int]
) -> None:
    kept = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False}
    tokenizer = word_level(VOCABULARY, normalizer={"type": "BertNormalizer", **kept})
    assert opened(tmp_path, tokenizer, tokenizer_config=config).encode("Tídé", special=False) == expected


def test_named_and_older_tokens_are_added_where_no_other_file_has_them(tmp_path: Path) -> None:
    files = {"special_tokens_map": {"mask_token": {"content": "<m>"}}, "added_tokens": {"<x>": 3, "<m>": 4}}
    tokenizer = opened(tmp_path, word_level(VOCABULARY), **files)
    assert tokenizer.encode("tide <m> <x>", special=False) == [1, 4, 3]
    assert tokenizer.decode([1, 4, 3]) == "tide <x>"


def test_tokens_around_a_text_are_added_and_none_is_taken_away(tmp_path: Path) -> None:
    around = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<a:b>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<a:b>": {"id": "<a:b>", "ids": [3], "tokens": ["<a:b>"]}},
    }
    made = word_level(VOCABULARY, token(3, "<a:b>"), token(4, "<e>"), post_processor=around)
    config = {"bos_token": "<e>", "add_bos_token": False, "eos_token": "<e>", "add_eos_token": True}
    assert opened(tmp_path, made, tokenizer_config=config).encode("tide", special=True) == [3, 1, 4]
    assert opened(tmp_path, made, tokenizer_config={}).encode("tide", special=True) == [3, 1]
