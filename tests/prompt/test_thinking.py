"""Thoughts that the prompt opens, and constraints of what comes behind them."""

import json
from pathlib import Path

import pytest

from inference.cards.card import ReasoningTags
from inference.contracts import Constraint, Grammar
from inference.prompt.output_format import after_thoughts, begun
from inference.prompt.tokenizer import Tokenizer
from tests.tool_formats import walking

TAGS = ReasoningTags.model_validate({})
WITHOUT = (*walking.PLAIN,)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Hi<think>", "<think>"),
        ("<think>", "<think>"),
        ("<think>a</think> Hi <think>\n", "<think>\n"),
        ("<think>\n\n</think>\n\n", ""),
        ("Hi", ""),
        ("", ""),
        ("<think> Hi", ""),
    ],
)
@pytest.mark.parametrize("without", [(), WITHOUT])
def test_what_the_prompt_has_begun(
    tmp_path: Path, prompt: str, expected: str, without: tuple[str, ...]
) -> None:
    walking.tokenizer(*without).save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.open(tmp_path / "tokenizer.json")
    assert begun(tokenizer.encode(prompt, special=False), TAGS, tokenizer) == expected


CONSTRAINTS = [
    Constraint(Grammar.JSON_SCHEMA, json.dumps({"type": "object", "additionalProperties": False})),
    Constraint(Grammar.REGEX, r"\{\}|a/b|a\/b"),
    Constraint(Grammar.LARK, 'start: "{}" | word\nword: "word"'),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.grammar)
@pytest.mark.parametrize("without", [(), WITHOUT])
def test_thoughts_are_free_and_what_follows_is_not(constraint: Constraint, without: tuple[str, ...]) -> None:
    vocabulary = walking.tokenizer(*without)
    free = after_thoughts(constraint, TAGS, "", vocabulary.token_to_id)
    inside = after_thoughts(constraint, TAGS, "<think>\n", vocabulary.token_to_id)
    thought = "So < /think> {1}\n\n hm"
    for lark, answer, fits in [
        (free.source, "{}", True),
        (free.source, f"<think>{thought}</think>\n\n{{}}", True),
        (free.source, f"{thought}</think>\n\n{{}}", False),
        (inside.source, f"{thought}</think>\n\n{{}}", True),
        (inside.source, f"{thought}</think>{{}}", True),
        (inside.source, f"{thought}</think>no", False),
        (inside.source, "{}", False),
    ]:
        assert walking.fits(lark, vocabulary, answer) is fits, answer
