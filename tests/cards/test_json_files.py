"""JSON files of a deployment: what is read, and how a broken file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.cards.card import Card, CardError, Deployment
from inference.cards.json_files import read_object, read_role, special_token, special_tokens
from tests.support.decoders import write_json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"^config\.json is not JSON: "),
        (b"[]", r"^config\.json is not a JSON object$"),
        (b"[" * 100_000, r"^config\.json is not JSON: "),
        (b'{"a": ' + b"9" * 5000 + b"}", r"^config\.json is not JSON: "),
        (b'{"a": "\\ud800"}', r"^config\.json is not JSON: .*surrogate"),
    ],
)
def test_file_that_is_no_json_object_is_refused_by_its_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CardError, match=message):
        read_object(tmp_path / "config.json")


def test_missing_file_is_an_empty_object(tmp_path: Path) -> None:
    assert read_object(tmp_path / "config.json") == {}


def test_card_may_name_the_file_of_a_role(tmp_path: Path) -> None:
    card = {"name": "x", "provider": "x", "type": "text-generation", "backend": "onnx-decoder"}
    write_json(tmp_path / "other.json", {"n_positions": 5})
    named = Deployment(Card.model_validate({**card, "files": {"config": "other.json"}}), tmp_path)
    assert read_role(named, "config") == {"n_positions": 5}
    assert read_role(named, "genai_config") == {}
    missing = Deployment(Card.model_validate({**card, "files": {"config": "none.json"}}), tmp_path)
    with pytest.raises(CardError, match=r"files\.config: 'none\.json' is not in the folder"):
        read_role(missing, "config")


@pytest.mark.parametrize(
    ("token", "expected"), [("</s>", "</s>"), ({"content": "</s>"}, "</s>"), (7, None), ({}, None)]
)
def test_special_token_is_a_text_or_the_content_of_an_object(token: object, expected: str | None) -> None:
    assert special_token({"eos_token": token}, "eos_token") == expected


def test_special_tokens_are_the_texts_by_name() -> None:
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None, "unk": "<unk>"}
    assert special_tokens(config) == {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_read_over(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "config.json").write_text('{"a": "é"}', encoding=encoding)
    assert read_object(tmp_path / "config.json") == {"a": "é"}
