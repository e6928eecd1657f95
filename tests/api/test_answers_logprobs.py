"""The two shapes of log probabilities."""

from __future__ import annotations

from inference.api.answers import chat_logprobs, text_logprobs
from inference.contracts import ScoredToken, TokenLogprob

A = TokenLogprob("a", b"a", -0.5)
PART = TokenLogprob("\N{REPLACEMENT CHARACTER}", b"\xc3", -1.5)
SCORES = [ScoredToken(A, (A, PART), 4), ScoredToken(PART, (), 5)]


def test_chats_have_records_with_the_bytes() -> None:
    assert chat_logprobs(SCORES) == {
        "content": [
            {
                "token": "a",
                "logprob": -0.5,
                "bytes": [97],
                "top_logprobs": [
                    {"token": "a", "logprob": -0.5, "bytes": [97]},
                    {"token": "\N{REPLACEMENT CHARACTER}", "logprob": -1.5, "bytes": [195]},
                ],
            },
            {"token": "\N{REPLACEMENT CHARACTER}", "logprob": -1.5, "bytes": [195], "top_logprobs": []},
        ],
        "refusal": None,
    }


def test_texts_have_lists_side_by_side() -> None:
    assert text_logprobs(SCORES) == {
        "tokens": ["a", "bytes:\\xc3"],
        "token_logprobs": [-0.5, -1.5],
        "top_logprobs": [{"a": -0.5, "bytes:\\xc3": -1.5}, {"bytes:\\xc3": -1.5}],
        "text_offset": [4, 5],
    }


def test_the_first_token_of_a_prompt_has_nothing() -> None:
    first = ScoredToken(TokenLogprob("a", b"a", None), (), 0)
    assert text_logprobs([first])["top_logprobs"] == [None]
    assert text_logprobs([first])["token_logprobs"] == [None]
