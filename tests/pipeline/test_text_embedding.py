"""Texts become token ids, cut where that is wanted, and vectors become a body."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import normalizers, processors

from inference.api.embeddings import EmbeddingsRequest
from inference.api.validation import validate
from inference.backends.loaded_models import TextEmbeddingModel
from inference.cards.card import Card, Deployment
from inference.contracts import ApiStyle, Embeddings, Route
from inference.errors import ApiError, ContentFiltered, InvalidInput, ParameterNotSupported
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.request_check import UNCHECKED, RequestCheck
from inference.pipeline.text_embedding import TextInputs, cut_text, cut_tokens, lower_texts, vectors_body
from inference.prompt.tokenizer import Tokenizer
from tests.support.cards import EMBEDDINGS
from tests.support.embedders import FixedTextEmbedder
from tests.support.encoders import CLS, PAD, SEP, VOCABULARY, byte_tokenizer

BYTES = Tokenizer(byte_tokenizer())
PROMPT = "query: "
LONG = "abcdefghijklmnopqrstuvwxyz"
CONTEXT = 16


def ids_of(text: str) -> list[int]:
    return [CLS, *text.encode(), SEP]


@pytest.mark.parametrize(
    ("side", "kept"), [("END", "query: abcdefg"), ("START", "query: tuvwxyz")], ids=["END", "START"]
)
def test_a_text_loses_a_side_and_neither_its_prompt_nor_what_stands_around_it(side: str, kept: str) -> None:
    assert cut_text(LONG, PROMPT, side, 16, BYTES) == ids_of(kept)


@pytest.mark.parametrize("side", ["END", "START"])
def test_without_room_for_a_token_of_the_text_nothing_is_cut(side: str) -> None:
    assert cut_text("abc", PROMPT, side, 9, BYTES) == ids_of("query: abc")
    assert len(cut_text("abc", PROMPT, side, 10, BYTES)) == 10


def test_an_end_token_stays_where_the_tokenizer_puts_one_behind_only() -> None:
    library = byte_tokenizer()
    library.post_processor = processors.TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", SEP)])
    assert cut_text("abcdef", "", "END", 3, Tokenizer(library)) == [*b"ab", SEP]
    assert cut_text("abcdef", "", "START", 3, Tokenizer(library)) == [*b"ef", SEP]


def test_a_token_array_is_cut_as_it_stands() -> None:
    assert cut_tokens([1, 2, 3, 4], "END", 3) == [1, 2, 3]
    assert cut_tokens([1, 2, 3, 4], "START", 3) == [2, 3, 4]


@given(text=st.text(min_size=1, max_size=60), most=st.integers(3, 40), side=st.sampled_from(["END", "START"]))
def test_what_is_cut_is_as_long_as_may_be_and_the_library_s_own_cut(
    text: str, most: int, side: Literal["END", "START"]
) -> None:
    library: Library = byte_tokenizer()
    library.enable_truncation(most, direction="right" if side == "END" else "left")
    found = cut_text(text, "", side, most, BYTES) if len(ids_of(text)) > most else ids_of(text)
    assert found == library.encode(text).ids


def test_the_tokens_before_a_text_are_counted_without_what_stands_behind() -> None:
    assert BYTES.prompt_length(PROMPT) == 1 + len(PROMPT)


def lowered(*, cuts: str | None = None, tokenizer: Tokenizer = BYTES, **body: Any) -> TextInputs:
    """Return the inputs of a request to a model whose card cuts one side, or none."""
    card = Card.model_validate({**EMBEDDINGS, "embedding": {"truncate": cuts}})
    model = TextEmbeddingModel(
        embedder=FixedTextEmbedder((3, 4), CONTEXT),
        tokenizer=tokenizer,
        prompts={"query": PROMPT, "document": ""},
    )
    return lower_texts(validate(EmbeddingsRequest, body), card, model)


def refused(**body: Any) -> tuple[type[ApiError], list[tuple[Any, Any, str]]]:
    """Return the kind of a refusal, and location, value and message of each of its offenders."""
    with pytest.raises(ApiError) as refusal:
        lowered(**body)
    return type(refusal.value), [(one.loc[1:], one.input, one.message) for one in refusal.value.offenders]


@pytest.mark.parametrize(
    ("body", "ids", "prompt"),
    [
        ({"input": "hi"}, [ids_of("hi")], 0),
        ({"input": ["b", "a"]}, [ids_of("b"), ids_of("a")], 0),
        ({"input": [104, 105]}, [[104, 105]], 0),
        ({"input": [[CLS, 104, SEP], [PAD]]}, [[CLS, 104, SEP], [PAD]], 0),
        ({"input": ["a", "b"], "input_type": "query"}, [ids_of("query: a"), ids_of("query: b")], 8),
        ({"input": "a", "input_type": "document"}, [ids_of("a")], 0),
        ({"input": "a", "input_type": "text"}, [ids_of("a")], 0),
        ({"input": [[104], [105]], "input_type": "query"}, [[104], [105]], 0),
    ],
)
def test_texts_are_tokenised_behind_their_prompt_and_token_arrays_taken_as_they_are(
    body: dict[str, Any], ids: list[list[int]], prompt: int
) -> None:
    inputs = lowered(**body)
    assert (inputs.ids, inputs.prompt) == (ids, prompt)
    assert inputs.tokens == sum(map(len, ids))
    assert inputs.room() == {"prompt_tokens": [len(one) for one in ids], "context": CONTEXT}


TOO_LONG: Any = ["short", LONG, "abcdefghijklmno"]


@pytest.mark.parametrize(
    ("card", "asked", "kept"),
    [
        (None, "END", [LONG[:14], "abcdefghijklmn"]),
        (None, "START", [LONG[-14:], "bcdefghijklmno"]),
        ("END", None, [LONG[:14], "abcdefghijklmn"]),
        ("START", None, [LONG[-14:], "bcdefghijklmno"]),
        ("START", "END", [LONG[:14], "abcdefghijklmn"]),
    ],
)
def test_inputs_that_are_too_long_lose_the_side_that_the_request_names_or_else_the_card(
    card: str | None, asked: str | None, kept: list[str]
) -> None:
    body = {"input": TOO_LONG} if asked is None else {"input": TOO_LONG, "truncate": asked}
    assert lowered(cuts=card, **body).ids == [ids_of(text) for text in ("short", *kept)]


@pytest.mark.parametrize(("side", "kept"), [("END", "query: abcdefg"), ("START", "query: tuvwxyz")])
def test_a_prompt_survives_the_cut_of_its_text(side: str, kept: str) -> None:
    inputs = lowered(input=LONG, input_type="query", truncate=side)
    assert (inputs.ids, inputs.prompt) == ([ids_of(kept)], 1 + len(PROMPT))


def test_token_arrays_that_are_too_long_are_cut_as_they_stand() -> None:
    assert lowered(input=[[*range(20)], [5]], truncate="START").ids == [[*range(4, 20)], [5]]


@pytest.mark.parametrize("body", [{}, {"truncate": "NONE"}])
def test_inputs_that_are_too_long_are_refused_with_their_places_unless_they_may_be_cut(
    body: dict[str, Any],
) -> None:
    of_15 = (("input", 2), "abcdefghijklmno", "the input has 17 tokens, tiny-embeddings takes 16")
    of_26 = (("input", 1), LONG, "the input has 28 tokens, tiny-embeddings takes 16")
    assert refused(input=TOO_LONG, **body) == (ParameterNotSupported, [of_26, of_15])


def test_a_card_that_cuts_does_not_overrule_a_request_that_wants_none_cut() -> None:
    kind, [offender] = refused(cuts="END", input=LONG, truncate="NONE")
    assert (kind, offender[0]) == (ParameterNotSupported, ("input",))


def test_a_prompt_that_leaves_no_room_is_refused_even_where_texts_are_cut() -> None:
    model = TextEmbeddingModel(
        embedder=FixedTextEmbedder((1,), 9), tokenizer=BYTES, prompts={"query": PROMPT}
    )
    request = validate(EmbeddingsRequest, {"input": "a", "input_type": "query", "truncate": "END"})
    with pytest.raises(ParameterNotSupported) as refusal:
        lower_texts(request, Card.model_validate(EMBEDDINGS), model)
    assert refusal.value.offenders[0].message == "the input has 10 tokens, tiny-embeddings takes 9"


def test_the_value_of_an_input_that_is_too_long_is_abridged_in_its_refusal() -> None:
    _, [(_, value, message)] = refused(input="a" * 5000)
    assert value == "a" * 2000 + "..."
    assert message == "the input has 5002 tokens, tiny-embeddings takes 16"


def test_empty_texts_are_refused_with_their_places() -> None:
    message = "an empty text has no vector"
    assert refused(input=["", "a", ""]) == (
        InvalidInput,
        [(("input", 0), "", message), (("input", 2), "", message)],
    )
    assert refused(input="") == (InvalidInput, [(("input",), "", message)])


def test_a_text_of_which_the_tokenizer_makes_nothing_is_refused() -> None:
    library = byte_tokenizer()
    library.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    library.normalizer = normalizers.Strip()
    message = "an empty text has no vector"
    assert refused(input=["a", " "], tokenizer=Tokenizer(library)) == (
        InvalidInput,
        [(("input", 1), "", message)],
    )


@pytest.mark.parametrize(
    ("value", "loc"), [([0, VOCABULARY], ("input", 1)), ([[0], [1, VOCABULARY]], ("input", 1, 1))]
)
def test_an_id_that_the_model_does_not_have_is_refused_at_its_place(value: Any, loc: tuple[Any, ...]) -> None:
    kind, [offender] = refused(input=value)
    assert (kind, offender[:2]) == (InvalidInput, (loc, VOCABULARY))


async def test_vectors_are_those_of_the_ids_with_the_tokens_they_count_for() -> None:
    inputs = lowered(input=["a", "bc"], input_type="query")
    embedded = await inputs.embed(UNCHECKED)
    assert embedded.vectors.tolist() == [[3, 4], [3, 4]]
    assert (embedded.tokens, embedded.patches) == (21, 0)
    embedder = inputs.model.embedder
    assert isinstance(embedder, FixedTextEmbedder)
    assert embedder.inputs == [([ids_of("query: a"), ids_of("query: bc")], 8)]


async def test_vectors_of_a_refused_request_are_withheld() -> None:
    async def judge() -> Any:
        raise ContentFiltered("input", {})

    task = asyncio.create_task(judge())
    with pytest.raises(ContentFiltered):
        await lowered(input="a").embed(RequestCheck(task))


def body_of(vectors: list[list[float]], patches: int = 0, **body: Any) -> Any:
    """Return the answer's body as a client reads it."""
    request = validate(EmbeddingsRequest, {"input": "a", **body})
    deployment = Deployment(Card.model_validate(EMBEDDINGS), Path())
    resolved = ResolvedRequest(Route.EMBEDDINGS, deployment, ApiStyle.NATIVE, "openai", (), 0)
    embedded = Embeddings(np.array(vectors, np.float32), 5, patches)
    return json.loads(orjson.dumps(vectors_body(embedded, request, resolved)))


def test_vectors_become_a_list_in_the_order_of_the_inputs() -> None:
    body = body_of([[0.5, 1], [-2, 0]])
    assert len(body.pop("id")) == 36
    assert body == {
        "object": "list",
        "model": "tiny-embeddings",
        "data": [
            {"index": 0, "object": "embedding", "embedding": [0.5, 1]},
            {"index": 1, "object": "embedding", "embedding": [-2, 0]},
        ],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


def test_patches_are_counted_where_there_were_images() -> None:
    assert body_of([[1]], patches=4)["usage"] == {
        "prompt_tokens": 5,
        "total_tokens": 5,
        "prompt_patches": 4,
        "total_patches": 4,
    }


@pytest.mark.parametrize(("dimensions", "vector"), [(4, [3, 4, 0, 12]), (2, [0.6, 0.8])])
def test_vectors_are_shortened_to_length_one_only_where_they_are_longer(
    dimensions: int, vector: list[float]
) -> None:
    [entry] = body_of([[3, 4, 0, 12]], dimensions=dimensions)["data"]
    assert entry["embedding"] == pytest.approx(vector)


def test_an_encoding_that_the_vectors_cannot_have_is_refused() -> None:
    with pytest.raises(ParameterNotSupported) as refusal:
        body_of([[1, 2, 3]], encoding_format="binary")
    [offender] = refusal.value.offenders
    assert (offender.loc, offender.input) == (("body", "encoding_format"), "binary")
    assert body_of([[1] * 8], encoding_format="ubinary")["data"][0]["embedding"] == [255]
