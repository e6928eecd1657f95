"""Cards: loaded from files, their mistakes explained."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.cards.card import CARD_FILE, CardError, load, parse
from inference.contracts import Route
from inference.settings import PROJECT
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES, deployment, write_card


def test_a_declared_parameter_has_its_limits(tmp_path: Path) -> None:
    card = deployment(tmp_path, CHAT).card
    limits = card.limits("temperature")
    assert limits is not None
    assert limits.max == 1.5
    assert card.limits("safe_prompt") is not None
    assert card.limits("top_p") is None


@pytest.mark.parametrize(
    ("card", "files", "routes"),
    [
        (CHAT, {}, {Route.CHAT, Route.COMPLETIONS}),
        ({**CHAT, "type": "text-generation", "parameters": {}, "extras": {}}, {}, {Route.COMPLETIONS}),
        (EMBEDDINGS, {}, {Route.EMBEDDINGS}),
        (IMAGES, {}, {Route.IMAGE_EMBEDDINGS}),
        (IMAGES, {"text_model": "text.onnx"}, {Route.IMAGE_EMBEDDINGS, Route.EMBEDDINGS}),
    ],
)
def test_routes_follow_from_type_and_files(
    tmp_path: Path, card: dict[str, Any], files: dict[str, str], routes: set[Route]
) -> None:
    assert deployment(tmp_path, card, files=files).card.routes == routes


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"type": "chat"}, "type: Input should be"),
        ({"name": "a b"}, "name: .*'a b'"),
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"context": 0}, "context: .*not 0"),
        ({"files": {"model": "../model.onnx"}}, "leads out of the folder"),
        ({"files": {"model": "/etc/passwd"}}, "leads out of the folder"),
        ({"parameters": {"tools": {}, "tool_choice": {}}}, "parameters.tools needs dialect"),
        ({"parameters": {"tools": {"dialect": "hermes"}}}, "parameters.tools needs parameters.tool_choice"),
        ({"type": "text-generation", "reasoning": {}}, "reasoning does not belong to text-generation"),
        ({"reasoning": {"open": ""}}, "reasoning.open: "),
        ({"extras": {"safe_prompt": {}}}, "extras.safe_prompt needs text"),
        (
            {"embedding": {"dimensions": 8, "matryoshka": [16]}},
            "matryoshka has 16, more than embedding.dimensions, which is 8",
        ),
    ],
)
def test_a_mistake_is_refused_with_its_location(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    (tmp_path / CARD_FILE).write_text(json.dumps({**CHAT, **changes}), encoding="utf-8")
    with pytest.raises(CardError, match=f"(?s){CARD_FILE}.*{sentence}"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_a_file_that_is_not_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(CardError, match=CARD_FILE):
        load(tmp_path)


def test_a_card_may_begin_with_a_byte_order_mark() -> None:
    text = '{"name": "x", "provider": "x", "type": "text-generation", "backend": "onnx-decoder"}'
    assert parse(text.encode("utf-8-sig")).name == "x"


def test_a_missing_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="cannot be read: No such file"):
        load(tmp_path)


def test_files_are_found_by_role(tmp_path: Path) -> None:
    folder = write_card(tmp_path, CHAT, files={"model": "model.onnx"})
    deployment = load(folder)
    assert deployment.file("model") == folder / "model.onnx"
    assert deployment.optional_file("notes", "notes.txt") is None
    with pytest.raises(CardError, match=r"files\.tokenizer is missing"):
        deployment.file("tokenizer")
    (folder / "model.onnx").unlink()
    with pytest.raises(CardError, match=r"files\.model: 'model\.onnx' is not in the folder"):
        deployment.file("model")


@pytest.mark.parametrize("folder", sorted((PROJECT / "models").glob("*/")), ids=lambda path: path.name)
def test_the_starter_cards_are_valid(folder: Path) -> None:
    assert load(folder).name == folder.name
